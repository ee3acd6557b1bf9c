"""Gridding where one place has 30 % of all trips, or one user a million events, beside the same without them.

python -m benchmarks.spark_skew --size 20M --repeats 3
The last line is JSON: the median time with the hot key over that without, for each kind.
"""
# ruff: noqa: T201 - a command prints

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measure import Usage, machine, save_report
from benchmarks.spark_data import RESOLUTION, Events, Trips, make_once
from benchmarks.spark_gridding import EVENTS_PER_USER, ROWS_PER_FILE
from benchmarks.spark_ways import as_row, command, in_turn, median_ratio, options_of, read_once, rows_of, run_job

HOT_SHARE = 0.3
HOT_ROWS = 1_000_000


def raw_of(size: str, data: Path) -> dict[str, Path]:
    """The four folders of raw records."""
    rows = rows_of(size)
    files, users = max(4, -(-rows // ROWS_PER_FILE)), max(1, rows // EVENTS_PER_USER)
    hot_rows = min(HOT_ROWS, rows // 5)
    wanted = {
        "trips": Trips(rows, files=files),
        "trips, hot place": Trips(rows, files=files, hot_share=HOT_SHARE),
        "events": Events(rows, users, files=files),
        "events, hot user": Events(rows, users, files=files, hot_rows=hot_rows),
    }
    names = {name: name.replace(", ", "-").replace(" ", "-") for name in wanted}
    return {name: make_once(data / f"{names[name]}-{size}", what) for name, what in wanted.items()}


def measure(options: Namespace) -> dict[str, float]:
    """Grid all four in turn and save the table in the folder of reports."""
    raw, facts = raw_of(options.size, options.data), machine()
    work = options.data / f"skew-{options.size}"

    def run(name: str) -> Usage:
        files = sorted(map(str, raw[name].glob("*.parquet")))
        columns = {column: column for column in pq.read_schema(files[0]).names}
        source = {"files": files, "format": "parquet", "columns": columns}
        params = {"kind": name.split(",")[0], "source": source, "resolution": RESOLUTION}
        return run_job("grid_mobility", params, ["edges", "self_flow", "rhythm", "quarantine"], work)

    for folder in raw.values():
        read_once(folder)
    runs = in_turn([*raw], options.repeats, run)
    shutil.rmtree(work)
    rows = rows_of(options.size)
    table = [as_row(name, own, own, rows, "rows") for name, own in runs.items()]
    for row in table:
        del row["ours takes"]
    figures = {
        "skew_trips": round(median_ratio(runs["trips, hot place"], runs["trips"]), 3),
        "skew_events": round(median_ratio(runs["events, hot user"], runs["events"]), 3),
    }
    facts |= figures | {"command": f"`make bench-spark SIZE={options.size} ARGS='--part skew'`"}
    print(save_report(options.reports, f"skew-{options.size}", f"Skew, {options.size} rows", table, facts))
    return figures


def main() -> None:
    print(json.dumps(measure(options_of(command(__doc__, "rows", {}, 0), {}))))


if __name__ == "__main__":
    main()
