"""Benchmarks: each prints one JSON line, with its peers on the same inputs in the same run."""
