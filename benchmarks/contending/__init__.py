"""What `benchmarks.concurrency` is made of: processes that all work on one project, and what came of it."""
