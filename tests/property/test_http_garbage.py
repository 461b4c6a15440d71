"""What no client should send, to the real server: refused with what to do, or answered right; never a 5xx."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import httpx
import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.serving import GLOBAL, Serving, ping, project, publish, serving
from tests.property.garbage import (
    ECHO,
    FEAST,
    KEPT,
    MEMBERS,
    MISFITS,
    NO_JSON,
    NO_KEYS,
    NO_PACK,
    NO_TEXT,
    ODD_KEYS,
    ODD_TEXTS,
    SENT,
    V1,
)

PINGS = [ping(7, 4, 60), ping(0, 9, 60), ping(-(2**63), 2, 60), ping(2**63 - 1, 3, 60), ping(7, 1, 60, "a\x00b")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    platform = project(tmp_path_factory.mktemp("garbage") / "city", GLOBAL + ECHO)
    publish(platform, PINGS)
    with serving(platform.context.root) as running:
        yield running
        assert running.client.get("/health").json() == {"status": "up"}


def bodies(entities: bytes, service: str = "model") -> list[tuple[str, bytes]]:
    """The same columns asked for in both ways."""
    feast = b'{"feature_service":"%b","full_feature_names":true,"entities":%b}' % (service.encode(), entities)
    return [
        (FEAST, feast),
        (V1 + service, b'{"entities":%b}' % entities),
        (f"/v1/lineage/{service}", b'{"entities":%b}' % entities),
    ]


def sent(server: Serving, path: str, body: bytes, **headers: str) -> httpx.Response:
    return server.client.post(path, content=body, headers={"content-type": "application/json", **headers})


def assert_told(response: httpx.Response, *statuses: int) -> str:
    """Refused, with a kind and a message."""
    assert response.status_code in statuses, (response.status_code, response.text[:500])
    error = response.json()["error"]
    assert set(error) == {"type", "message"}
    message: str = error["message"]
    assert message.strip()
    assert "Traceback" not in message
    assert len(message) < 4_000, "a message does not send back what it was sent"
    return message


def value_of(response: httpx.Response, name: str, place: int = 0) -> tuple[Any, str]:
    """A value and its status, from any of the answers."""
    assert response.status_code == 200, response.text[:500]
    answer = response.json()
    if "metadata" in answer:
        column = answer["results"][answer["metadata"]["feature_names"].index(name)]
    elif "results" in answer:
        column = next(each for each in answer["results"] if each["name"] == name)
    else:
        value = next(each for each in answer["entities"][place]["values"] if each["name"] == name)
        return value["value"], value["status"]
    return column["values"][place], column["statuses"][place]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
@pytest.mark.parametrize("path", [FEAST, V1 + "model", "/v1/lineage/model"])
def test_what_is_no_json(server: Serving, path: str, body: bytes) -> None:
    assert_told(sent(server, path, body), 400, 422)


@pytest.mark.parametrize("keys", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_what_is_no_key(server: Serving, keys: bytes) -> None:
    for path, body in bodies(b'{"driver_id":%b}' % keys):
        message = assert_told(sent(server, path, body), 400, 422)
        assert "driver_id" in message or "body is no JSON" in message


@pytest.mark.parametrize("zones", NO_TEXT.values(), ids=NO_TEXT.keys())
def test_what_is_no_text(server: Serving, zones: bytes) -> None:
    for path, body in bodies(b'{"driver_id":[7],"zone":%b}' % zones, "places"):
        assert_told(sent(server, path, body), 400, 422)


@pytest.mark.parametrize(("path", "body", "status", "words"), MEMBERS.values(), ids=MEMBERS.keys())
def test_members_that_are_wrong(server: Serving, path: str, body: bytes, status: int, words: str) -> None:
    assert words in assert_told(sent(server, path, body), status)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_outside_of_the_calendar(server: Serving, at: str) -> None:
    for path, body in bodies(b'{"driver_id":[7]}'):
        assert_told(sent(server, path, body[:-1] + b',"at":"%b"}' % at.encode()), 422)


def test_too_many_entities(server: Serving) -> None:
    for path, body in bodies(b'{"driver_id":%b}' % msgspec.json.encode([7] * 10_001))[:2]:
        assert "at most 10,000" in assert_told(sent(server, path, body), 422)


def test_a_body_that_is_too_long(server: Serving) -> None:
    for path, body in bodies(b'{"driver_id":[7]}'):
        assert_told(sent(server, path, body + b" " * (9 << 20)), 413)


def test_names_that_are_very_long_are_not_sent_back_whole(server: Serving) -> None:
    name = "x" * 100_000
    assert_told(sent(server, FEAST, json.dumps({"feature_service": name, "entities": {}}).encode()), 404)
    assert_told(sent(server, FEAST, json.dumps({"features": [f"{name}:{name}"], "entities": {}}).encode()), 404)
    for path, body in bodies(b'{"%b":[7]}' % name.encode()):
        assert_told(sent(server, path, body), 422)


# ---------------------------------------------------------------- what is answered right


@pytest.mark.parametrize(("keys", "total"), ODD_KEYS.values(), ids=ODD_KEYS.keys())
def test_odd_keys_are_the_keys_that_they_say(server: Serving, keys: bytes, total: int) -> None:
    wanted = 5 if total == 4 else total  # driver 7 has two pings
    for path, body in bodies(b'{"driver_id":%b}' % keys):
        assert value_of(sent(server, path, body), "driver_now__total") == (wanted, "PRESENT")


def echoed(column: str, text: str) -> list[tuple[str, bytes]]:
    members = ",".join(f'"{name}":[{text if name == column else usual}]' for name, usual in SENT.items())
    return bodies(b"{%b}" % members.encode(), "echoing")


@pytest.mark.parametrize(("column", "text", "value"), KEPT)
def test_a_function_is_given_what_was_sent(server: Serving, column: str, text: str, value: Any) -> None:
    for path, body in echoed(column, text):
        assert value_of(sent(server, path, body), f"echo__{column}") == (value, "PRESENT")


@pytest.mark.parametrize("column", MISFITS)
def test_what_a_column_would_round_or_can_t_hold_is_no_value_of_it(server: Serving, column: str) -> None:
    for text in MISFITS[column]:
        for path, body in echoed(column, text):
            message = assert_told(sent(server, path, body), 400, 422)
            assert column in message or "body is no JSON" in message


def test_many_members_that_nobody_knows_hold_nobody_up(server: Serving) -> None:
    """Looking for what was meant takes time, and others wait meanwhile."""
    strange = b",".join(b'"a%d":1' % number for number in range(500_000))
    began = time.monotonic()
    for path, body in bodies(b'{"driver_id":[7]}'):
        response = sent(server, path, b"{%b,%b" % (strange, body[1:]))
        assert response.status_code in (200, 422)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("zone", ODD_TEXTS, ids=lambda zone: repr(zone)[:20])
def test_odd_texts_are_the_keys_that_they_say(server: Serving, zone: str) -> None:
    there = zone in ("x", "a\x00b")
    for path, body in bodies(json.dumps({"driver_id": [7], "zone": [zone]}).encode(), "places"):
        found = value_of(sent(server, path, body), "place_now__rows")
        assert found == ((1, "PRESENT") if there else (None, "NOT_FOUND"))


def test_of_a_member_that_is_there_twice_the_last_one_counts(server: Serving) -> None:
    for path, body in bodies(b'{"driver_id":[7],"driver_id":[0]}'):
        assert value_of(sent(server, path, body), "driver_now__total") == (9, "PRESENT")


def test_no_entities_are_no_values(server: Serving) -> None:
    for path, body in bodies(b'{"driver_id":[]}'):
        assert sent(server, path, body).status_code == 200


def test_json_under_another_name(server: Serving) -> None:
    for path, body in bodies(b'{"driver_id":[7]}'):
        for name in ("text/plain", "application/x-www-form-urlencoded", "nonsense", ""):
            response = server.client.post(path, content=body, headers={"content-type": name})
            assert value_of(response, "driver_now__total") == (5, "PRESENT")


@pytest.mark.parametrize("kind", ["application/msgpack", "application/vnd.apache.arrow.stream"])
def test_json_under_the_name_of_another_format(server: Serving, kind: str) -> None:
    for body in (
        b"",
        b"{}",
        *dict(bodies(b'{"driver_id":[7]}')).values(),
        b"\xc1",
        b"ARROW1\x00\x00" * 9,
        b"\xff" * 99,
    ):
        response = sent(server, FEAST, body, **{"content-type": kind})
        assert_told(response, 400, 422)


def packed(driver_ids: bytes) -> bytes:
    """A request as MessagePack, whose column of keys is given as bytes."""
    members = {"feature_service": "model", "full_feature_names": True, "entities": {"driver_id": 0}}
    return msgspec.msgpack.encode(members).removesuffix(b"\x00") + driver_ids


@pytest.mark.parametrize("keys", NO_PACK.values(), ids=NO_PACK.keys())
def test_what_is_no_messagepack(server: Serving, keys: bytes) -> None:
    for body in (packed(keys), keys):
        assert_told(sent(server, FEAST, body, **{"content-type": "application/msgpack"}), 400, 422)


def test_what_is_messagepack(server: Serving) -> None:
    for keys in (
        b"\x91\x07",
        b"\x91\xcf" + (7).to_bytes(8, "big"),
        b"\xdd\x00\x00\x00\x01\xd3" + (7).to_bytes(8, "big"),
    ):
        response = sent(
            server, FEAST, packed(keys), **{"content-type": "application/msgpack", "accept": "application/json"}
        )
        assert value_of(response, "driver_now__total") == (5, "PRESENT")


@given(keys=st.binary(max_size=24))
def test_any_messagepack(server: Serving, keys: bytes) -> None:
    response = sent(
        server, FEAST, packed(keys), **{"content-type": "application/msgpack", "accept": "application/json"}
    )
    if response.status_code != 200:
        assert_told(response, 400, 422)


@given(
    content=st.binary(max_size=64),
    cut=st.integers(0, 400),
    place=st.integers(0, 400),
    letter=st.binary(min_size=1, max_size=1),
)
def test_any_arrow(server: Serving, content: bytes, cut: int, place: int, letter: bytes) -> None:
    out = BytesIO()
    pl.DataFrame({"driver_id": [7, 0]}).write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
    changed = bytearray(out.getvalue())
    changed[place % len(changed)] = letter[0]
    headers = {"content-type": "application/vnd.apache.arrow.stream", "accept": "application/json"}
    for body in (content, out.getvalue()[:cut], bytes(changed)):
        response = sent(server, f"{FEAST}?feature_service=model&full_feature_names=true", body, **headers)
        if response.status_code != 200:
            assert_told(response, 400, 422)


def test_formats_of_answers_that_there_are_not(server: Serving) -> None:
    path, body = bodies(b'{"driver_id":[7]}')[0]
    assert "application/json" in assert_told(sent(server, path, body, accept="text/html"), 406)


# ---------------------------------------------------------------- below the body


@dataclass(frozen=True, slots=True)
class Raw:
    """A connection of one's own."""

    host: str
    port: int

    def said(self, data: bytes, *, end: bool = False) -> bytes:
        """What comes back until the server closes; or until it sees that no more will be sent."""
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            found = b""
            try:
                while part := connection.recv(65_536):
                    found += part
            except TimeoutError:
                pass
            except ConnectionResetError:
                pass
            return found


@pytest.fixture(scope="module")
def raw(server: Serving) -> Raw:
    url = server.client.base_url
    assert url.port is not None
    return Raw(url.host, url.port)


def request(path: str, body: bytes, *headers: bytes, close: bool = True) -> bytes:
    ends = [b"connection: close"] if close else []
    lines = [
        b"POST " + path.encode() + b" HTTP/1.1",
        b"host: localhost",
        b"content-type: application/json",
        *headers,
        *ends,
    ]
    return b"\r\n".join([*lines, b"", body])


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = b"transfer-encoding: chunked"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_body_in_chunks(raw: Raw, place: int) -> None:
    path, body = bodies(b'{"driver_id":[7]}')[place]
    answer = raw.said(request(path, chunks(*(body[n : n + 3] for n in range(0, len(body), 3))), CHUNKED))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"driver_now__total" in answer


def _lying(path: str, body: bytes) -> dict[str, bytes]:
    return {
        "longer than said": request(path, body, b"content-length: %d" % (len(body) - 5)),
        "shorter than said": request(path, body, b"content-length: %d" % (len(body) + 50)),
        "less than nothing": request(path, body, b"content-length: -1"),
        "no number": request(path, body, b"content-length: many"),
        "more than any": request(path, body, b"content-length: 99999999999999999999999"),
        "two lengths": request(path, body, b"content-length: 3", b"content-length: %d" % len(body)),
        "a length and chunks": request(path, chunks(body), b"content-length: 3", CHUNKED),
        "chunks of no length": request(path, b"zz\r\nab\r\n0\r\n\r\n", CHUNKED),
        "chunks that end early": request(path, b"ff\r\nab", CHUNKED),
        "nothing said": request(path, body),
        "a header without a colon": request(path, body, b"nonsense"),
        "a header with NUL": request(path, body, b"x-a: a\x00b", b"content-length: %d" % len(body)),
        "a method that is none": request(path, body).replace(b"POST", b"PO ST", 1),
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        "a path of other letters": request(
            "/v1/features/\udce9%zz%".encode("utf-8", "surrogateescape").decode("latin-1"), b""
        )
        if path != FEAST
        else request("/%ff%00", b""),
    }


@pytest.mark.parametrize("place", [0, 1])
def test_lies_about_the_body(server: Serving, raw: Raw, place: int) -> None:
    """Refused or left without an answer; who comes next is answered."""
    path, body = bodies(b'{"driver_id":[7]}')[place]
    for name, data in _lying(path, body).items():
        answer = raw.said(data, end=True)
        assert not answer or answer.split(b" ")[1][:1] in (b"2", b"4"), (name, answer[:200])
        if answer.startswith(b"HTTP/1.1 2"):
            assert b"[5]" in answer or b'"value":5' in answer, (name, answer)
        assert value_of(sent(server, path, body), "driver_now__total") == (5, "PRESENT")


def test_many_headers_and_long_ones(raw: Raw, server: Serving) -> None:
    path, body = bodies(b'{"driver_id":[7]}')[0]
    length = b"content-length: %d" % len(body)
    for headers in ([b"x-%d: y" % n for n in range(5_000)], [b"x: " + b"y" * 1_000_000]):
        answer = raw.said(request(path, body, length, *headers))
        assert not answer or answer.split(b" ")[1][:1] in (b"2", b"4"), answer[:200]
    assert server.client.get("/health").status_code == 200


def test_requests_on_one_connection_are_answered_in_their_order(raw: Raw) -> None:
    kinds: list[Callable[[], bytes]] = [
        lambda: _with_length(*bodies(b'{"driver_id":[7]}')[0]),
        lambda: _with_length(FEAST, b"{"),
        lambda: _with_length(*bodies(b'{"driver_id":[0]}')[1]),
        lambda: b"GET /v1/services/nobody HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ]
    answer = raw.said(
        b"".join(make() for make in kinds * 5) + b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    assert [each.decode() for each in re.findall(rb"HTTP/1\.1 (\d+) ", answer)] == ["200", "400", "200", "404"] * 5 + [
        "200"
    ]


def _with_length(path: str, body: bytes) -> bytes:
    return request(path, body, b"content-length: %d" % len(body), close=False)


# ---------------------------------------------------------------- anything


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["model", "driver_id"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["feature_service", "features", "entities", "driver_id", "at", "lineage", "zone"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(document=JSON, path=st.sampled_from([FEAST, V1 + "model", V1 + "places", V1 + "city", "/v1/lineage/model"]))
def test_any_json(server: Serving, document: Any, path: str) -> None:
    response = sent(server, path, json.dumps(document).encode())
    if response.status_code != 200:
        assert_told(response, 400, 404, 422)


@given(body=st.binary(max_size=64), path=st.sampled_from([FEAST, V1 + "model"]))
def test_any_bytes(server: Serving, body: bytes, path: str) -> None:
    assert_told(sent(server, path, body), 400, 422)


@given(place=st.integers(0), letter=st.binary(min_size=1, max_size=1))
def test_a_request_with_one_other_byte(server: Serving, place: int, letter: bytes) -> None:
    """Refused, or understood as what it says now."""
    for path, body in bodies(b'{"driver_id":[7,0]}'):
        changed = bytearray(body)
        changed[place % len(body)] = letter[0]
        response = sent(server, path, bytes(changed))
        if response.status_code != 200:
            assert_told(response, 400, 404, 422)
            continue
        asked = json.loads(bytes(changed))["entities"]["driver_id"]
        totals = {7: (5, "PRESENT"), 0: (9, "PRESENT"), None: (None, "NOT_FOUND")}
        name = "driver_now__total"
        if "full_feature_names" not in json.loads(bytes(changed)) and path == FEAST:
            name = "total"
        for row, key in enumerate(asked):
            assert value_of(response, name, row) == totals.get(key, (None, "NOT_FOUND"))
