"""A project from `headrace init` to a training set, as a user runs it."""
