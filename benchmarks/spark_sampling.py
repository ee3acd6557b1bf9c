"""Sampling each origin's strongest tenth: the job `sample_graph`, DuckDB and Spark's window, on the same files.

python -m benchmarks.spark_sampling --size 100M --repeats 3
Each way runs in a process of its own, in turn; the results must be equal row for row. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.measure import REPORTS, Usage, machine, run_measured, save_report
from benchmarks.spark_data import Edges, make_once

SHARE = "0.1"
UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}
DUCKDB_MEMORY = "12GB"
ROWS_PER_FILE = 5_000_000
PLAIN_UP_TO = 20_000_000  # Spark's window took minutes for 100 million
WANTED = f"greatest(1, ceil(count(*) OVER (PARTITION BY origin) * {SHARE}))"
RANK = "row_number() OVER (PARTITION BY origin ORDER BY flow DESC, destination)"
NAMES = {"sample_graph": "job sample_graph", "duckdb": f"DuckDB, {DUCKDB_MEMORY}", "window": "Spark row_number"}


def rows_of(size: str) -> int:
    """The number behind 10M, 1.5B or 20000."""
    unit = UNITS.get(size[-1].upper(), 1)
    return round(float(size if unit == 1 else size[:-1]) * unit)


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
        ranked = f"SELECT origin, destination, flow, {RANK} AS place, {WANTED} AS wanted FROM edges"
        chosen = spark.sql(f"SELECT origin, destination, flow FROM ({ranked}) WHERE place <= wanted")
        chosen.write.mode("overwrite").parquet(target)


PEERS: dict[str, Callable[[str, str, str], None]] = {"duckdb": sample_by_duckdb, "window": sample_by_window}


def run_way(way: str, edges: Path, work: Path) -> Usage:
    """Sample in a child process into `work`/<way>."""
    target, scratch = work / way, work / f"{way}_scratch"
    for folder in (target, scratch):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.spark_sampling", "--peer", way]
    command += ["--edges", str(edges), "--target", str(target), "--scratch", str(scratch)]
    if way == "sample_graph":
        params = work / "params.json"
        params.write_text(json.dumps({"edges": str(edges), "share": float(SHARE), "output": {"graph": str(target)}}))
        command = [sys.executable, "-m", "spark_jobs.sample_graph", "--params", str(params)]
    environment = {"MORA_SPARK_CONF": json.dumps({"spark.local.dir": str(scratch)})}
    usage = run_measured(command, scratch, environment)
    shutil.rmtree(scratch)
    if way == "sample_graph":
        report = json.loads(usage.output.splitlines()[-1])
        if not all(check["passed"] for check in report["checks"].values()):
            raise RuntimeError(f"The job's own check failed: {report['checks']}")
    return usage


def differences(ours: Path, theirs: Path, scratch: Path) -> tuple[int, int]:
    """Rows of ours, and rows that stand in one result alone or with another flow."""
    with duckdb.connect(config={"memory_limit": DUCKDB_MEMORY, "temp_directory": str(scratch)}) as connection:
        found = connection.execute(
            f"SELECT count(a.origin), count(*) FILTER (WHERE a.flow IS DISTINCT FROM b.flow) "
            f"FROM '{ours}/*.parquet' a FULL JOIN '{theirs}/*.parquet' b USING (origin, destination)"
        ).fetchone()
    shutil.rmtree(scratch, ignore_errors=True)
    return (int(found[0]), int(found[1])) if found else (0, -1)


def read_once(folder: Path) -> int:
    """Read all files, so that no way is first to fetch them from the disk.

    Returns:
        Their bytes.
    """
    return sum(_length(file) for file in folder.glob("*.parquet"))


def _length(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(len(block) for block in iter(lambda: stream.read(1 << 24), b""))


def measure(size: str, data: Path, repeats: int, plain_up_to: int, reports: Path) -> dict[str, float]:
    """Run all ways in turn, compare their results, save the table in the folder of reports.

    Raises:
        RuntimeError: if the results differ.
    """
    rows = rows_of(size)
    edges = make_once(data / f"edges-{size}", Edges(rows, files=max(4, -(-rows // ROWS_PER_FILE))))
    size_in_bytes, work, facts = read_once(edges), data / f"sampled-{size}", machine()
    ways = ["sample_graph", "duckdb"]
    runs: dict[str, list[Usage]] = {way: [] for way in (*ways, *(["window"] if rows <= plain_up_to else []))}
    for repeat in range(repeats):
        for way in ways if repeat % 2 == 0 else reversed(ways):
            runs[way].append(run_way(way, edges, work))
            print(f"{way} {repeat}: {runs[way][-1].seconds:.1f} s, {runs[way][-1].peak_gib:.2f} GiB", flush=True)
    if "window" in runs:
        runs["window"].append(run_way("window", edges, work))
    kept = 0
    for way in [*runs][1:]:
        kept, different = differences(work / "sample_graph", work / way, work / "scratch")
        if different:
            raise RuntimeError(f"{different} of {kept} rows differ between sample_graph and {way}.")
    shutil.rmtree(work)
    read = json.loads(runs["sample_graph"][-1].output.splitlines()[-1])["read"]
    table = [as_row(NAMES[way], own, runs["sample_graph"], read) for way, own in runs.items()]
    pairs = zip(runs["sample_graph"], runs["duckdb"], strict=True)
    ratio = statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)
    facts |= {"edges": f"{read:,} in {len(list(edges.glob('*.parquet')))} files, {size_in_bytes / 1e9:.2f} GB"}
    facts |= {"kept": f"{kept:,}, equal row for row in all ways", "median_ratio_to_duckdb": round(ratio, 3)}
    facts["command"] = f"`make bench-spark SIZE={size} ARGS='--part sampling'`"
    print(save_report(reports, f"sampling-{size}", f"Sampling {size} edges", table, facts))
    peak = max(usage.peak_gib for usage in runs["sample_graph"])
    return {"sampling_vs_duckdb": round(ratio, 3), "sampling_peak_gib": round(peak, 2)}


def as_row(name: str, runs: list[Usage], ours: list[Usage], edges: int) -> dict[str, str]:
    """A line of the table."""
    seconds = statistics.median(usage.seconds for usage in runs)
    return {
        "way": name,
        "seconds, median": f"{seconds:.1f}",
        "seconds, all": ", ".join(f"{usage.seconds:.1f}" for usage in runs),
        "processor seconds": f"{statistics.median(usage.processor_seconds for usage in runs):.1f}",
        "million edges a second": f"{edges / seconds / 1e6:.1f}",
        "ours takes": f"{statistics.median(usage.seconds for usage in ours) / seconds:.2f}×",
        "peak memory, GiB": f"{max(usage.peak_gib for usage in runs):.2f}",
        "spill, GiB": f"{max(usage.spill_gib for usage in runs):.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="10M", help="edges: 10M, 100M, 1B")
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"), help="folder of the generated data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-up-to", type=int, default=PLAIN_UP_TO, help="edges up to which Spark's window runs")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--peer", choices=[*PEERS], help="run one peer alone, on --edges, --target, --scratch")
    for name in ("edges", "target", "scratch"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        PEERS[options.peer](options.edges, options.target, options.scratch)
        return
    data, plain_up_to = options.data.resolve(), options.plain_up_to
    print(json.dumps(measure(options.size, data, options.repeats, plain_up_to, options.reports)))


if __name__ == "__main__":
    main()
