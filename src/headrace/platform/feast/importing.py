"""From a Feast repository to a headrace project: read, translate, write, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.errors import SettingsError
from headrace.platform.feast.code import plain_name
from headrace.platform.feast.draft import Draft
from headrace.platform.feast.executing import Repository, read_repository
from headrace.platform.feast.functions import Surroundings
from headrace.platform.feast.on_demand import ADAPTERS, reserve_names, write_on_demand
from headrace.platform.feast.report import Report
from headrace.platform.feast.services import report_others, write_services
from headrace.platform.feast.sources import write_sources
from headrace.platform.feast.stores import settings_text
from headrace.platform.feast.views import write_views
from headrace.platform.project import load_definitions
from headrace.platform.settings import FILE_NAME, read_settings

DEFINITIONS: Final = "definitions.py"
REPORT: Final = "feast-import.md"
_IGNORED = "lake/\nonline/\nregistry.db*\n__pycache__/\n"
_SECTIONS: Final = (
    ("entities", "Entities"), ("sources", "Sources"), ("views", "Views"), ("on_demand", "On-demand features"),
    ("services", "Services"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """A project that was written.

    Parameters
    ----------
    root : Path
        Its folder.
    report : Report
        What became of each object.
    """

    root: Path
    report: Report


def import_feast(repository: Path, to: Path | None = None) -> Imported:
    """Write a headrace project from a Feast repository. Feast need not be installed.

    The repository's Python files are executed, as ``feast apply`` does: import only what you trust.

    Parameters
    ----------
    repository : Path
        The folder of ``feature_store.yaml``.
    to : Path, optional
        The project's folder; one named after Feast's project by default, where one is at work.

    Raises
    ------
    SettingsError
        If the folder is no Feast repository, or the project is there already or would lie in it.
    DefinitionError
        If a file of the repository raises: with its name and the line.
    """
    found = read_repository(repository)
    name = _project_name(found)
    root = to if to is not None else Path(plain_name(name))
    if root.resolve().is_relative_to(found.root):
        raise SettingsError(
            f"{root} lies in the Feast repository, whose every Python file `feast apply` runs. Choose a folder beside "
            "it with --to."
        )
    files, report = translated(found, name)
    _write(root, files)
    load_definitions(root, read_settings(root, {}))
    return Imported(root, report)


def translated(repository: Repository, name: str) -> tuple[dict[str, str], Report]:
    """The files of a project, by name, and the report."""
    report = Report(f"From Feast: {name}")
    draft = Draft(repository, report, Surroundings(repository.root, repository.modules))
    reserve_names(draft)
    write_views(draft)
    write_sources(draft)
    adapters = write_on_demand(draft)
    write_services(draft)
    report_others(draft)
    settings = settings_text(name, repository.settings, _brokers(repository), report)
    files = {
        FILE_NAME: settings,
        DEFINITIONS: _definitions(draft, name, adapters),
        REPORT: report.markdown(),
        ".gitignore": _IGNORED,
    }
    return files, report


def _project_name(repository: Repository) -> str:
    named = [str(item.given["name"]) for item in repository.of_kind("Project") if item.given.get("name")]
    return named[0] if named else str(repository.settings.get("project") or repository.root.name)


def _brokers(repository: Repository) -> str:
    found = [item.given.get("kafka_bootstrap_servers") for item in repository.of_kind("KafkaSource")]
    return ",".join(dict.fromkeys(str(each) for each in found if each))


def _definitions(draft: Draft, name: str, adapters: set[str]) -> str:
    around = draft.surroundings
    imports = [line for line in around.imports if line != "from __future__ import annotations"]
    imports += ["import polars as pl"] if adapters and "import polars as pl" not in imports else []
    parts = [
        f'"""The feature definitions of {name}, from Feast. {REPORT} says what came along."""',
        "from __future__ import annotations",
        "\n".join([*sorted(imports), "import headrace as hr"]),
    ]
    for section, title in _SECTIONS:
        if section == "on_demand":
            parts += list(around.texts.values())
            parts += [
                ADAPTERS[each].rstrip() for each in ("pandas", "python", "singleton", "columns") if each in adapters
            ]
        if section in draft.texts:
            texts = draft.texts[section]
            parts += [f"# {'-' * 60} {title.lower()}", *(each.rstrip() for each in texts)]
    return "".join(part + ("\n\n\n" if _is_function(part) else "\n\n") for part in parts).rstrip() + "\n"


def _is_function(part: str) -> bool:
    return part.startswith(("def ", "class ", "@"))


def _write(root: Path, files: dict[str, str]) -> None:
    taken = [name for name in files if (root / name).exists()]
    if taken:
        raise SettingsError(f"{root} already has {', '.join(taken)}. Choose another folder with --to, or remove them.")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (root / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{root} can't be written: {error.strerror}.") from error
