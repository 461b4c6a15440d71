"""What `benchmarks.stream` measures: catching up, keeping up, and starting again."""
