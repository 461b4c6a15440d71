"""Reads features from a headrace server, or from a Feast one, and pushes rows to it.

>>> from headrace_client import Client
>>> Client("http://127.0.0.1:6566")
Client('http://127.0.0.1:6566')
"""

from __future__ import annotations

from headrace_client.async_client import AsyncClient
from headrace_client.client import Client
from headrace_client.errors import (
    DeadlineExceeded,
    HeadraceClientError,
    InvalidRequest,
    NotFound,
    Overloaded,
    ServerFailed,
    Unauthorized,
    Unavailable,
)
from headrace_client.features import Column, Features, View

__all__ = [
    "AsyncClient",
    "Client",
    "Column",
    "DeadlineExceeded",
    "Features",
    "HeadraceClientError",
    "InvalidRequest",
    "NotFound",
    "Overloaded",
    "ServerFailed",
    "Unauthorized",
    "Unavailable",
    "View",
]
