"""Asking for features again and again, online and offline: each answer has to be that of one published version."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from benchmarks.killing.feed import CITIES, DRIVERS
from benchmarks.killing.findings import BEHIND, MIXED, UNAUDITED, Finding
from benchmarks.killing.oracle import Key, Oracle, Timeline, Values
from benchmarks.killing.project import MOST
from headrace.definitions.views import FeatureView
from headrace.errors import NotAppliedError, VersionGoneError
from headrace.platform import Platform
from headrace.registry.base import Publication
from headrace.timeline.packed import STATUSES
from headrace.types import DAY, instant_text

SERVICES: dict[str, dict[str, list[Any]]] = {
    "drivers": {"driver_id": [*range(DRIVERS), DRIVERS + 74]},
    "cities": {"city": [*CITIES, "Nowhere"]},
}
"""What is asked for: every entity, and one that nobody knows."""
_AROUND_US = DAY // 24
_OLDER = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """What was published before and after an answer was given.

    Parameters
    ----------
    before, after : mapping of str to Publication
        What was served of each view.
    """

    before: Mapping[str, Publication]
    after: Mapping[str, Publication]

    def allows(self, publication: Publication, lag: int) -> bool:
        """Whether an answer may be of a publication, when readers are `lag` publications behind at most."""
        view = publication.view
        return self.before[view].number - lag <= publication.number <= self.after[view].number


class Asker:
    """Asks for all entities in one request, and compares the answer with every version that it may be of.

    Parameters
    ----------
    platform : Platform
        The project.
    oracle : Oracle
        What each version has to answer.
    seed : int
        Of the random times that it asks for.
    """

    def __init__(self, platform: Platform, oracle: Oracle, seed: int) -> None:
        self._platform, self._oracle, self._random = platform, oracle, random.Random(seed)
        self._registry = platform.context.registry
        self.asked = 0

    def online(
        self, lag: int = 1, ask: Callable[[str, int], Mapping[str, list[Values]]] | None = None
    ) -> list[Finding]:
        """Ask the online store for every service.

        Parameters
        ----------
        lag : int
            How many publications it may be behind: 1 while a command is at work.
        ask : callable, optional
            Asks for a service at a time, for each view its entities' values; `Platform.online` by default.
        """
        return [finding for service in SERVICES for finding in self._online(service, lag, ask or self.ask)]

    def offline(self) -> list[Finding]:
        """Make a small training set of every service."""
        return [finding for service in SERVICES for finding in self._offline(service)]

    def ask(self, service: str, at: int) -> dict[str, list[Values]]:
        """What the online store answers, by view."""
        answer = self._platform.online(service, SERVICES[service], at=at)
        pairs = [tuple(zip(*pair, strict=True)) for pair in zip(answer.statuses, answer.rows, strict=True)]
        found, start = {}, 0
        for view in self._views(service):
            end = start + len(view.features)
            found[view.name] = [each[start:end] for each in pairs]
            start = end
        return found

    def _online(self, service: str, lag: int, ask: Callable[[str, int], Mapping[str, list[Values]]]) -> list[Finding]:
        views, before = self._views(service), self._registry.serving()
        if any(view.name not in before for view in views):
            return []
        frontier = before[self._random.choice(views).name].frontier
        at = frontier + self._random.choice([-1, 0, self._random.randrange(DAY // 3)])
        try:
            answers = ask(service, at)
        except NotAppliedError:
            if all(before[view.name].number > lag for view in views):
                raise
            return []
        self.asked += 1
        moment = Moment(before, self._registry.serving())
        keys = [*zip(*SERVICES[service].values(), strict=True)]
        findings = []
        for view in views:
            found = dict(zip(keys, answers[view.name], strict=True))
            place = f"online {view.name} at {instant_text(at)}"
            answers_so = partial(Timeline.answers_online, found=found, at=at)
            findings += self._judged(view, place, moment, lag, found, answers_so)
        return findings

    def _offline(self, service: str) -> list[Finding]:
        views, before = self._views(service), self._registry.serving()
        if any(view.name not in before for view in views):
            return []
        lines = [self._oracle.timeline(before[view.name]) for view in views]
        first, last = min(x.segments[0].since for x in lines), max(line.frontier for line in lines)
        keys = [*zip(*SERVICES[service].values(), strict=True)]
        asked = [(key, self._random.randrange(first - _AROUND_US, last + _AROUND_US)) for key in keys for _ in range(2)]
        try:
            result = self._training_set(service, asked)
        except VersionGoneError:
            return []  # vacuum keeps the newest versions; this one was slower than all of them
        self.asked += 1
        moment = Moment(before, self._registry.serving())
        findings = []
        for view in views:
            found = dict(zip(asked, _values(result, view), strict=True))
            answers_so = partial(Timeline.answers_offline, found=found)
            findings += self._judged(view, f"training set, {view.name}", moment, 0, found, answers_so)
        return findings

    def _training_set(self, service: str, asked: list[tuple[Key, int]]) -> pl.DataFrame:
        columns = dict(zip(SERVICES[service], zip(*(key for key, _ in asked), strict=True), strict=True))
        labels = pl.DataFrame({**columns, "label_time": [at for _, at in asked]})
        labels = labels.with_columns(pl.col("label_time").cast(pl.Datetime("us", "UTC")))
        found: pl.DataFrame = self._platform.training_set(labels, service, on_incomplete="null", statuses=True)
        return found

    def _judged(
        self, view: FeatureView, place: str, moment: Moment, lag: int, found: Mapping[Any, Values],
        answers: Callable[[Timeline], bool],
    ) -> list[Finding]:  # fmt: skip
        findings = [
            Finding(UNAUDITED, f"{place}: {key} has {name} = {value}")
            for key, values in found.items()
            for name, (_, value) in zip(view.features, values, strict=True)
            if name in MOST and value is not None and value > MOST[name]
        ]
        allowed: list[Publication] = []
        others: list[Publication] = []
        for publication in self._registry.publications(view.name):
            (allowed if moment.allows(publication, lag) else others).append(publication)
        if any(answers(self._oracle.timeline(publication)) for publication in reversed(allowed)):
            return findings
        served = f"{moment.before[view.name].number} to {moment.after[view.name].number} were served"
        older = [p.number for p in others[-_OLDER:] if answers(self._oracle.timeline(p))]
        told = f"is the answer of version {older[-1]}" if older else "is the answer of no version"
        return [*findings, Finding(BEHIND if older else MIXED, f"{place}: {told}, and {served}")]

    def _views(self, service: str) -> list[FeatureView]:
        return [chosen.view for chosen in self._platform.definitions.service(service).read_selections]


def _values(result: pl.DataFrame, view: FeatureView) -> list[Values]:
    """For each row the statuses and values of a view."""
    pairs = []
    for feature in view.features:
        codes = [STATUSES.index(status) for status in result[f"{view.name}__{feature}__status"]]
        pairs.append([*zip(codes, result[f"{view.name}__{feature}"].to_list(), strict=True)])
    return [*zip(*pairs, strict=True)]
