"""Online stores: the present and the scheduled future of each entity, read in milliseconds."""
