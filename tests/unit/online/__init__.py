"""Tests of the online stores and their records."""
