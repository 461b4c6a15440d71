"""Who read what is written soon, in whole lines, and no request waits for it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.server.security.audit import Audit, AuditRecord
from headrace.server.security.audit_file import AuditFile
from headrace.types import instant

NOW = instant("2026-01-05T08:00:00.25Z")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "requests.jsonl"


def audit_at(file: Path, most_bytes: int = 1 << 20, files: int = 3, most_waiting: int = 1_000) -> Audit:
    return Audit(AuditFile(file, most_bytes, files), most_waiting)


def record(number: int = 0) -> AuditRecord:
    return AuditRecord(
        NOW, "5f0c", "key", "10.0.0.1", "/get-online-features", "eta_model", ("driver_now",), number, 200
    )


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def until(holds: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_line_says_who_read_what(file: Path) -> None:
    audit = audit_at(file)
    audit.add(record(10))
    audit.close()
    assert lines(file) == [
        {
            "time": "2026-01-05T08:00:00.250000Z", "caller": "5f0c", "kind": "key", "peer": "10.0.0.1",
            "route": "/get-online-features", "service": "eta_model", "views": ["driver_now"], "rows": 10, "status": 200,
        }
    ]  # fmt: skip
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_is_there_within_a_second_without_being_closed(file: Path) -> None:
    audit = audit_at(file)
    audit.add(record())
    began = time.monotonic()
    until(lambda: file.exists() and lines(file))
    assert time.monotonic() - began < 1
    audit.close()


def test_nothing_is_made_before_there_is_something_to_write(file: Path) -> None:
    audit_at(file).close()
    assert not file.exists()


def test_full_files_are_kept_by_number_and_the_oldest_go(file: Path) -> None:
    writer = AuditFile(file, 30, 2)
    for number in range(5):
        writer.write(b"%d" % number * 29 + b"\n")
    writer.write(b"new\n")
    writer.close()
    found = {path.name: path.read_text()[0] for path in file.parent.glob("requests*")}
    assert found == {"requests.jsonl": "n", "requests.jsonl.1": "4", "requests.jsonl.2": "3"}


def test_a_file_that_a_tool_moved_away_is_begun_again(file: Path) -> None:
    writer = AuditFile(file, 1_000, 2)
    writer.write(b"1\n")
    file.replace(file.with_name("moved"))
    writer.write(b"2\n")
    writer.close()
    assert file.read_text() == "2\n"


def test_more_than_may_wait_is_dropped_counted_and_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit = audit_at(file, most_waiting=5)
    for number in range(8):
        audit.add(record(number))
    assert audit.dropped == 3
    audit.close()
    assert [line.get("rows") for line in lines(file)] == [0, 1, 2, 3, 4, None]
    assert lines(file)[-1] == {"dropped": 3}
    assert caplog.text.count("are dropped") == 1


def test_a_file_that_can_not_be_written_holds_nobody_up(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.write_text("in the way")
    audit = audit_at(file)
    audit.add(record())
    until(lambda: audit.dropped == 1)
    audit.add(record())
    until(lambda: audit.dropped == 2)
    assert caplog.text.count("can't be written") == 1
    file.parent.unlink()
    audit.add(record(7))
    until(lambda: file.exists() and len(lines(file)) == 2)
    audit.close()
    assert lines(file) == [{**lines(file)[0], "rows": 7}, {"dropped": 2}]
    assert "is written again; dropped so far: 2" in caplog.text


WRITER = """
import sys
from pathlib import Path
from headrace.server.security.audit_file import AuditFile
file = AuditFile(Path(sys.argv[1]), 2_000, 100)
for number in range(200):
    file.write((sys.argv[2] * 50 + "\\n").encode())
"""


def test_processes_share_a_file_and_no_line_is_lost_or_torn(file: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), letter]) for letter in "abc"]
    assert [writer.wait(20) for writer in writers] == [0, 0, 0]
    written = "".join(path.read_text() for path in file.parent.glob("requests.jsonl*")).splitlines()
    assert sorted(written) == sorted(letter * 50 for letter in "abc" for _ in range(200))
    assert len(list(file.parent.glob("requests.jsonl.*"))) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_that_was_forked_writes_its_own(file: Path) -> None:
    program = (
        "import os, sys\n"
        "from tests.unit.server.security.test_audit import audit_at, record\n"
        "from pathlib import Path\n"
        "audit = audit_at(Path(sys.argv[1])); audit.add(record(1))\n"
        "child = os.fork(); audit.add(record(2 if child else 3))\n"
        "audit.close()\n"
        "os._exit(0) if not child else os.waitpid(child, 0)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(file)], check=True, cwd=Path(__file__).parents[4]
    )
    assert sorted(line["rows"] for line in lines(file)) == [1, 2, 3]
