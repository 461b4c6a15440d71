"""Feast's feature services, and whatever else has nothing to stand for here."""

from __future__ import annotations

from typing import Final

from headrace.platform.feast.code import call, sequence, text
from headrace.platform.feast.draft import Draft, described, given_list
from headrace.platform.feast.on_demand import selected
from headrace.platform.feast.recording import Recorded, viewed
from headrace.platform.feast.report import LEFT_OUT

_REASONS: Final = {
    "LabelView": "Labels are not features: give them to training_set as a frame or a file.",
    "Permission": "Who may read what is set where it is served: see the server's API keys and tokens.",
    "SavedDataset": "A training set is written by `headrace training-set --to`, with a manifest that repeats it.",
    "ValidationReference": "Checks are written in views: hr.check.",
}
_KNOWN: Final = (
    "Entity", "FeatureView", "BatchFeatureView", "StreamFeatureView", "OnDemandFeatureView", "FeatureService",
    "Projection", "Project", "RequestSource", "Field", "LoggingConfig", "Aggregation",
)  # fmt: skip


def write_services(draft: Draft) -> None:
    """Write the services with all members that came along."""
    for item in draft.repository.of_kind("FeatureService"):
        code, notes = [], []
        for member in given_list(item, "features"):
            found, note = _member(draft, member)
            code += [found] if found else []
            notes += [note] if note else []
        if not code:
            draft.leave(item, "None of its features came along.")
            continue
        name, renamed = draft.name_of(item, "service")
        named = {"features": sequence(code), **described(item)}
        variable = draft.variables.new(name, "service")
        draft.write("services", f"{variable} = {call('hr.FeatureService', [text(name)], named)}")
        if item.given.get("logging_config"):
            notes.append("Its log is not configured here.")
        draft.report.add(item.kind, str(item.given.get("name", name)), f"FeatureService {name}", renamed, *notes)


def _member(draft: Draft, member: Recorded) -> tuple[str, str]:
    """A member as code, and what is lost; no code where it stayed behind."""
    base = viewed(member)
    name = base.given.get("name", base.kind)
    if id(base) in draft.on_demand:
        variable, outputs = draft.on_demand[id(base)]
        some = member.kind == "Projection" and set(member.given.get("names", outputs)) != set(outputs)
        return variable, f"Of {name} all outputs are answered." if some else ""
    if id(base) not in draft.views:
        return "", f"Without {name}, which stayed behind."
    view = draft.views[id(base)]
    wanted = list(member.given["names"]) if member.given.get("names") else list(view.features)
    names = [each for each in wanted if each in view.features]
    lost = [each for each in wanted if each not in names]
    note = f"Without {', '.join(f'{name}:{each}' for each in lost)}." if lost else ""
    return (selected(member, view, names) if names else ""), note


def report_others(draft: Draft) -> None:
    """Report what no other part looks at."""
    for item in draft.repository.objects:
        if item.kind in _REASONS:
            draft.leave(item, _REASONS[item.kind])
        elif item.kind not in _KNOWN and not item.kind.endswith("Source") and "." not in item.kind and item.given:
            draft.leave(item, f"headrace knows nothing of Feast's {item.kind}.")
    used = {key for known in draft.entities for key in known[: len(known) // 2]}
    for entity in draft.repository.of_kind("Entity"):
        own = [str(key) for key in given_list(entity, "join_keys")] or [str(entity.given.get("name"))]
        if all(known[: len(known) // 2] != tuple(own) for known in draft.entities):
            shared = all(key in used for key in own)
            why = "It is a part of an entity with several keys." if shared else "No view that came along is about it."
            draft.report.add("Entity", str(entity.given.get("name")), LEFT_OUT, why)
