"""Public data through contracts, steps and training sets, each value compared with SQL over the raw files."""
