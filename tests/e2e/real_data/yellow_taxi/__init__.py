"""A sample of New York's yellow taxi trips, 2018 to 2020: their definitions, and the same in SQL."""
