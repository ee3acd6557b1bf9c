"""Sampling each origin's strongest tenth: the job `sample_graph`, DuckDB and Spark's window, on the same files.

python -m benchmarks.spark_sampling --size 100M --repeats 3 --sail /path/of/python-with-pysail
Each way runs in a process of its own, in turn; the results must be equal row for row. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import json
import shutil
from argparse import Namespace
from pathlib import Path

import duckdb

from benchmarks.measure import ROOT, Usage, machine, run_measured, save_report
from benchmarks.spark_data import Edges, make_once
from benchmarks.spark_ways import (
    DUCKDB_MEMORY,
    Peer,
    as_row,
    command,
    fresh,
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

SHARE = "0.1"
ROWS_PER_FILE = 5_000_000
PLAIN_UP_TO = 20_000_000  # Spark's window took minutes for 100 million
WANTED = f"greatest(1, ceil(count(*) OVER (PARTITION BY origin) * {SHARE}))"
RANK = "row_number() OVER (PARTITION BY origin ORDER BY flow DESC, destination)"
RANKED = f"SELECT origin, destination, flow, {RANK} AS place, {WANTED} AS wanted FROM edges"
QUERY = f"SELECT origin, destination, flow FROM ({RANKED}) WHERE place <= wanted"
NAMES = {
    "sample_graph": "job sample_graph",
    "duckdb": f"DuckDB, {DUCKDB_MEMORY}",
    "sail": "Sail row_number",
    "window": "Spark row_number",
}


def sample_by_duckdb(edges: str, target: str, scratch: str) -> None:
    """DuckDB's own form, writing one file."""
    with duckdb.connect(config={"memory_limit": DUCKDB_MEMORY, "temp_directory": scratch}) as connection:
        connection.execute("SET preserve_insertion_order = false")  # the faster way for DuckDB
        connection.execute(
            f"COPY (SELECT origin, destination, flow FROM '{edges}/*.parquet' QUALIFY {RANK} <= {WANTED}) "
            f"TO '{target}/part-00000.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )


def sample_by_window(edges: str, target: str, scratch: str) -> None:
    """Spark's plain form: the same query, one shuffle of all edges."""
    from spark_jobs.session import spark_session

    with spark_session("window") as spark:
        spark.read.parquet(edges).createOrReplaceTempView("edges")
        spark.sql(QUERY).write.mode("overwrite").parquet(target)


PEERS: dict[str, Peer] = {"duckdb": sample_by_duckdb, "window": sample_by_window}


def differences(ours: Path, theirs: Path, scratch: Path) -> tuple[int, int]:
    """Rows of ours, and rows that stand in one result alone or with another flow."""
    with duckdb.connect(config={"memory_limit": DUCKDB_MEMORY, "temp_directory": str(scratch)}) as connection:
        found = connection.execute(
            f"SELECT count(a.origin), count(*) FILTER (WHERE a.flow IS DISTINCT FROM b.flow) "
            f"FROM '{ours}/*.parquet' a FULL JOIN '{theirs}/*.parquet' b USING (origin, destination)"
        ).fetchone()
    shutil.rmtree(scratch, ignore_errors=True)
    return (int(found[0]), int(found[1])) if found else (0, -1)


def measure(options: Namespace) -> dict[str, float]:
    """Run all ways in turn, compare their results, save the table in the folder of reports.

    Raises:
        RuntimeError: if the results differ.
    """
    size, rows = options.size, rows_of(options.size)
    edges = make_once(options.data / f"edges-{size}", Edges(rows, files=max(4, -(-rows // ROWS_PER_FILE))))
    size_in_bytes, work, facts = read_once(edges), options.data / f"sampled-{size}", machine()

    def run(way: str) -> Usage:
        if way == "sail":
            program, target = str(ROOT / "benchmarks" / "sail.py"), fresh(work / "sail")
            scratch = fresh(work / "sail_scratch")
            command_line = [options.sail, program, str(edges), QUERY, str(target)]
            return run_measured(command_line, scratch, {"TMPDIR": str(scratch)})
        if way != "sample_graph":
            return run_peer("benchmarks.spark_sampling", way, edges, work)
        return run_job("sample_graph", {"edges": str(edges), "share": float(SHARE)}, ["graph"], work)

    runs = in_turn(["sample_graph", "duckdb", *(["sail"] if options.sail else [])], options.repeats, run)
    if rows <= options.plain_up_to:
        runs["window"] = [run("window")]
    kept = 0
    for way in [*runs][1:]:
        kept, different = differences(work / "sample_graph" / "graph", work / way, work / "scratch")
        if different:
            raise RuntimeError(f"{different} of {kept} rows differ between sample_graph and {way}.")
    shutil.rmtree(work)
    read = report_of(runs["sample_graph"][-1])["read"]
    table = [as_row(NAMES[way], own, runs["sample_graph"], read, "edges") for way, own in runs.items()]
    ratio = median_ratio(runs["sample_graph"], runs["duckdb"])
    facts |= {"edges": f"{read:,} in {len(list(edges.glob('*.parquet')))} files, {size_in_bytes / 1e9:.2f} GB"}
    facts |= {"kept": f"{kept:,}, equal row for row in all ways", "median_ratio_to_duckdb": round(ratio, 3)}
    facts["command"] = shown_command("sampling", options)
    print(save_report(options.reports, f"sampling-{size}", f"Sampling {size} edges", table, facts))
    peak = max(usage.peak_gib for usage in runs["sample_graph"])
    return {"sampling_vs_duckdb": round(ratio, 3), "sampling_peak_gib": round(peak, 2)}


def main() -> None:
    parser = command(__doc__, "edges", PEERS, PLAIN_UP_TO)
    parser.add_argument("--sail", help="a Python that has pysail and pyspark-client: Sail takes part")
    print(json.dumps(measure(options_of(parser, PEERS))))


if __name__ == "__main__":
    main()
