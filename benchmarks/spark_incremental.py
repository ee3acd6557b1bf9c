"""A nightly run that adds one day to 54 weeks of trips, beside reading all of them again.

python -m benchmarks.spark_incremental --size 100M --trips-per-pair 100
The edges of both must be equal to the byte. The last line is JSON: the nightly run's time as a share of the rebuild's.
"""
# ruff: noqa: T201 - a command prints

import datetime
import hashlib
import json
import shutil
from argparse import Namespace
from pathlib import Path

from benchmarks.measure import GIB, Usage, machine, save_report
from benchmarks.spark_data import RESOLUTION, WEEKS, Trips, make_once
from benchmarks.spark_gridding import ENDS
from benchmarks.spark_ways import as_row, command, fresh, options_of, read_once, report_of, rows_of, run_job

DAYS = WEEKS * 7
FIRST_DAY = datetime.date(2024, 1, 1)
OUTPUTS = ["edges", "self_flow", "rhythm", "quarantine"]


def measure(options: Namespace) -> dict[str, float]:
    """Build 54 weeks, add a day (the first one leaves), and read the same days without a window.

    Raises:
        RuntimeError: if the edges differ.
    """
    rows, size, per_pair = rows_of(options.size), options.size, options.trips_per_pair
    wanted = Trips(rows * (DAYS + 1) // DAYS, trips_per_pair=per_pair, files=DAYS + 1)
    raw = make_once(options.data / f"days-{size}-{per_pair}", wanted)
    read_once(raw)
    files, facts, work = sorted(map(str, raw.glob("*.parquet"))), machine(), options.data / f"work-{size}-{per_pair}"
    dates = {file: (FIRST_DAY + datetime.timedelta(days=day)).isoformat() for day, file in enumerate(files)}

    def run(days: list[str], kept: Path | None, partitions: int | None = None) -> Usage:
        source = {"files": days, "format": "parquet", "columns": {name: name for name in ENDS}}
        params = {"kind": "trips", "source": source, "resolution": RESOLUTION, "partitions": partitions}
        if kept:
            params |= {"dates": {file: dates[file] for file in days}, "kept": str(kept)}
        usage = run_job("grid_mobility", params, OUTPUTS, work)
        print(f"{usage.seconds:.1f} s, {usage.peak_gib:.2f} GiB", flush=True)
        return usage

    kept = fresh(work) / "kept"
    runs = {"54 weeks, nothing kept": run(files[:-1], kept)}
    nightly = runs["one day more, the first one less"] = run(files[1:], kept)
    of_nightly = digests(work)
    kept_gib = sum(file.stat().st_size for file in kept.rglob("*.parquet")) / GIB
    shutil.rmtree(kept)
    rebuild = runs["the same days, without a window"] = run(files[1:], None, metadata_of(nightly)["partitions"])
    if digests(work) != of_nightly:
        raise RuntimeError("The nightly run's edges are not those of a rebuild.")
    share = round(nightly.seconds / rebuild.seconds, 3)
    edges = report_of(nightly)["rows"]["edges"]
    shutil.rmtree(work)
    table = [as_row(name, [usage], [usage], rows, "trips") for name, usage in runs.items()]
    for row in table:
        del row["ours takes"], row["seconds, all"]
    facts |= {"trips": f"{rows:,} in {DAYS} files, a day each", "trips_per_pair_of_places": per_pair}
    facts |= {"edges": f"{edges:,}", "kept_gib": round(kept_gib, 2), "incremental_share": share}
    facts["files_read_by_nightly_run"] = metadata_of(nightly)["files_read"]
    facts["command"] = f"`make bench-spark SIZE={size} ARGS='--part incremental --trips-per-pair {per_pair}'`"
    name, title = f"incremental-{size}-{per_pair}", f"One day more than {size} trips, {per_pair} a pair of places"
    print(save_report(options.reports, name, title, table, facts))
    return {"incremental_share": share}


def metadata_of(usage: Usage) -> dict[str, int]:
    return dict(report_of(usage)["metadata"])


def digests(work: Path) -> list[str]:
    files = [file for name in OUTPUTS for file in sorted((work / "grid_mobility" / name).glob("*.parquet"))]
    return [hashlib.file_digest(file.open("rb"), "sha256").hexdigest() for file in files]


def main() -> None:
    parser = command(__doc__, "trips", {}, 0)
    parser.add_argument("--trips-per-pair", type=int, default=100, help="how often a pair of places is travelled")
    print(json.dumps(measure(options_of(parser, {}))))


if __name__ == "__main__":
    main()
