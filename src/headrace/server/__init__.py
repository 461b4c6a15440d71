"""The HTTP server: Feast's way of asking for features, health, readiness and metrics."""
