"""The live platform: a simulated city that happens now, through Kafka and `headrace stream` into Redis."""
