"""Austin's buses in 2015 to 2017: their definitions, and the same in SQL."""
