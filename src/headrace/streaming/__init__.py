"""Running streams: epochs that are logged before they take effect, what is remembered between them, and sinks."""
