"""Who is let in, for what, and how often."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from timeit import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SettingsError
from headrace.server.errors import RequestError, retry_after_seconds
from headrace.server.security.caller import ANONYMOUS, RIGHTS, Caller
from headrace.server.security.guard import Guard, guard_of
from headrace.server.security.keys_file import new_key, revoke_key, rotate_key
from headrace.server.security.refusals import headers_of
from headrace.server.security.settings import SecuritySettings
from headrace.types import DAY
from tests.unit.server.security.signing import Clock, guard, token, token_settings, write_key_set

PEER = "10.0.0.1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def refused(call: Callable[[], Any], status: int) -> str:
    with pytest.raises(RequestError) as told:
        call()
    assert told.value.status == status
    assert told.value.__cause__ is None
    return str(told.value)


def test_without_keys_and_tokens_anybody_may_do_anything(tmp_path: Path, clock: Clock) -> None:
    open_guard = guard(tmp_path, SecuritySettings(), clock)
    assert open_guard.is_open
    assert open_guard.admit(None, None, PEER) is ANONYMOUS
    assert open_guard.admit("Basic eA==", "anything", PEER) is ANONYMOUS
    for right in RIGHTS:
        open_guard.allow(ANONYMOUS, right, "eta_model")
        open_guard.allow(ANONYMOUS, right)


def test_a_key_is_sent_as_a_bearer_or_in_a_header_of_its_own(tmp_path: Path, file: Path, clock: Clock) -> None:
    key, secret = new_key(file, clock.us(), rights=["read"], services=["eta_model"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    expected = Caller(key.id, "key", frozenset({"read"}), frozenset({"eta_model"}))
    for authorization, api_key in (
        (f"Bearer {secret}", None), (f"bearer   {secret} ", None), (None, secret), (f"Bearer {secret}", secret)
    ):  # fmt: skip
        assert asked.admit(authorization, api_key, PEER) == expected
    assert not asked.is_open


def test_what_is_no_right_key_is_refused_without_being_shown(tmp_path: Path, file: Path, clock: Clock) -> None:
    _, secret = new_key(file, clock.us(), rights=["read"])
    _, other = new_key(file, clock.us(), rights=["read"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    mixed = other[:16] + secret[16:]
    wrong: list[tuple[str | None, str | None]] = [
        (None, None), ("", None), ("Bearer", None), ("Bearer ", ""), (f"Basic {secret}", None), (secret, None),
        (f"Bearer {mixed}", None), (f"Bearer {secret[:-1]}", None), (f"Bearer {secret}", other), (None, secret.upper()),
        (f"Bearer {secret},{secret}", None), ("Bearer eyJhbGciOiJub25lIn0.e30.", None), ("Bearer hr_", None),
    ]  # fmt: skip
    for authorization, api_key in wrong:
        message = refused(partial(asked.admit, authorization, api_key, PEER), 401)
        assert secret[16:] not in message
        assert "hr_0" not in message


def test_a_refusal_says_how_to_ask(tmp_path: Path, file: Path, clock: Clock) -> None:
    new_key(file, clock.us(), rights=["read"])
    with pytest.raises(RequestError, match="X-API-Key") as told:
        guard(tmp_path, SecuritySettings(), clock).admit(None, None, PEER)
    assert headers_of(told.value) == {"WWW-Authenticate": 'Bearer realm="headrace"'}


def test_what_a_key_may_do_is_told_and_never_the_secret(tmp_path: Path, file: Path, clock: Clock) -> None:
    key, secret = new_key(file, clock.us(), rights=["read"], services=["eta_model"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    caller = asked.admit(None, secret, PEER)
    asked.allow(caller, "read", "eta_model")
    asked.allow(caller, "anyone")
    may = f"the key '{key.id}' may read (services eta_model), and not "
    assert refused(lambda: asked.allow(caller, "read", "fraud"), 403) == f"{may}the service 'fraud'."
    assert refused(lambda: asked.allow(caller, "push"), 403) == f"{may}push."
    assert refused(lambda: asked.allow(caller, "read"), 403) == (
        f"{may}features by their names. Name one of these as feature_service."
    )
    assert secret[16:] not in refused(lambda: asked.allow(caller, "admin"), 403)


def test_a_key_for_all_services_may_read_features_by_their_names(tmp_path: Path, file: Path, clock: Clock) -> None:
    _, secret = new_key(file, clock.us(), rights=["read", "push"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    caller = asked.admit(None, secret, PEER)
    asked.allow(caller, "read")
    asked.allow(caller, "read", "anything")
    asked.allow(caller, "push")


def test_a_key_ends_at_its_time(tmp_path: Path, file: Path, clock: Clock) -> None:
    _, secret = new_key(file, clock.us(), rights=["read"], lasts_us=DAY)
    asked = guard(tmp_path, SecuritySettings(), clock)
    clock.seconds += 86_399
    asked.admit(None, secret, PEER)
    clock.seconds += 2
    assert "ended at" in refused(lambda: asked.admit(None, secret, PEER), 401)


def test_keys_are_replaced_and_revoked_without_a_restart_and_within_a_second(
    tmp_path: Path, file: Path, clock: Clock
) -> None:
    old, old_secret = new_key(file, clock.us(), rights=["read"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    new, new_secret = rotate_key(file, old.id, clock.us(), overlap_us=DAY)
    clock.seconds += 1
    assert [asked.admit(None, secret, PEER).name for secret in (old_secret, new_secret)] == [old.id, new.id]
    revoke_key(file, old.id, clock.us())
    clock.seconds += 1
    assert "ended at" in refused(lambda: asked.admit(None, old_secret, PEER), 401)
    assert asked.admit(None, new_secret, PEER).name == new.id


def test_a_first_key_closes_a_server_that_was_open(tmp_path: Path, file: Path, clock: Clock) -> None:
    asked = guard(tmp_path, SecuritySettings(), clock)
    asked.admit(None, None, PEER)
    _, secret = new_key(file, clock.us(), rights=["read"])
    clock.seconds += 1
    refused(lambda: asked.admit(None, None, PEER), 401)
    asked.admit(None, secret, PEER)


def test_a_damaged_or_missing_file_neither_opens_nor_closes_it(tmp_path: Path, file: Path, clock: Clock) -> None:
    _, secret = new_key(file, clock.us(), rights=["read"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    for damage in (lambda: file.write_text("{"), file.unlink):
        damage()
        clock.seconds += 1
        asked.admit(None, secret, PEER)
        refused(lambda: asked.admit(None, None, PEER), 401)


def test_a_file_that_is_damaged_from_the_first_on_lets_nobody_in(tmp_path: Path, file: Path, clock: Clock) -> None:
    asked = guard(tmp_path, SecuritySettings(), clock)
    file.write_text("{")
    clock.seconds += 1
    refused(lambda: asked.admit(None, None, PEER), 401)
    assert not asked.is_open
    with pytest.raises(SettingsError, match="damaged"):
        guard(tmp_path, SecuritySettings(), clock)


def test_with_no_valid_key_left_nobody_is_let_in(tmp_path: Path, file: Path, clock: Clock) -> None:
    key, _ = new_key(file, clock.us(), rights=["read"])
    revoke_key(file, key.id, clock.us())
    refused(lambda: guard(tmp_path, SecuritySettings(), clock).admit(None, None, PEER), 401)


def test_keys_and_tokens_count_beside_each_other(tmp_path: Path, file: Path, clock: Clock) -> None:
    write_key_set(tmp_path)
    tokens_alone = guard(tmp_path, token_settings(), clock)
    assert tokens_alone.admit(f"Bearer {token()}", None, PEER).kind == "token"
    assert "no such API key" in refused(lambda: tokens_alone.admit(None, "hr_x", PEER), 401)
    refused(lambda: tokens_alone.admit(None, None, PEER), 401)
    _, secret = new_key(file, clock.us(), rights=["read"])
    clock.seconds += 1
    assert tokens_alone.admit(f"Bearer {secret}", None, PEER).kind == "key"
    caller = tokens_alone.admit(f"Bearer {token()}", None, PEER)
    assert "the token 'eta-service' may read" in refused(lambda: tokens_alone.allow(caller, "push"), 403)
    nothing = tokens_alone.admit(f"Bearer {token(headrace=None)}", None, PEER)
    assert "may do nothing here" in refused(lambda: tokens_alone.allow(nothing, "read", "eta_model"), 403)


def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path, file: Path, clock: Clock) -> None:
    secrets = [new_key(file, clock.us(), rights=["read"])[1] for _ in range(2)]
    asked = guard(tmp_path, SecuritySettings(requests_per_second=0.5, burst=2), clock)
    for _ in range(2):
        asked.admit(None, secrets[0], PEER)
    with pytest.raises(RequestError, match=r"more than 0\.5 requests a second") as told:
        asked.admit(None, secrets[0], PEER)
    assert told.value.status == 429
    assert retry_after_seconds(told.value, 429) == 2
    assert headers_of(told.value) == {"Retry-After": "2"}
    asked.admit(None, secrets[1], PEER)
    clock.seconds += 2
    asked.admit(None, secrets[0], PEER)


def test_where_nobody_says_who_they_are_each_address_has_its_limit(tmp_path: Path, clock: Clock) -> None:
    asked = guard(tmp_path, SecuritySettings(requests_per_second=1, burst=1), clock)
    asked.admit(None, None, PEER)
    refused(lambda: asked.admit(None, None, PEER), 429)
    asked.admit(None, None, "10.0.0.2")


def test_entities_are_counted_too(tmp_path: Path, clock: Clock) -> None:
    asked = guard(tmp_path, SecuritySettings(entities_per_second=100), clock)
    asked.charge(ANONYMOUS, PEER, 1_000)
    assert "100 entities a second" in refused(lambda: asked.charge(ANONYMOUS, PEER, 1), 429)
    asked.charge(ANONYMOUS, "10.0.0.2", 1)
    guard(tmp_path, SecuritySettings(), clock).charge(ANONYMOUS, PEER, 10**9)


def test_beyond_this_machine_there_is_a_limit_and_a_record_by_default(tmp_path: Path, clock: Clock) -> None:
    exposed = guard(tmp_path, SecuritySettings(), clock, exposed=True)
    for _ in range(2_000):
        exposed.admit(None, None, PEER)
    refused(lambda: exposed.admit(None, None, PEER), 429)
    exposed.close()
    assert (tmp_path / "audit" / "requests.jsonl").exists()
    silent = guard(tmp_path, SecuritySettings(audit=""), clock, exposed=True)
    assert silent._audit is None


def test_an_address_that_is_wrong_too_often_waits_and_others_do_not(tmp_path: Path, file: Path, clock: Clock) -> None:
    _, secret = new_key(file, clock.us(), rights=["read"])
    asked = guard(tmp_path, SecuritySettings(), clock)
    for _ in range(50):
        refused(lambda: asked.admit(None, "hr_wrong", PEER), 401)
    assert "no such API key" in refused(lambda: asked.admit(None, "hr_wrong", PEER), 429)
    asked.admit(None, secret, PEER)
    refused(lambda: asked.admit(None, "hr_wrong", "10.0.0.2"), 401)


def test_a_long_body_is_refused(tmp_path: Path, clock: Clock) -> None:
    asked = guard(tmp_path, SecuritySettings(), clock)
    assert asked.most_body_bytes == 8 * 1_024 * 1_024
    asked.check_body(asked.most_body_bytes)
    assert "8,388,608 bytes" in refused(lambda: asked.check_body(asked.most_body_bytes + 1), 413)


def noted(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]


def test_reads_and_refusals_are_noted_without_secrets(tmp_path: Path, file: Path, clock: Clock) -> None:
    key, secret = new_key(file, clock.us(), rights=["read"], services=["eta_model"])
    asked = guard(tmp_path, SecuritySettings(audit="a.jsonl"), clock)
    caller = asked.admit(None, secret, PEER)
    asked.read(caller, "eta_model", ["driver_now"], 10, 200, clock.us(), peer=PEER)
    refused(lambda: asked.allow(caller, "read", "fraud", PEER), 403)
    refused(lambda: asked.admit(None, "hr_" + "0" * 56, PEER), 401)
    assert asked.refused == 2
    asked.close()
    found = [(line["caller"], line["route"], line["service"], line["rows"], line["status"]) for line in noted(tmp_path)]
    assert found == [
        (key.id, "/get-online-features", "eta_model", 10, 200),
        (key.id, "refused", "fraud", 0, 403),
        ("unknown", "refused", None, 0, 401),
    ]
    assert {line["peer"] for line in noted(tmp_path)} == {PEER}
    assert secret[16:] not in (tmp_path / "a.jsonl").read_text()


def test_refusals_do_not_crowd_out_what_was_read(tmp_path: Path, file: Path, clock: Clock) -> None:
    new_key(file, clock.us(), rights=["read"])
    asked = guard(tmp_path, SecuritySettings(audit="a.jsonl"), clock)
    for number in range(500):
        with pytest.raises(RequestError):
            asked.admit(None, "hr_wrong", f"10.0.0.{number % 200}")
    asked.close()
    assert asked.refused == 500
    assert len(noted(tmp_path)) == 20


def test_letting_a_known_key_in_takes_less_than_five_microseconds(tmp_path: Path, file: Path) -> None:
    secret = [new_key(file, Clock().us(), rights=["read"])[1] for _ in range(20)][7]
    asked = guard_of(SecuritySettings(requests_per_second=1e9), tmp_path, lambda: time.time_ns() // 1_000)
    header, number = f"Bearer {secret}", 1_000
    taken = min(repeat(lambda: asked.admit(header, None, PEER), number=number, repeat=20))
    assert taken / number < 5e-6


HEADER = st.none() | st.text() | st.binary().map(lambda content: content.decode("latin-1"))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    root, clock = tmp_path_factory.mktemp("closed"), Clock()
    new_key(root / "keys.json", clock.us(), rights=["read"])
    write_key_set(root)
    return guard(root, token_settings(), clock)


@given(
    HEADER | st.text().map(lambda text: f"Bearer {text}") | st.text().map(lambda text: f"Bearer hr_{text}"),
    HEADER | st.text().map(lambda text: f"hr_{text}") | st.text(st.characters(codec="ascii"), min_size=59, max_size=59),
    st.text(),
)
def test_garbage_is_refused_and_never_fails_otherwise(
    closed: Guard, authorization: str | None, api_key: str | None, peer: str
) -> None:
    with pytest.raises(RequestError) as told:
        closed.admit(authorization, api_key, peer)
    assert told.value.status in {401, 429}


@given(st.lists(st.sampled_from(["eyJhbGciOiJIUzI1NiJ9", "e30", "", "é", "bnVsbA", "W10"]), min_size=1, max_size=5))
def test_garbage_in_the_form_of_a_token_is_refused_too(closed: Guard, parts: list[str]) -> None:
    with pytest.raises(RequestError):
        closed.admit(f"Bearer {'.'.join(parts)}", None, PEER)
