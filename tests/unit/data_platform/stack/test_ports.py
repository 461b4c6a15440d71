"""Ports: which are free, and what is one."""

from __future__ import annotations

import socket

import pytest

from data_platform.stack import ports
from data_platform.stack.errors import StackError


def test_a_port_is_taken_while_somebody_listens() -> None:
    port = ports.free_port()
    with socket.socket() as other:
        other.bind((ports.HOST, port))
        other.listen()
        assert ports.is_taken(port)
        assert ports.accepts(port)
        assert not ports.becomes_free(port, 0.05)
    assert not ports.is_taken(port)
    assert not ports.accepts(port)
    assert ports.becomes_free(port, 0)


def test_free_ports_are_in_a_row() -> None:
    first = ports.free_port(3)
    assert not any(map(ports.is_taken, range(first, first + 3)))


@pytest.mark.parametrize("text", ["0", "65535", "-1", "redis", "1.5", ""])
def test_what_is_no_port_is_told(text: str) -> None:
    with pytest.raises(StackError, match=f"'{text}' is no port: name one between 1 and 65534"):
        ports.parse_port(text)


def test_a_port_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_PORT", raising=False)
    assert ports.port_of_environment("SOME_PORT") is None
    monkeypatch.setenv("SOME_PORT", " 5000 ")
    assert ports.port_of_environment("SOME_PORT") == 5000
    monkeypatch.setenv("SOME_PORT", "here")
    with pytest.raises(StackError, match=r"SOME_PORT: 'here' is no port.*or unset it"):
        ports.port_of_environment("SOME_PORT")
