"""Kafka's jars, fetched once with Maven."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from data_platform.stack.errors import StackError
from data_platform.stack.locking import locked

__all__ = ["DEFAULT_FOLDER", "HOME_VARIABLE", "KAFKA_VERSION", "fetch", "has_jars", "jars_of", "kafka_home"]

KAFKA_VERSION: Final = "4.3.1"
HOME_VARIABLE: Final = "HEADRACE_KAFKA_HOME"
DEFAULT_FOLDER: Final = Path(".stack")
_POM: Final = Path(__file__).with_name("pom.xml")
_TIMEOUT_SECONDS: Final = 600


def kafka_home(folder: Path = DEFAULT_FOLDER) -> Path:
    """Where Kafka's jars are or will be: what `HEADRACE_KAFKA_HOME` names, or a folder of the stack's.

    Parameters
    ----------
    folder : Path
        The stack's folder.
    """
    named = os.environ.get(HOME_VARIABLE, "")
    return Path(named).expanduser().resolve() if named else folder.resolve() / f"kafka-{KAFKA_VERSION}"


def jars_of(home: Path) -> Path | None:
    """The folder with Kafka's jars: ``lib``, or ``libs`` as in Kafka's own archives; None if there are none."""
    folders = (home / "lib", home / "libs")
    return next((folder for folder in folders if any(folder.glob("kafka_2.13-*.jar"))), None)


def has_jars(home: Path) -> bool:
    """Whether a folder holds Kafka's jars."""
    return jars_of(home) is not None


def fetch(home: Path) -> Path:
    """Fetch Kafka's jars into a folder, unless they are there; several processes may do it at once.

    Parameters
    ----------
    home : Path
        The folder; its ``lib`` holds the jars, all of them or none.

    Returns
    -------
    Path
        The same folder.

    Raises
    ------
    StackError
        If Maven is missing or fails.
    """
    if has_jars(home):
        return home
    with locked(home.with_name(f"{home.name}.lock")):
        if not has_jars(home):
            _fetch(home)
    return home


def _fetch(home: Path) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise StackError(
            f"Kafka's jars are not in {home}, and Maven, which fetches them, is not installed. Install it "
            f"(Debian: apt-get install maven), or set {HOME_VARIABLE} to a folder whose lib/ holds them."
        )
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    shutil.copy(_POM, partial)  # Maven writes beside its pom
    _run(program, partial)
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def _run(program: str, folder: Path) -> None:
    goal = "dependency:copy-dependencies"
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
    command = [program, "-B", "-q", "-f", str(folder / "pom.xml"), goal, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise StackError(f"Maven did not fetch Kafka's jars in {_TIMEOUT_SECONDS} s. Run the command again.") from error
    if done.returncode != 0 or not has_jars(folder):
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise StackError(f"Maven can't fetch Kafka {KAFKA_VERSION} (exit code {done.returncode}). It says:\n{told}")
