"""``feature_store.yaml`` as ``headrace.toml``: which store serves, and where the registry is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from headrace.platform.feast.report import LEFT_OUT, Report

_SERVED = {"sqlite": "a file of this machine", "none": "none"}


def settings_text(name: str, settings: Mapping[str, Any], kafka: str, report: Report) -> str:
    """The text of ``headrace.toml``; what stays behind is reported."""
    lines = {
        "name": name, "module": "definitions", "lake": "./lake", "online": _online(settings, report),
        "registry": _registry(settings, report),
    }  # fmt: skip
    lines |= {"kafka": kafka} if kafka else {}
    if offline := _kind(settings.get("offline_store")):
        report.add("offline_store", offline, "the lake, ./lake", "Training sets are made from it, wherever it is.")
    if (auth := _kind(settings.get("auth"))) and auth != "no_auth":
        report.add("auth", auth, LEFT_OUT, "Keys and tokens are given to the server: `headrace serve --help`.")
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())


def _online(settings: Mapping[str, Any], report: Report) -> str:
    given = settings.get("online_store", "sqlite")
    options = given if isinstance(given, dict) else {}
    kind = _kind(given) or ("sqlite" if given is not None else "none")
    made = {"redis": _redis, "dynamodb": _dynamodb}.get(kind)
    url, note = (
        made(options) if made else ("lmdb:./online", "" if kind in _SERVED else f"There is no store for {kind}.")
    )
    report.add("online_store", kind, url, note)
    return url


def _redis(options: Mapping[str, Any]) -> tuple[str, str]:
    """Feast's ``host:port,host:port,ssl=true,db=1,password=…``."""
    parts = str(options.get("connection_string", "localhost:6379")).split(",")
    hosts = [part for part in parts if "=" not in part] or ["localhost:6379"]
    given = dict(part.split("=", 1) for part in parts if "=" in part)
    secure = given.get("ssl", "").lower() == "true"
    cluster = str(options.get("redis_type", "redis")) == "redis_cluster"
    scheme = ("rediss" if secure else "redis") + ("-cluster" if cluster else "")
    url = f"{scheme}://{','.join(hosts if cluster else hosts[:1])}" + ("" if cluster else f"/{given.get('db', 0)}")
    secret = "Its password is left out: set the whole URL in HEADRACE_ONLINE." if "password" in given else ""
    note = "Records are in headrace's form, so load them anew."
    return url, f"{note} {secret}".strip()


def _dynamodb(options: Mapping[str, Any]) -> tuple[str, str]:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", str(options.get("table_name_template", "headrace-features")))
    named = {"region": options.get("region"), "endpoint": options.get("endpoint_url")}
    query = "&".join(f"{key}={quote(str(value), safe=':/')}" for key, value in named.items() if value)
    table = name.strip("-") or "headrace-features"
    return f"dynamodb://{table}" + (f"?{query}" if query else ""), "One table holds all views."


def _registry(settings: Mapping[str, Any], report: Report) -> str:
    given = settings.get("registry", "")
    path = str(given.get("path", "")) if isinstance(given, dict) else str(given)
    if path.startswith(("postgresql", "postgres")):
        _, _, place = path.partition("://")
        _, at, host = place.rpartition("@")
        user = place.partition(":")[0] + "@" if at else ""
        url = f"postgresql://{user}{host.partition('?')[0]}"
        note = "Its tables are headrace's own." + (" Its password: set HEADRACE_REGISTRY." if at else "")
        report.add("registry", "sql", url, note)
        return url
    report.add(
        "registry", "file" if path else "default", "sqlite:///registry.db", "A new one: `headrace apply` fills it."
    )
    return "sqlite:///registry.db"


def _kind(given: Any) -> str:
    return str(given.get("type") or "") if isinstance(given, dict) else str(given or "")
