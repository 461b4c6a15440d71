"""From a headrace project to a Feast repository: definitions, files where Feast can't compute, and a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.definitions.services import FeatureService
from headrace.definitions.views import FeatureView, Selection, selection
from headrace.errors import NotAppliedError, SettingsError
from headrace.platform.feast.code import Variables, call, mapping, plain_name, sequence, text
from headrace.platform.feast.exported_sources import feast_source, reads_files, write_steps
from headrace.platform.feast.report import LEFT_OUT, Report
from headrace.platform.feast.types import to_feast
from headrace.types import DataType

if TYPE_CHECKING:
    from headrace.definitions.entities import Entity
    from headrace.platform.facade import Platform

DEFINITIONS: Final = "features.py"
SETTINGS: Final = "feature_store.yaml"
REPORT: Final = "feast-export.md"
_REMOTE: Final = "# To read from `headrace serve` instead: online_store: {type: remote, path: http://localhost:6566}"
_VALUE_TYPES: Final = {"Bool": "BOOL", "String": "STRING", "Binary": "BYTES", "Date": "UNIX_TIMESTAMP"}
_HEAD: Final = '''\
"""The features of {name}, written by `headrace export-feast`."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, KafkaSource, PushSource, ValueType
from feast.data_format import JsonFormat
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp
'''
_REMARKS: Final = (
    (
        "Feast looks at the event's time alone: a row that became known late is seen before it was known, and at a "
        "label's own time already (<=). headrace counts a row from when it was known, and strictly after."
    ),
    "Feast serves a value that is older than its view's ttl as PRESENT; headrace answers null and OUTSIDE_MAX_AGE.",
    "Contracts, checks, masks, versions and rollback stay with headrace: Feast reads its files as they are.",
)


def export_feast(platform: Platform, to: Path) -> Report:
    """Write a Feast repository.

    Views that are the newest row's columns read the sources' own files. Feast does not compute windows in batch, so
    other views read an export of their published steps, which is as it was when it was written.

    Parameters
    ----------
    platform : Platform
        The project.
    to : Path
        The repository's folder.

    Raises
    ------
    SettingsError
        If the folder has a repository already, or can't be written.
    """
    taken = [name for name in (DEFINITIONS, SETTINGS, REPORT) if (to / name).exists()]
    if taken:
        raise SettingsError(f"{to} already has {', '.join(taken)}. Choose another folder with --to, or remove them.")
    try:
        (to / "data").mkdir(parents=True, exist_ok=True)
        export = _Export(platform, to)
        files = export.files()
        for name, content in files.items():
            (to / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{to} can't be written: {error.strerror}.") from error
    return export.report


Types = Mapping[str, DataType]


class _Export:
    def __init__(self, platform: Platform, to: Path) -> None:
        self._context, self._to = platform.context, to
        self.report = Report(f"To Feast: {self._context.settings.name}")
        self._variables = Variables({"timedelta", "feast"})
        self._entities: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._views: dict[str, str] = {}
        self._texts: list[str] = []

    def files(self) -> dict[str, str]:
        """The repository's files, by name."""
        definitions = self._context.definitions
        for view in definitions.views.values():
            self._view(view)
        for item in definitions.on_demand.values():
            why = "Its function takes columns of narwhals; Feast's take a frame of pandas or lists. Write it anew."
            self.report.add("on-demand", item.name, LEFT_OUT, why)
        for service in definitions.services.values():
            self._service(service)
        for text_ in _REMARKS:
            self.report.remark(text_)
        name = self._context.settings.name
        return {
            SETTINGS: _settings(name, self._context.settings.online, self.report),
            DEFINITIONS: "\n\n".join([_HEAD.format(name=name).rstrip(), *self._texts]) + "\n",
            REPORT: self.report.markdown(),
            ".feastignore": "data/\n",
        }

    def _view(self, view: FeatureView) -> None:
        try:
            source, types, notes = self._source(view)
        except NotAppliedError as error:
            self.report.add("view", view.name, LEFT_OUT, str(error))
            return
        entities = sequence(self._entity(view.entity, key, dtype) for key, dtype in view.entity_keys.items())
        ttl, about_ttl = _ttl(view)
        named = {"name": text(view.name), "entities": entities, "ttl": ttl}
        named["schema"] = sequence(_field(view, name, dtype) for name, dtype in types.items())
        named |= {"source": source, "online": str(view.online), **_described(view)}
        variable = self._views[view.name] = self._variables.new(view.name, "view")
        self._texts.append(f"{variable} = {call('FeatureView', [], named)}")
        self.report.add("view", view.name, f"FeatureView, {len(view.features)} features", *notes, about_ttl)

    def _source(self, view: FeatureView) -> tuple[str, Types, list[str]]:
        """The variable of what a view reads, the types there, and what is to be known of it."""
        if why := reads_files(view, self._context.root):
            rows, types = write_steps(self._context, view, self._to / "data" / f"{view.name}.parquet")
            named = {"name": text(f"{view.name}_steps"), "path": text(f"data/{view.name}.parquet"),
                     "timestamp_field": text("valid_from")}  # fmt: skip
            variable = self._variables.new(f"{view.name}_steps", "source")
            self._texts.append(f"{variable} = {call('FileSource', [], named)}")
            note = f"Reads data/{view.name}.parquet, its {rows:,} published steps: {why}. Export again for new ones."
            return variable, types, [note]
        if view.source.name not in self._sources:
            variable = self._variables.new(view.source.name, "source")
            self._texts.append(feast_source(view, self._context, variable))
            self._sources[view.source.name] = variable
            self.report.add("source", view.source.name, "FileSource, its own files")
        types = {**view.entity_keys, **{name: view.feature_type(name) for name in view.features}}
        return self._sources[view.source.name], types, []

    def _entity(self, entity: Entity | None, key: str, dtype: DataType) -> str:
        """The variable of the entity for a key: Feast's have one each."""
        assert entity is not None
        single = len(entity.keys) == 1
        name = entity.name if single else key
        if name not in self._entities:
            value_type = _VALUE_TYPES.get(dtype.name, "INT64")
            named = {"name": text(name), "join_keys": sequence([text(key)]), "value_type": f"ValueType.{value_type}"}
            named |= {"description": text(entity.description)} if single and entity.description else {}
            variable = self._entities[name] = self._variables.new(name, "entity")
            self._texts.append(f"{variable} = {call('Entity', [], named)}")
            note = "" if single else f"A key of {entity.name}: Feast's entities have one key each."
            self.report.add("entity", entity.name, f"Entity {name}", note)
        return self._entities[name]

    def _service(self, service: FeatureService) -> None:
        wanted = [selection(item) for item in service.features if isinstance(item, FeatureView | Selection)]
        code = [self._selected(each) for each in wanted if each.view.name in self._views]
        lost = [each.name for each in wanted if each.view.name not in self._views]
        lost += [item.name for item in service.on_demand]
        notes = [f"Without {', '.join(lost)}."] if lost else []
        notes += [f"{each.reference} is not pinned in Feast." for each in wanted if each.version is not None]
        if not code:
            self.report.add("service", service.name, LEFT_OUT, *notes)
            return
        named = {"name": text(service.name), "features": sequence(code), **_described(service)}
        self._texts.append(f"{self._variables.new(service.name, 'service')} = {call('FeatureService', [], named)}")
        self.report.add("service", service.name, "FeatureService", *notes)

    def _selected(self, chosen: Selection) -> str:
        code = self._views[chosen.view.name]
        if chosen.names:
            code += f"[{sequence(text(name) for name in chosen.names)}]"
        if chosen.prefix and chosen.prefix != chosen.view.name:
            code += f".with_name({text(chosen.prefix)})"
        if chosen.label_keys:
            code += f".with_join_key_map({mapping({key: text(name) for key, name in chosen.label_keys.items()})})"
        return code


def _ttl(view: FeatureView) -> tuple[str, str]:
    """Feast's is for a whole view; here windows and counts do not age."""
    aging = [feature.ages for feature in view.features.values()]
    if view.ttl_us is None or all(aging):
        return f"timedelta(microseconds={view.ttl_us or 0})", ""
    note = "Its ttl is left out: in Feast it would take windows and counts away too, which do not age."
    return "timedelta(0)", note if any(aging) else ""


def _field(view: FeatureView, name: str, dtype: DataType) -> str:
    feature = view.features.get(name)
    named = {"name": text(name), "dtype": to_feast(dtype)}
    named |= {"description": text(feature.description)} if feature is not None and feature.description else {}
    return call("Field", [], named)


def _described(item: FeatureView | FeatureService) -> dict[str, str]:
    named = {key: text(value) for key in ("description", "owner") if (value := getattr(item, key))}
    if item.tags:
        pairs = (tag.partition("=") for tag in item.tags)
        named["tags"] = mapping({key: text(value) for key, _, value in pairs})
    return named


def _settings(name: str, online: str, report: Report) -> str:
    store: Mapping[str, str] = {"type": "sqlite", "path": "data/online_store.db"}
    scheme, _, place = online.partition("://")
    if scheme in ("redis", "rediss"):
        secure = ",ssl=true" if scheme == "rediss" else ""
        store = {"type": "redis", "connection_string": place.rpartition("@")[2].partition("/")[0] + secure}
    report.add("online store", online.rpartition("@")[2], store["type"], "Filled by `feast materialize`.")
    lines = [f"project: {plain_name(name)}", "registry: data/registry.db", "provider: local", "online_store:"]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in store.items()]
    lines += ["entity_key_serialization_version: 3", _REMOTE]
    return "\n".join(lines) + "\n"
