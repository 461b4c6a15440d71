"""The registry: which definitions are in force, and which were before."""
