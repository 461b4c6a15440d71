"""Hypothesis against brute-force oracles."""
