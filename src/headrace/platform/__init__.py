"""The platform: its use cases, one a file, behind one object."""

from headrace.platform.facade import Platform

__all__ = ["Platform"]
