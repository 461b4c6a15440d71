"""Files of JSON lines that grow, as a stream: a file is a partition, a byte's place in it an offset.

Nothing is remembered of a file but positions. So what was read must stay as it is: a file may be appended to, and may
go once it was read, but is never rewritten. When a line came is known of those that were pushed, which say so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from headrace.connectors.arrival_stamps import unstamped
from headrace.connectors.base import RAW
from headrace.connectors.files import InputFile, list_files, no_files_message, unreadable
from headrace.connectors.streams import APPENDED, OFFSET, PARTITION, RECEIVED, Bounds, Range, Received
from headrace.connectors.tailed_lines import Lines, begins_line, next_lines, whole_end
from headrace.definitions.locations import Files
from headrace.errors import AgedOutError, SettingsError, SourceError, StreamError

_FORMATS: Final = ("jsonl", "debezium")
_LOOK_SECONDS: Final = 0.02
_REST: Final = 5  # times as long as it took to look at them: there may be thousands
_MOST_BYTES: Final = 64 * 1024 * 1024  # bounds the memory of a poll
_LISTINGS: Final = 5
_WILD: Final = frozenset("*?[{")
_TOMBSTONE: Final = "null"


class TailedFiles:
    """Reads the files that match a pattern; see `Stream`. A line is read once its newline is there.

    Parameters
    ----------
    root : Path
        The project's folder, to which the pattern is relative.
    files : Files
        The pattern.

    Raises
    ------
    SettingsError
        If the files are not lines of JSON.
    """

    measures_arrival: Final = False  # not of each record: only of those that were pushed

    def __init__(self, root: Path, files: Files) -> None:
        if files.format not in _FORMATS:
            raise SettingsError(
                f"Files('{files.pattern}') are {files.format}, which can't be read while they grow. A stream takes "
                "files of JSON lines (jsonl, debezium) or a topic of Kafka."
            )
        self._root = root
        self._files = files

    @property
    def location(self) -> str:
        """The pattern."""
        return f"files '{self._files.pattern}'"

    def bounds(self) -> dict[str, Bounds]:
        """What can be read of each file now, by its name; the head lies behind the last whole line."""
        found = {}
        for name in self._names():
            with suppress(AgedOutError), self._opened(name) as stream:  # it may go while they are looked at
                found[name] = Bounds(0, whole_end(stream, _size(stream)))
        return found

    def poll(self, positions: Mapping[str, int], most_rows: int, wait_seconds: float) -> Received:
        """Read on; see `Stream.poll`. Each file gets an equal share of the rows, as far as it has them."""
        deadline = time.monotonic() + wait_seconds
        while True:
            began = time.monotonic()
            received = self._gathered(positions, most_rows)
            now = time.monotonic()
            if now >= deadline or received.ends != dict(positions):
                return received
            time.sleep(min(deadline - now, max(_LOOK_SECONDS, _REST * (now - began))))

    def read(self, ranges: Mapping[str, Range]) -> Received:
        """Read ranges; see `Stream.read`."""
        some = sorted(name for name, (start, end) in ranges.items() if start < end)
        frames = [frame for name in some for frame in self._range(name, *ranges[name])]
        return Received(_together(frames), {name: end for name, (_, end) in ranges.items()})

    def position_at(self, partition: str, time_us: int) -> int:
        """The beginning of the file: its lines need not say when they came."""
        return 0

    def close(self) -> None:
        """Nothing is kept open."""

    def _gathered(self, positions: Mapping[str, int], most_rows: int) -> Received:
        frames, ends = [], dict(positions)
        rows, size_bytes = most_rows, _MOST_BYTES
        for waiting, name in zip(range(len(positions), 0, -1), sorted(positions), strict=True):
            for lines in self._lines(name, positions[name], None, -(-rows // waiting), size_bytes // waiting):
                frames.append(self._named(name, lines.frame))
                rows -= lines.count
                size_bytes -= lines.end - ends[name]
                ends[name] = lines.end
        return Received(_together(frames), ends)

    def _range(self, name: str, start: int, end: int) -> Iterator[pl.DataFrame]:
        reached = start
        for lines in self._lines(name, start, end, end - start, end - start):
            yield self._named(name, lines.frame)
            reached = lines.end
        if reached != end:
            raise self._replaced(name, f"a line ended at byte {end} when it was read before, and now none does")

    def _lines(self, name: str, start: int, end: int | None, most: int, most_bytes: int) -> Iterator[Lines]:
        """Lines of a file from a position on, a piece at a time."""
        with self._opened(name) as stream:
            size = _size(stream)
            if size < max(start, end or 0):
                raise self._replaced(name, f"it was read up to byte {max(start, end or 0)}, and now it has {size}")
            if not begins_line(stream, start):
                raise self._replaced(name, f"a line began at byte {start} when it was read before, and now none does")
            reached, stop = start, size if end is None else end
            while most > 0 and reached < min(stop, start + max(most_bytes, 1)):
                lines = next_lines(stream, reached, stop, most, str(self._root / name))
                if lines is None:
                    return
                yield lines
                most -= lines.count
                reached = lines.end

    def _named(self, name: str, lines: pl.DataFrame) -> pl.DataFrame:
        if self._files.format == "debezium":
            lines = lines.filter(pl.col(RAW) != _TOMBSTONE)
            lines = lines.with_columns(pl.lit(None, RECEIVED[APPENDED]).alias(APPENDED))
        else:
            lines = unstamped(lines)
        return lines.select(RAW, pl.lit(name).alias(PARTITION), pl.col(OFFSET), APPENDED)

    def _names(self) -> list[str]:
        for _ in range(_LISTINGS):
            with suppress(FileNotFoundError):  # one of them may go while they are listed
                return sorted(file.name for file in self._listed())
        raise StreamError(f"{self.location}: they come and go while they are listed. Move them less often.")

    def _listed(self) -> list[InputFile]:
        try:
            listed = list_files(self._root, self._files)
        except SourceError as error:
            raise StreamError(str(error)) from error
        if not listed and not self._folder().is_dir():
            raise StreamError(no_files_message(self._root, "stream", self._files))
        return listed

    def _folder(self) -> Path:
        """Where they will be: without it, the pattern is wrong."""
        plain = (folder for folder in Path(self._files.pattern).parents if not set(str(folder)) & _WILD)
        return self._root / next(plain)

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        path = self._root / name
        try:
            with path.open("rb") as stream:
                yield stream
        except FileNotFoundError:
            raise AgedOutError(
                f"{path} is gone. If its last line had been read, nothing is lost: reset the stream to go on with the "
                "other files. Else restore it; and remove files only when `headrace stream` has read them."
            ) from None
        except OSError as error:
            raise StreamError(str(unreadable(path, error))) from error

    def _replaced(self, name: str, found: str) -> StreamError:
        return StreamError(
            f"{self._root / name}: {found}. The file was cut off or replaced. Restore it and write to a new file "
            "instead, or reset the stream to read it anew."
        )


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames) if frames else pl.DataFrame(schema=RECEIVED)
