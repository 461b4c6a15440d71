"""Which of librdkafka's options may be given, and which of them no message may show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from headrace.errors import SettingsError

_ADDRESSES: Final = frozenset({"bootstrap.servers", "metadata.broker.list"})
_OTHER_NAMES: Final = {
    "auto.commit.enable": "enable.auto.commit",
    "delivery.timeout.ms": "message.timeout.ms",
    "request.required.acks": "acks",
}
_SECRET_PARTS: Final = ("password", "secret", "key.pem", "sasl.oauthbearer.config", "token")
_NO_SECRETS: Final = frozenset({"sasl.oauthbearer.token.endpoint.url"})


def is_secret(name: str) -> bool:
    """Whether the value of an option is to be kept from files, messages and logs."""
    return name not in _NO_SECRETS and any(part in name for part in _SECRET_PARTS)


def refuse_own(options: Mapping[str, str], own: Collection[str]) -> None:
    """Refuse options that headrace sets itself.

    Parameters
    ----------
    options : mapping of str to str
        What was given.
    own : collection of str
        Those that it sets; their other names count too.

    Raises
    ------
    SettingsError
        If there is one: says which.
    """
    for name in sorted(options):
        if name in _ADDRESSES:
            raise SettingsError(f"kafka: the option {name} is headrace's own. Set `kafka`, or HEADRACE_KAFKA, instead.")
        if name in own or _OTHER_NAMES.get(name) in own:
            raise SettingsError(f"kafka: the option {name} is headrace's own. Leave it out.")


def refused(error: Exception, options: Mapping[str, str]) -> SettingsError:
    """The error to raise where the library refuses options, without what they keep secret."""
    text = str(error)
    for name, value in options.items():
        if is_secret(name) and value:
            text = text.replace(value, "…")
    return SettingsError(
        f"kafka: {text}. Check its address, and the options of librdkafka in kafka_options or HEADRACE_KAFKA_OPTIONS."
    )
