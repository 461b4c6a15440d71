"""Which files a source has: listed by pattern, told apart by content, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from headrace.definitions.locations import Files
from headrace.errors import SourceError

_DAY: Final = "{date}"
_BLOCK_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a source as it is now.

    Attributes
    ----------
    path : Path
        Where it is.
    name : str
        Its path relative to the project, or the absolute path outside of it: how it is recorded.
    size_bytes : int
        Its length.
    modified_ns : int
        When it was changed last, in nanoseconds since 1970.
    day : date, optional
        The ``{date}`` in its name.
    """

    path: Path
    name: str
    size_bytes: int
    modified_ns: int
    day: date | None = None


def list_files(root: Path, files: Files) -> list[InputFile]:
    """The files that match a source's pattern, ordered by day, then by name.

    Parameters
    ----------
    root : Path
        The project's folder, to which the pattern is relative.
    files : Files
        The pattern.

    Raises
    ------
    SourceError
        If the pattern's ``{date}`` is no day in the name of a file.
    """
    base, pattern = _split(root, files.pattern.replace(_DAY, "????-??-??"))
    found = [path for path in base.glob(pattern) if path.is_file()] if pattern else [base]
    listed = [_described(root, path, files) for path in found if path.is_file()]
    return sorted(listed, key=lambda file: (file.day or date.min, file.name))


def no_files_message(root: Path, where: str, files: Files) -> str:
    """What to say where no file matches."""
    base, _ = _split(root, files.pattern.replace(_DAY, "????-??-??"))
    while not base.exists() and base != base.parent:
        base = base.parent
    place = base if base.is_dir() else base.parent
    there = sorted(path.name for path in place.iterdir())[:5]
    shown = ", ".join(there) if there else "nothing"
    return (
        f"{where}: no file matches '{files.pattern}' (relative to {root}). {place} holds {shown}. "
        "Put the files there, or mend the pattern."
    )


def digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """A file's content as 32 hexadecimal digits (XXH3, 128 bits).

    Raises
    ------
    SourceError
        If the file can't be read.
    """
    import xxhash

    state = xxhash.xxh3_128()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                state.update(block)
                if progress:
                    progress(len(block))
    except OSError as error:
        raise unreadable(path, error) from error
    return state.hexdigest()


def unreadable(path: Path, error: OSError) -> SourceError:
    """The error for a file that the system does not give us."""
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{path} is gone: it was listed a moment ago. Run it again.")
    return SourceError(f"{path} can't be read: {error.strerror or error}. Check the file and its permissions.")


def _split(root: Path, pattern: str) -> tuple[Path, str]:
    """The folder before the first wildcard, and the rest as a glob."""
    parts = Path(pattern).parts
    plain = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return root.joinpath(*parts[:plain]), "/".join(parts[plain:])


def _described(root: Path, path: Path, files: Files) -> InputFile:
    status = path.stat()
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return InputFile(path, name, status.st_size, status.st_mtime_ns, _day(path, files))


def _day(path: Path, files: Files) -> date | None:
    if _DAY not in files.pattern:
        return None
    found = re.search(_expression(files.pattern), path.as_posix())
    day = found["day"] if found else ""
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise SourceError(f"{path}: '{day}' in its name is no day. Rename it, e.g. 2026-01-31.") from None


def _expression(pattern: str) -> str:
    """A glob as a regular expression for the end of a path, with the day as a group."""
    words = {_DAY: r"(?P<day>\d{4}-\d{2}-\d{2})", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\{date\}|\*\*/|\*|\?|\[[^\]]*\])", pattern.removeprefix("./"))
    made = [words.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts]
    return "".join(made) + "$"
