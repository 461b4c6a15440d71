"""What `headrace bench stream` runs beside ours: Spark and Bytewax, each in an environment of its own."""
