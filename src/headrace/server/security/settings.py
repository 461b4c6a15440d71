"""The settings of a server's security: the table ``[serve]`` of ``headrace.toml``, and the environment.

``token_issuer = "https://id.example.com"`` in the table is ``HEADRACE_SERVE_TOKEN_ISSUER`` in the environment, which
counts more. None of them is a secret but a TLS key's password, which comes from the environment alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from headrace.errors import SettingsError, UnknownNameError
from headrace.server.security.jwks import ALGORITHMS

TABLE: Final = "serve"
PREFIX: Final = "HEADRACE_SERVE_"
_PASSWORD: Final = "tls_key_password"  # noqa: S105 - the setting's name
_Positive = Annotated[float, msgspec.Meta(gt=0)]


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """What a server asks of its callers. Files are relative to the project.

    Parameters
    ----------
    keys : str
        The file of API keys. Where it is there, a key (or a token) is needed.
    token_keys : str
        The key set (JWKS) of an identity provider whose tokens count; empty for none.
    token_issuer, token_audience : str
        What a token's ``iss`` is, and what is among its ``aud``. Both are needed with `token_keys`.
    token_algorithms : tuple of str
        By which tokens may be signed.
    token_claim : str
        The claim that says what a token allows, such as ``headrace`` or ``scope``.
    token_leeway_seconds : int
        How far the provider's clock may be off.
    requests_per_second, burst : float, optional
        How often a caller may ask, and how many requests may come at once (twice the rate by default). No limit on
        this machine's own address by default, and 1,000 beyond.
    entities_per_second : float, optional
        How many entities a caller may ask for; no limit by default.
    most_body_bytes : int
        How long a request's body may be.
    tls_cert, tls_key : str
        The certificate with those between it and its root, and its private key (PEM).
    tls_key_password : str
        The private key's. From the environment alone.
    behind_proxy : bool
        Whether a proxy before this server has TLS.
    insecure : bool
        Whether anybody who can connect may read everything.
    hosts : tuple of str
        Names by which browsers may ask, beside this machine's own.
    origins : tuple of str
        Other sites whose pages may ask.
    audit : str, optional
        The file that says who read what; empty for none. By default, none on this machine's own address, and
        ``audit/requests.jsonl`` beyond.
    audit_most_bytes : int
        How long that file may become before another is begun.
    audit_files : int
        How many full ones are kept.
    """

    keys: str = "keys.json"
    token_keys: str = ""
    token_issuer: str = ""
    token_audience: str = ""
    token_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    token_claim: str = "headrace"  # noqa: S105 - a name
    token_leeway_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 30
    requests_per_second: _Positive | None = None
    burst: Annotated[float, msgspec.Meta(ge=1)] | None = None
    entities_per_second: _Positive | None = None
    most_body_bytes: Annotated[int, msgspec.Meta(ge=1)] = 8 * 1_024 * 1_024
    tls_cert: str = ""
    tls_key: str = ""
    tls_key_password: str = field(default="", repr=False)
    behind_proxy: bool = False
    insecure: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    audit: str | None = None
    audit_most_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 64 * 1_024 * 1_024
    audit_files: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 10

    @property
    def has_tls(self) -> bool:
        """Whether it has a certificate."""
        return bool(self.tls_cert)

    def keys_file(self, root: Path) -> Path:
        """Where API keys are kept."""
        return root / Path(self.keys).expanduser()


def security_settings(
    table: Mapping[str, object],
    environment: Mapping[str, str],
    place: str = "headrace.toml",
    others: Collection[str] = (),
    given: Mapping[str, Any] | None = None,
) -> SecuritySettings:
    """Read the settings.

    Parameters
    ----------
    table : mapping
        ``[serve]`` of the project's file.
    environment : mapping of str to str
        Environment variables.
    place : str
        The project's file, for messages.
    others : collection of str
        Names in the table that somebody else reads.
    given : mapping, optional
        What the command line says, which counts most.

    Raises
    ------
    UnknownNameError
        If a name is no setting.
    SettingsError
        If a value has the wrong type, a secret is in the file, or what belongs together is not.
    """
    where = f"{place}, [{TABLE}]"
    hints = get_type_hints(SecuritySettings, include_extras=True)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name in others:
            continue
        if name not in hints:
            raise UnknownNameError.of("setting", name, [*hints, *others], where)
        _check_public(where, name)
        values[name] = _converted(f"{where}: {name}", value, hints[name], from_text=False)
    for name, hint in hints.items():
        text = environment.get(f"{PREFIX}{name.upper()}")
        if text is not None:
            values[name] = _converted(f"{PREFIX}{name.upper()}", text, hint, from_text=True)
    return _checked(SecuritySettings(**{**values, **(given or {})}), where)


def _check_public(where: str, name: str) -> None:
    if name == _PASSWORD:
        raise SettingsError(
            f"{where}: {name} is a secret. Take it out of the file (others can read it there) and set it in the "
            f"environment: {PREFIX}{name.upper()}."
        )


def _converted(where: str, value: object, hint: Any, *, from_text: bool) -> Any:
    """A value of the setting's type. A text of the environment becomes it; lists are separated by commas."""
    if from_text and hint == tuple[str, ...]:
        value = [part.strip() for part in str(value).split(",") if part.strip()]
    try:
        return msgspec.convert(value, hint, strict=not (from_text and hint not in {str, str | None}))
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}.") from None


def _checked(settings: SecuritySettings, where: str) -> SecuritySettings:
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError(f"{where}: tls_cert and tls_key belong together, and one is missing.")
    if settings.token_keys and not (settings.token_issuer and settings.token_audience):
        raise SettingsError(
            f"{where}: token_keys needs token_issuer and token_audience: else a token that somebody got for another "
            "service would count here."
        )
    if settings.burst is not None and settings.requests_per_second is None:
        raise SettingsError(f"{where}: burst needs requests_per_second.")
    for name in settings.token_algorithms:
        if name not in ALGORITHMS:
            raise UnknownNameError.of("algorithm of public keys", name, ALGORITHMS, f"{where}: token_algorithms")
    if not settings.token_algorithms:
        raise SettingsError(f"{where}: token_algorithms is empty: no token could count.")
    return settings
