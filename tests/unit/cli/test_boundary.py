"""An error of ours is a message and exit code 1; a defect keeps its traceback."""

from __future__ import annotations

import pytest
import typer

from headrace.cli.boundary import error_boundary
from headrace.errors import HeadraceError

MESSAGE = "view 'v': there is no column '[bold]'. Did you mean 'bald'? " + "And a long tail. " * 20


def test_an_error_is_one_paragraph_on_stderr_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, error_boundary(debug=False):
        raise HeadraceError(MESSAGE)
    shown = capsys.readouterr()
    assert stopped.value.exit_code == 1
    assert shown.out == ""
    assert shown.err == f"Error: {MESSAGE}\n"


def test_debug_lets_the_error_through() -> None:
    with pytest.raises(HeadraceError, match="no column"), error_boundary(debug=True):
        raise HeadraceError(MESSAGE)


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), error_boundary(debug=False):
        _ = 1 / 0
