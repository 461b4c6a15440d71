"""Command line: `python -m data_platform.live --seconds 30` lets a city happen now, and shows what is served."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from data_platform.live.run import Options, run_live
from data_platform.stack.ports import parse_port
from headrace.errors import HeadraceError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the live demo; the exit code is 1 if it failed or values differ, 130 if it was interrupted."""
    given = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        outcome = run_live(Options(**vars(given)))
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. All that was started has ended.", file=sys.stderr)
        return _INTERRUPTED
    is_right = outcome["expected"] == outcome["found"] and not any(view["different"] for view in outcome["views"])
    return 0 if is_right else 1


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m data_platform.live", description=__doc__)
    parser.add_argument("--seconds", type=float, default=default.seconds, help="how long it is watched (90)")
    parser.add_argument("--drivers", type=int, default=default.drivers, help="drivers on the books (3000)")
    parser.add_argument("--ping-seconds", type=float, default=default.ping_seconds, help="between a driver's pings (5)")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--folder", type=Path, help="where the project is left; without it, nothing is")
    parser.add_argument("--page", type=parse_port, default=default.page, help="the page's port; any that is free")
    parser.add_argument("--picture", type=Path, help="a PNG file for a picture of the page (needs chromium)")
    parser.add_argument("--kafka", default="", help="host:port of a broker that runs, instead of one of its own")
    parser.add_argument("--redis", default="", help="redis://… of a server that runs, instead of one of its own")
    return parser


def _interrupt(_: int, __: FrameType | None) -> None:
    """End what was started; once is enough."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
