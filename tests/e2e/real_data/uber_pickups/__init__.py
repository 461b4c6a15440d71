"""Uber's pickups in New York, April and May 2014: their definitions, and the same in SQL."""
