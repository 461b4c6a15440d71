"""Definitions: entities, sources, views, services and checks, as frozen data checked when built."""
