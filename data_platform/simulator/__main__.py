"""Command line: `python -m data_platform.simulator --days 3 --drivers 2000 --out DIR`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from data_platform.simulator.city import City
from data_platform.simulator.faults import FaultShares


def main(arguments: list[str] | None = None) -> None:
    """Write a simulation and print what it holds."""
    parser = argparse.ArgumentParser(prog="python -m data_platform.simulator", description=__doc__)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--drivers", type=int, default=2000, help="drivers on the books at the start")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--start", default="2026-01-05", help="first day, UTC")
    parser.add_argument("--ping-interval-s", type=float, default=15.0, help="seconds between a driver's pings")
    parser.add_argument("--gps-format", choices=("parquet", "jsonl"), default="parquet")
    parser.add_argument("--no-faults", action="store_true", help="everything lands once, whole and in time")
    parser.add_argument("--out", type=Path, required=True, help="folder for landing/, labels/ and truth/")
    given = parser.parse_args(arguments)

    faults = FaultShares.none() if given.no_faults else FaultShares()
    try:
        city = City(given.seed, given.drivers, given.start, given.ping_interval_s, faults)
        began = time.perf_counter()
        written = city.write(given.out, given.days, given.gps_format)
    except ValueError as error:
        parser.error(str(error))
    took_s = time.perf_counter() - began
    print(f"{written.files} landing files, {written.size_bytes / 1e6:.1f} MB, in {took_s:.1f} s: {given.out}")
    print(f"  gps               {written.gps_messages:>12,} messages of {written.pings:,} pings")
    for fault, count in sorted(written.gps_faults.items()):
        print(f"    {fault:<26}{count:>8,}")
    print(f"  rides             {written.ride_changes:>12,} changes, {written.rides:,} rides requested")
    for fault, count in sorted(written.ride_faults.items()):
        print(f"    {fault:<26}{count:>8,}")
    print(f"  driver documents  {written.document_rows:>12,} rows")
    print(f"  labels            {written.labels:>12,}")


if __name__ == "__main__":
    main()
