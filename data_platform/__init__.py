"""The ride-hailing reference platform built on headrace."""
