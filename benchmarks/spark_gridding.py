"""Raw trips or events to edges: the job `grid_mobility`, Polars with polars-h3, DuckDB with h3ronpy, and plain Spark.

python -m benchmarks.spark_gridding --size 100M --repeats 3
python -m benchmarks.spark_gridding --size 100M --kind events
Each way runs in a process of its own, in turn; the edges must be equal row for row. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import json
import os
import shutil
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Usage, machine, save_report
from benchmarks.spark_data import RESOLUTION, Events, Trips, make_once
from benchmarks.spark_sampling import differences
from benchmarks.spark_ways import (
    DUCKDB_MEMORY,
    Peer,
    as_row,
    command,
    in_turn,
    median_ratio,
    options_of,
    read_once,
    report_of,
    rows_of,
    run_job,
    run_peer,
    shown_command,
)

ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
EVENT_COLUMNS = ("user", "time", "latitude", "longitude")
PARTS = {"trips": "gridding", "events": "events"}  # the part of `benchmarks.spark` that measures a kind
ROWS_PER_FILE = 5_000_000
EVENTS_PER_USER = 100
GAP_HOURS = 24
PLAIN_UP_TO = 10_000_000  # a Python call for each end of each trip
NAMES = {
    "grid_mobility": "job grid_mobility",
    "polars": "Polars, polars-h3",
    "duckdb": f"DuckDB, {DUCKDB_MEMORY}, cells by h3ronpy in a process a core",
    "udf": "Spark, an H3 function a column, groupBy",
}
COUNTED = "SELECT origin, destination, count(*)::DOUBLE AS flow"
BETWEEN = "WHERE origin <> destination GROUP BY origin, destination ORDER BY origin, destination"
STEPS = f"""
    SELECT lag(cell) OVER diary AS origin, cell AS destination, time - lag(time) OVER diary AS gap FROM cells
    WINDOW diary AS (PARTITION BY "user" ORDER BY time, cell) QUALIFY gap <= INTERVAL {GAP_HOURS} HOUR
"""


def is_of_events(folder: str) -> bool:
    return "user" in pq.read_schema(next(Path(folder).glob("*.parquet"))).names


def grid_by_polars(raw: str, target: str, scratch: str) -> None:
    """Polars' streaming engine; the cells by its plug-in in Rust."""
    import polars as pl
    import polars_h3

    def cell(prefix: str) -> "pl.Expr":
        place = polars_h3.latlng_to_cell(f"{prefix}latitude", f"{prefix}longitude", RESOLUTION, return_dtype=pl.UInt64)
        return place.cast(pl.Int64)

    frame = pl.scan_parquet(f"{raw}/*.parquet")
    if is_of_events(raw):
        diary = frame.select("user", "time", cell=cell("")).sort("user", "time", "cell")
        before = pl.all().shift(1)
        steps = diary.with_columns(before.name.suffix("_before"))
        near = pl.col("time") - pl.col("time_before") <= pl.duration(hours=GAP_HOURS)
        steps = steps.filter((pl.col("user") == pl.col("user_before")) & near)
        moves = steps.select(origin="cell_before", destination="cell")
    else:
        moves = frame.select(origin=cell("origin_"), destination=cell("destination_"))
    between = moves.filter(pl.col("origin") != pl.col("destination")).group_by("origin", "destination")
    edges = between.agg(flow=pl.len().cast(pl.Float64)).sort("origin", "destination")
    edges.collect(engine="streaming").write_parquet(f"{target}/part-00000.parquet", compression="zstd")


def cells_of_file(file: str, target: str) -> None:
    """A file's records with cells in place of points, by h3ronpy."""
    from mora_pipeline.raw.places import cells_at

    source = pq.ParquetFile(file)
    kept = [name for name in source.schema_arrow.names if not name.endswith("itude")]
    points = {"": "cell"} if kept else {"origin_": "origin", "destination_": "destination"}
    schema = pa.schema(
        [*(source.schema_arrow.field(name) for name in kept), *((c, pa.int64()) for c in points.values())]
    )
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch in source.iter_batches(1 << 20, use_threads=False):
            cells = [cells_at(batch[f"{name}latitude"], batch[f"{name}longitude"], RESOLUTION) for name in points]
            writer.write_batch(pa.record_batch([*(batch[name] for name in kept), *cells], schema=schema))


def grid_by_duckdb(raw: str, target: str, scratch: str) -> None:
    """Cells by h3ronpy, one file a process at a time; the rest by DuckDB."""
    files = sorted(Path(raw).glob("*.parquet"))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(cells_of_file, map(str, files), [f"{scratch}/{file.name}" for file in files]))
    config = {"memory_limit": DUCKDB_MEMORY, "temp_directory": f"{scratch}/duckdb"}
    with duckdb.connect(config=config) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"CREATE VIEW cells AS FROM '{scratch}/*.parquet'")
        moves = f"({STEPS})" if is_of_events(raw) else "cells"
        edges = f"{COUNTED} FROM {moves} {BETWEEN}"
        connection.execute(f"COPY ({edges}) TO '{target}/part-00000.parquet' (FORMAT parquet, COMPRESSION zstd)")


def grid_by_udf(raw: str, target: str, scratch: str) -> None:
    """Spark's plain form: the binding's function called for each row, a window by user, a groupBy."""
    import h3
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    from spark_jobs.session import spark_session

    with spark_session("udf") as spark:
        cell = sql.udf(lambda north, east: h3.str_to_int(h3.latlng_to_cell(north, east, RESOLUTION)), "long")
        frame = spark.read.parquet(raw)
        if is_of_events(raw):
            diary = Window.partitionBy("user").orderBy("time", "cell")
            records = frame.select("user", "time", cell("latitude", "longitude").alias("cell"))
            gap = sql.unix_micros("time") - sql.unix_micros(sql.lag("time").over(diary))
            steps = records.select(
                sql.lag("cell").over(diary).alias("origin"), sql.col("cell").alias("destination"), gap.alias("gap")
            )
            moves = steps.where(sql.col("gap") <= GAP_HOURS * 3_600_000_000)
        else:
            moves = frame.select(cell(*ENDS[:2]).alias("origin"), cell(*ENDS[2:]).alias("destination"))
        between = moves.where("origin <> destination").groupBy("origin", "destination")
        edges = between.agg(sql.count(sql.lit(1)).cast("double").alias("flow"))
        edges.write.mode("overwrite").parquet(target)


PEERS: dict[str, Peer] = {"polars": grid_by_polars, "duckdb": grid_by_duckdb, "udf": grid_by_udf}


def make_raw(options: Namespace) -> tuple[Path, dict[str, Any]]:
    """The raw records that are asked for, and the job's parameters less its output."""
    rows = rows_of(options.size)
    count = max(4, -(-rows // ROWS_PER_FILE))
    if options.kind == "trips":
        raw, columns = make_once(options.data / f"trips-{options.size}", Trips(rows, files=count)), ENDS
    else:
        wanted = Events(rows, max(1, rows // EVENTS_PER_USER), files=count)
        raw, columns = make_once(options.data / f"events-{options.size}", wanted), EVENT_COLUMNS
    files = sorted(map(str, raw.glob("*.parquet")))
    source = {"files": files, "format": "parquet", "columns": {name: name for name in columns}}
    gap = {"maximum_gap_hours": GAP_HOURS} if options.kind == "events" else {}
    return raw, {"kind": options.kind, "source": source, "resolution": RESOLUTION, **gap}


def measure(options: Namespace) -> dict[str, float]:
    """Run all ways in turn, compare their results, save the table in the folder of reports.

    Raises:
        RuntimeError: if the results differ.
    """
    size, kind, (raw, params) = options.size, options.kind, make_raw(options)
    size_in_bytes, work, facts = read_once(raw), options.data / f"gridded-{kind}-{size}", machine()

    def run(way: str) -> Usage:
        if way != "grid_mobility":
            return run_peer("benchmarks.spark_gridding", way, raw, work)
        return run_job("grid_mobility", params, ["edges", "self_flow", "rhythm", "quarantine"], work)

    runs = in_turn(["grid_mobility", "polars", "duckdb"], options.repeats, run)
    if rows_of(size) <= options.plain_up_to:
        runs["udf"] = [run("udf")]
    edges = 0
    for way in [*runs][1:]:
        edges, different = differences(work / "grid_mobility" / "edges", work / way, work / "scratch")
        if different:
            raise RuntimeError(f"{different} of {edges} edges differ between grid_mobility and {way}.")
    shutil.rmtree(work)
    ours = runs["grid_mobility"]
    read = report_of(ours[-1])["read"]
    table = [as_row(NAMES[way], own, ours, read, kind) for way, own in runs.items()]
    best = max(median_ratio(ours, runs[way]) for way in ("polars", "duckdb"))
    facts |= {kind: f"{read:,} in {len(params['source']['files'])} files, {size_in_bytes / 1e9:.2f} GB"}
    facts |= {"edges": f"{edges:,}, equal row for row in all ways", "median_ratio_to_the_best_peer": round(best, 3)}
    facts["command"] = shown_command(PARTS[kind], options)
    print(save_report(options.reports, f"{PARTS[kind]}-{size}", f"Gridding {size} {kind}", table, facts))
    figures = {f"{PARTS[kind]}_vs_best": round(best, 3)}
    figures[f"{PARTS[kind]}_peak_gib"] = round(max(usage.peak_gib for usage in ours), 2)
    if "udf" in runs:
        figures[f"{PARTS[kind]}_vs_plain"] = round(runs["udf"][0].seconds / min(usage.seconds for usage in ours), 2)
    return figures


def main() -> None:
    parser = command(__doc__, "rows", PEERS, PLAIN_UP_TO)
    parser.add_argument("--kind", default="trips", choices=[*PARTS], help="of the raw records")
    print(json.dumps(measure(options_of(parser, PEERS))))


if __name__ == "__main__":
    main()
