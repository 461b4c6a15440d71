"""What a move between Feast and headrace tells: of each object what it became, and what means something else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LEFT_OUT: Final = "left out"
_SECTIONS: Final = (("What came along", False), ("What did not come along", True))


@dataclass(frozen=True, slots=True)
class Line:
    """One object.

    Parameters
    ----------
    kind, name : str
        What it is and what it is called where it came from.
    became : str
        What it is now; `LEFT_OUT` where it is nothing.
    notes : tuple of str
        What is lost or means something else.
    """

    kind: str
    name: str
    became: str
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """All lines of a move, and what holds for all of it."""

    title: str
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, became: str, *notes: str) -> None:
        """One object more."""
        self.lines.append(Line(kind, name, became, tuple(note for note in notes if note)))

    def remark(self, text: str) -> None:
        """Something that means something else, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    @property
    def left_out(self) -> list[Line]:
        """What did not come along."""
        return [line for line in self.lines if line.became == LEFT_OUT]

    def markdown(self) -> str:
        """As a page."""
        parts = [f"# {self.title}\n"]
        for heading, left_out in _SECTIONS:
            lines = [line for line in self.lines if (line.became == LEFT_OUT) == left_out]
            if lines:
                parts.append(f"## {heading}\n\n{_table(lines, left_out=left_out)}")
        if self.remarks:
            parts.append("## What means something else here\n\n" + "".join(f"- {text}\n" for text in self.remarks))
        return "\n".join(parts)


def _table(lines: list[Line], *, left_out: bool) -> str:
    if left_out:
        rows = [f"| {line.kind} | {_cell(line.name)} | {_cell(' '.join(line.notes))} |" for line in lines]
        return "| kind | name | why |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    rows = [f"| {x.kind} | {_cell(x.name)} | {_cell(x.became)} | {_cell(' '.join(x.notes))} |" for x in lines]
    return "| kind | name | became | to know |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
