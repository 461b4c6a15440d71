"""To and from Feast's repositories, without Feast: what comes along, what does not, and what means something else."""
