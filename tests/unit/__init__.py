"""Tests of one module each, mirroring `src/headrace`."""
