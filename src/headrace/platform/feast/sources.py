"""Feast's sources: files stay where they are, topics and pushes become streams, warehouses need an export."""

from __future__ import annotations

from typing import Any

from headrace.platform.feast.code import call, mapping, text
from headrace.platform.feast.columns import STREAMS, Origin, called
from headrace.platform.feast.draft import Draft, typed
from headrace.platform.feast.recording import Recorded
from headrace.types import Timestamp

_INCLUSIVE = (
    "A row counts at its own time already (`inclusive=True` in each source), as Feast's point-in-time join has it "
    "(<=). Leave that out, and no label sees its own row."
)
_CREATED = (
    "Rows count from when they were written (`available_time`, Feast's created_timestamp_column), not from when they "
    "happened: a training set has what a server would have answered at each label's time. Feast looks at the event's "
    'time alone; `training_set(labels, service, known="now")` does the same.'
)
_TIES = (
    "Of rows of one entity and time, the one that was written last counts, as in Feast; where that is not told, one "
    "of them by their content rather than by their place in a file."
)
_ZONE = "Times without a zone are read as UTC, as by Feast (`timezone`)."


def origin_of(draft: Draft, item: Recorded) -> Origin:
    """What is known of a source."""
    if id(item) not in draft.origins:
        name, _ = draft.name_of(item, "source")
        draft.origins[id(item)] = Origin.of(item, name, draft.repository.root)
    return draft.origins[id(item)]


def write_sources(draft: Draft) -> None:
    """Write those that views read; others are reported."""
    for origin in draft.origins.values():
        if origin.columns:
            _write(draft, origin)
    read = {id(part) for origin in draft.origins.values() for part in (origin.item, origin.batch)}
    for item in draft.repository.objects:
        if item.kind.endswith("Source") and item.kind != "RequestSource" and id(item) not in read:
            draft.leave(item, "No view that came along reads it.")


def _write(draft: Draft, origin: Origin) -> None:
    name, renamed = draft.name_of(origin.item, "source")
    named = {"schema": mapping({column: typed(dtype) for column, dtype in _schema(origin).items()})}
    named["event_time"] = text(origin.column(str(origin.time)))
    if origin.created and not origin.is_time(origin.created):
        origin.notes.append(f"Its created_timestamp_column {origin.created} holds no times.")
    elif origin.created:
        named["available_time"] = text(origin.column(origin.created))
        draft.report.remark(_CREATED)
    named |= {"timezone": text("UTC"), "inclusive": "True", "batch": _files(origin.pattern)}
    if stream := _stream(origin.item, name):
        named["stream"] = stream
    for key in ("description", "owner"):
        if origin.item.given.get(key):
            named[key] = text(str(origin.item.given[key]))
    for remark in (_INCLUSIVE, _TIES, _ZONE):
        draft.report.remark(remark)
    variable = draft.source_variables[id(origin.item)]
    draft.write("sources", f"{variable} = {call('hr.EventSource', [text(name)], named)}")
    became = f"EventSource {name}" + (f", {stream.partition('(')[0].removeprefix('hr.')} stream" if stream else "")
    draft.report.add(origin.item.kind, str(origin.item.given.get("name", name)), became, renamed, *_notes(origin))


def _schema(origin: Origin) -> dict[str, Any]:
    """Times first, then what views ask for."""
    times = [origin.column(name) for name in (origin.time, origin.created) if name and origin.is_time(name)]
    return {name: origin.found.get(name) or Timestamp for name in times} | origin.columns


def _files(pattern: str) -> str:
    form = {} if pattern.endswith(".parquet") else {"format": text("parquet")}
    return call("hr.Files", [text(pattern)], form)


def _stream(item: Recorded, name: str) -> str:
    if item.kind == "PushSource":
        return call("hr.Files", [text(f"push/{name}*.jsonl")])
    if item.kind != "KafkaSource":
        return ""
    form = item.given.get("message_format")
    kind = form.kind if isinstance(form, Recorded) else "JsonFormat"
    named = {"AvroFormat": {"format": text("avro")}, "ProtoFormat": {"format": text("protobuf")}}.get(kind, {})
    return call("hr.Kafka", [text(str(item.given.get("topic", name)))], named)


def _notes(origin: Origin) -> list[str]:
    item, notes = origin.item, list(origin.notes)
    if origin.batch is not None and origin.batch is not item:
        notes.append(f"With its batch source {called(origin.batch)}.")
    if item.kind == "PushSource":
        notes.append("Pushed rows (`headrace push`, POST /push) go to its stream in push/; `headrace stream` reads it.")
    if item.kind == "KafkaSource":
        notes.append("Its messages are the rows; set kafka and schema_registry in headrace.toml.")
    if item.kind == "KinesisSource":
        notes.append("Kinesis is not read: its batch source alone came along.")
    if item.kind in STREAMS and item.given.get("watermark_delay_threshold"):
        notes.append("A late row is never dropped, so there is no watermark to set.")
    if origin.mapped:
        notes.append("Its columns keep the file's names; views map them (field_mapping).")
    return notes
