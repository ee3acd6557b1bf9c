"""Raw trips to edges: the job `grid_mobility`, Polars with polars-h3, DuckDB with h3ronpy, and plain Spark.

python -m benchmarks.spark_gridding --size 100M --repeats 3
Each way runs in a process of its own, in turn; the edges must be equal row for row. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import json
import os
import shutil
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Usage, machine, save_report
from benchmarks.spark_data import RESOLUTION, Trips, make_once
from benchmarks.spark_sampling import differences
from benchmarks.spark_ways import (
    DUCKDB_MEMORY,
    Peer,
    arguments,
    as_row,
    in_turn,
    median_ratio,
    read_once,
    report_of,
    rows_of,
    run_job,
    run_peer,
)

ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
ROWS_PER_FILE = 5_000_000
PLAIN_UP_TO = 10_000_000  # a Python call for each end of each trip
NAMES = {
    "grid_mobility": "job grid_mobility",
    "polars": "Polars, polars-h3",
    "duckdb": f"DuckDB, {DUCKDB_MEMORY}, cells by h3ronpy in a process a core",
    "udf": "Spark, an H3 function a column, groupBy",
}
MOVED = "count(*)::DOUBLE AS flow FROM moves WHERE origin <> destination GROUP BY origin, destination"


def grid_by_polars(trips: str, target: str, scratch: str) -> None:
    """Polars' streaming engine; the cells by its plug-in in Rust."""
    import polars as pl
    import polars_h3

    ends = {
        name: polars_h3.latlng_to_cell(f"{name}_latitude", f"{name}_longitude", RESOLUTION, return_dtype=pl.UInt64)
        for name in ("origin", "destination")
    }
    moves = pl.scan_parquet(f"{trips}/*.parquet").select(**ends).filter(pl.col("origin") != pl.col("destination"))
    counted = moves.group_by("origin", "destination").agg(flow=pl.len().cast(pl.Float64))
    edges = counted.cast({"origin": pl.Int64, "destination": pl.Int64}).sort("origin", "destination")
    edges.collect(engine="streaming").write_parquet(f"{target}/part-00000.parquet", compression="zstd")


def cells_of_file(file: str, target: str) -> None:
    """The cells of both ends of a file's trips, by h3ronpy."""
    from spark_jobs.gridding import cells_at

    schema = pa.schema([("origin", pa.int64()), ("destination", pa.int64())])
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch in pq.ParquetFile(file).iter_batches(1 << 20, columns=list(ENDS), use_threads=False):
            columns = [cells_at(batch[pair[0]], batch[pair[1]], RESOLUTION) for pair in (ENDS[:2], ENDS[2:])]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def grid_by_duckdb(trips: str, target: str, scratch: str) -> None:
    """Cells by h3ronpy, one file a process at a time; sums by DuckDB."""
    files = sorted(Path(trips).glob("*.parquet"))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(cells_of_file, map(str, files), [f"{scratch}/{file.name}" for file in files]))
    config = {"memory_limit": DUCKDB_MEMORY, "temp_directory": f"{scratch}/duckdb"}
    with duckdb.connect(config=config) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(
            f"COPY (SELECT origin, destination, {MOVED.replace('moves', repr(scratch + '/*.parquet'))} "
            f"ORDER BY origin, destination) TO '{target}/part-00000.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )


def grid_by_udf(trips: str, target: str, scratch: str) -> None:
    """Spark's plain form: the binding's function called for each row."""
    import h3
    from pyspark.sql import functions as sql

    from spark_jobs.session import spark_session

    with spark_session("udf") as spark:
        cell = sql.udf(lambda north, east: h3.str_to_int(h3.latlng_to_cell(north, east, RESOLUTION)), "long")
        moves = spark.read.parquet(trips).select(cell(*ENDS[:2]).alias("origin"), cell(*ENDS[2:]).alias("destination"))
        between = moves.where("origin <> destination").groupBy("origin", "destination")
        edges = between.agg(sql.count(sql.lit(1)).cast("double").alias("flow"))
        edges.write.mode("overwrite").parquet(target)


PEERS: dict[str, Peer] = {"polars": grid_by_polars, "duckdb": grid_by_duckdb, "udf": grid_by_udf}


def measure(options: Namespace) -> dict[str, float]:
    """Run all ways in turn, compare their results, save the table in the folder of reports.

    Raises:
        RuntimeError: if the results differ.
    """
    size, rows = options.size, rows_of(options.size)
    trips = make_once(options.data / f"trips-{size}", Trips(rows, files=max(4, -(-rows // ROWS_PER_FILE))))
    size_in_bytes, work, facts = read_once(trips), options.data / f"gridded-{size}", machine()
    files = sorted(map(str, trips.glob("*.parquet")))
    source = {"files": files, "format": "parquet", "columns": {name: name for name in ENDS}}

    def run(way: str) -> Usage:
        if way != "grid_mobility":
            return run_peer("benchmarks.spark_gridding", way, trips, work)
        params = {"kind": "trips", "source": source, "resolution": RESOLUTION}
        return run_job("grid_mobility", params, ["edges", "self_flow", "quarantine"], work)

    runs = in_turn(["grid_mobility", "polars", "duckdb"], options.repeats, run)
    if rows <= options.plain_up_to:
        runs["udf"] = [run("udf")]
    edges = 0
    for way in [*runs][1:]:
        edges, different = differences(work / "grid_mobility" / "edges", work / way, work / "scratch")
        if different:
            raise RuntimeError(f"{different} of {edges} edges differ between grid_mobility and {way}.")
    shutil.rmtree(work)
    ours = runs["grid_mobility"]
    read = report_of(ours[-1])["read"]
    table = [as_row(NAMES[way], own, ours, read, "trips") for way, own in runs.items()]
    best = max(median_ratio(ours, runs[way]) for way in ("polars", "duckdb"))
    facts |= {"trips": f"{read:,} in {len(files)} files, {size_in_bytes / 1e9:.2f} GB"}
    facts |= {"edges": f"{edges:,}, equal row for row in all ways", "median_ratio_to_the_best_peer": round(best, 3)}
    facts["command"] = f"`make bench-spark SIZE={size} ARGS='--part gridding'`"
    print(save_report(options.reports, f"gridding-{size}", f"Gridding {size} trips", table, facts))
    figures = {"gridding_vs_best": round(best, 3), "gridding_peak_gib": max(usage.peak_gib for usage in ours)}
    if "udf" in runs:
        figures["gridding_vs_plain"] = round(runs["udf"][0].seconds / min(usage.seconds for usage in ours), 2)
    return figures


def main() -> None:
    print(json.dumps(measure(arguments(__doc__, "trips", PEERS, PLAIN_UP_TO))))


if __name__ == "__main__":
    main()
