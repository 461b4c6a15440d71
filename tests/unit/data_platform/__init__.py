"""Tests of the ride-hailing reference platform."""
