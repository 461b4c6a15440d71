"""The formats of requests and answers: JSON, MessagePack and Arrow, as the headers say."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs

import msgspec

from headrace.server.arrow_bodies import check_plain, check_size
from headrace.server.door import MOST_BODY_BYTES
from headrace.server.errors import RequestError
from headrace.server.replies import JSON
from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from headrace.platform.online_answer import OnlineAnswer
    from headrace.server.responses import Response, Shape

Form = Literal["json", "msgpack", "arrow"]
MSGPACK: Final = "application/msgpack"
ARROW: Final = "application/vnd.apache.arrow.stream"
FORMS: Final[dict[str, Form]] = {
    JSON: "json", MSGPACK: "msgpack", "application/x-msgpack": "msgpack", "application/vnd.msgpack": "msgpack",
    ARROW: "arrow",
}  # fmt: skip
MEDIA_TYPES: Final[dict[Form, str]] = {"json": JSON, "msgpack": MSGPACK, "arrow": ARROW}
_msgpack: Final = msgspec.msgpack.Encoder(decimal_format="string")


def form_of_body(content_type: str) -> Form:
    """The format that a request's body has.

    What is no known type is taken for JSON, as clients send JSON under many names.

    Examples
    --------
    >>> form_of_body("application/msgpack"), form_of_body("text/plain; charset=utf-8")
    ('msgpack', 'json')
    """
    return FORMS.get(content_type.partition(";")[0].strip().lower(), "json")


def form_of_answer(accept: str, body: Form) -> Form:
    """The format that a client wants: the first that it names and that there is, or that of its request.

    Raises
    ------
    RequestError
        With 406, if it names others alone.

    Examples
    --------
    >>> form_of_answer("application/vnd.apache.arrow.stream, */*;q=0.1", "json"), form_of_answer("*/*", "msgpack")
    ('arrow', 'msgpack')
    """
    if not accept or accept in ("*/*", JSON):
        return body if accept != JSON else "json"
    for part in accept.lower().split(","):
        media, _, weight = (text.strip() for text in part.partition(";"))
        if weight.replace(" ", "") in ("q=0", "q=0.0"):
            continue
        if media in FORMS:
            return FORMS[media]
        if media in ("*/*", "application/*"):
            return body
    raise RequestError(406, f"accept: {accept!r}: there are {JSON}, {MSGPACK} and {ARROW}.")


@lru_cache(maxsize=256)
def forms_of(content_type: bytes, accept: bytes) -> tuple[Form, Form]:
    """The formats of a request's body and of its answer, by its headers; clients send the same ones again and again.

    Raises
    ------
    RequestError
        As `form_of_answer`.
    """
    body = form_of_body(content_type.decode("latin-1"))
    return body, form_of_answer(accept.decode("latin-1"), body)


def msgpack(response: Response) -> bytes:
    """An answer as MessagePack: members as in JSON; bytes are bytes, and times are timestamps."""
    return _msgpack.encode(response)


def arrow(shape: Shape, answer: OnlineAnswer, keys: Sequence[str]) -> bytes:
    """An answer as an Arrow stream: a row an entity, its keys, and three columns a feature.

    Beside ``NAME`` there are ``NAME__status`` (text) and ``NAME__event_timestamp`` (microseconds, UTC).
    """
    import polars as pl

    from headrace.engines.polars_types import to_polars

    found = [pl.Series(name, answer.entities[name], dtype=to_polars(answer.entity_types[name])) for name in keys]
    for (column, name), place in zip(shape.named.items(), shape.places_in(answer), strict=True):
        statuses = [STATUSES[row[place]] for row in answer.statuses]
        times = answer.time_columns[place]
        found += [
            pl.Series(name, [row[place] for row in answer.rows], dtype=to_polars(answer.types[column])),
            pl.Series(f"{name}__status", statuses, dtype=pl.String),
            pl.Series(f"{name}__event_timestamp", times, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        ]
    out = BytesIO()
    try:
        frame = pl.DataFrame(found)
    except pl.exceptions.DuplicateError as error:
        raise RequestError(
            422, f'two columns of the answer would have one name: {error}. Ask with "full_feature_names": true.'
        ) from None
    frame.write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
    return out.getvalue()


def arrow_request(body: bytes, query: str, most_rows: int) -> tuple[dict[str, Any], pl.DataFrame]:
    """The members of a request that came as Arrow, which are in its URL, and its columns, which are the body.

    Raises
    ------
    RequestError
        With 400, if the body is no Arrow stream; with 422, if it has more than `most_rows` rows, or holds too much.
    """
    import polars as pl

    check_plain(body)
    try:
        frame = pl.read_ipc_stream(BytesIO(body))
    except (pl.exceptions.PolarsError, OSError, ValueError, pl.exceptions.PanicException) as error:
        raise RequestError(400, f"the body is no Arrow stream: {str(error).splitlines()[0]}.") from None
    check_size(frame, most_rows, MOST_BODY_BYTES)
    return _members(parse_qs(query, keep_blank_values=True)), frame


def _members(given: Mapping[str, list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {name: values[-1] for name, values in given.items()}
    if "features" in given:
        found["features"] = [name for values in given["features"] for name in values.split(",")]
    if "full_feature_names" in found:
        found["full_feature_names"] = found["full_feature_names"].lower() in ("true", "1", "")
    return found
