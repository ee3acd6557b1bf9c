"""Gridding the same trips with their times, counted by hour of the week, and without.

python -m benchmarks.spark_hours --size 4M --repeats 3
The last line is JSON: processor seconds with times over those without, for each zone; medians.
"""
# ruff: noqa: T201 - a command prints

import json
import shutil
import statistics
from argparse import Namespace
from typing import Any

from benchmarks.measure import Usage, machine, save_report
from benchmarks.spark_data import RESOLUTION, TimedTrips, make_once
from benchmarks.spark_gridding import ENDS, ROWS_PER_FILE
from benchmarks.spark_ways import as_row, command, in_turn, options_of, read_once, rows_of, run_job

OUTPUTS = ["edges", "self_flow", "rhythm", "quarantine"]
PLAIN = "trips"
ZONES = {"trips, hours of UTC": "UTC", "trips, hours of New York": "America/New_York"}


def measure(options: Namespace) -> dict[str, float]:
    """Grid all three ways in turn and save the table in the folder of reports."""
    rows = rows_of(options.size)
    raw = make_once(
        options.data / f"timed-trips-{options.size}", TimedTrips(rows, files=max(4, -(-rows // ROWS_PER_FILE)))
    )
    files, work, facts = sorted(map(str, raw.glob("*.parquet"))), options.data / f"hours-{options.size}", machine()

    def run(name: str) -> Usage:
        columns = [*ENDS, *(["time"] if name in ZONES else [])]
        source: dict[str, Any] = {"files": files, "format": "parquet", "columns": {role: role for role in columns}}
        params = {"kind": "trips", "source": source, "resolution": RESOLUTION, "time_zone": ZONES.get(name)}
        return run_job("grid_mobility", params, OUTPUTS, work)

    read_once(raw)
    runs = in_turn([PLAIN, *ZONES], options.repeats, run)
    shutil.rmtree(work)
    table = [as_row(name, own, own, rows, "rows") for name, own in runs.items()]
    for row in table:
        del row["ours takes"]
    plain = statistics.median(usage.processor_seconds for usage in runs[PLAIN])
    figures = {
        f"hours_{zone.rpartition('/')[2].lower()}": round(
            statistics.median(usage.processor_seconds for usage in runs[name]) / plain, 3
        )
        for name, zone in ZONES.items()
    }
    facts |= figures | {"command": f"`make bench-spark SIZE={options.size} ARGS='--part hours'`"}
    print(save_report(options.reports, f"hours-{options.size}", f"Hours of {options.size} trips", table, facts))
    return figures


def main() -> None:
    print(json.dumps(measure(options_of(command(__doc__, "rows", {}, 0), {}))))


if __name__ == "__main__":
    main()
