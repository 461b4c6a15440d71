"""The pure core: from rows in time to the steps of a feature. No I/O, no clock, no log; numpy only."""
