"""Records are shown as they are, whatever characters they hold."""

from __future__ import annotations

import pytest

from headrace.cli.output import print_records


def test_numbers_are_grouped_nulls_are_dashes_and_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"view": "[red]v", "row_count": 1234567, "frontier": None}]
    print_records(records, title="Views", empty="none")
    heading, columns, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert heading == ["Views"]
    assert columns == ["view", "row", "count", "frontier"]
    assert row == ["[red]v", "1,234,567", "–"]
