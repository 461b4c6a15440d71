"""What `benchmarks.kills` is made of: a project whose commands are killed, and what must hold of it meanwhile."""
