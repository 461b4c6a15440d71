"""Whether a server that others can reach asks who they are, and keeps what they say between the two."""

from __future__ import annotations

import logging
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from headrace.errors import SettingsError
from headrace.server.security.settings import SecuritySettings

_log: Final = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which others can't reach.

    A name other than localhost may mean anything, so it counts as one that others can reach.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "features.internal")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def check_exposed(host: str, settings: SecuritySettings, root: Path, now_us: int) -> None:
    """Refuse to serve others without keys or tokens and TLS.

    ``behind_proxy`` stands for TLS: a proxy before this server has it. ``insecure`` stands for both.

    Parameters
    ----------
    host : str
        The address to listen at.
    settings : SecuritySettings
        What is on.
    root : Path
        The project's folder.
    now_us : int
        Now, in microseconds UTC.

    Raises
    ------
    SettingsError
        If the address is not this machine's own and something is missing: says what, and how to have it.
    """
    if is_loopback(host):
        return
    missing = _missing(settings, root, now_us)
    if not missing:
        return
    if settings.insecure:
        _log.warning("others can reach %s, and anybody may: %s", host or "all addresses", " ".join(missing))
        return
    raise SettingsError(
        f"others can reach {host or 'all addresses'}, so this does not start. {' '.join(missing)} Or serve this "
        "machine alone, --host 127.0.0.1; or say --insecure, if whoever can connect may read everything."
    )


def _missing(settings: SecuritySettings, root: Path, now_us: int) -> list[str]:
    missing = []
    if not settings.token_keys and not _has_valid_key(settings.keys_file(root), now_us):
        missing.append("It does not ask who they are: make a key with `headrace keys new`, or set token_keys.")
    if not settings.has_tls and not settings.behind_proxy:
        missing.append(
            "What is sent can be read on the way: give --tls-cert and --tls-key, or set behind_proxy = true where a "
            "proxy has TLS."
        )
    return missing


def _has_valid_key(file: Path, now_us: int) -> bool:
    from headrace.server.security.keys_file import read_keys

    return any(key.state(now_us) == "valid" for key in read_keys(file))
