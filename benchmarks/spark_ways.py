"""What the Spark benchmarks share: ways that do the same work, run in turn, and the table of what each took."""
# ruff: noqa: T201 - a command prints

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import REPORTS, ROOT, Usage, run_measured

UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}
DUCKDB_MEMORY = "12GB"
Peer = Callable[[str, str, str], None]  # source, target, scratch: folders


def rows_of(size: str) -> int:
    """The number behind 10M, 1.5B or 20000."""
    unit = UNITS.get(size[-1].upper(), 1)
    return round(float(size if unit == 1 else size[:-1]) * unit)


def read_once(folder: Path) -> int:
    """Read all files, so that no way is first to fetch them from the disk.

    Returns:
        Their bytes.
    """
    return sum(_length(file) for file in folder.glob("*.parquet"))


def _length(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(len(block) for block in iter(lambda: stream.read(1 << 24), b""))


def run_job(job: str, params: Mapping[str, Any], outputs: Sequence[str], work: Path) -> Usage:
    """Run one of our jobs into `work`/<job>/<output> in a process of its own.

    Raises:
        RuntimeError: if it fails, or one of its own checks.
    """
    target, scratch = fresh(work / job), fresh(work / f"{job}_scratch")
    complete = {**params, "output": {name: str(target / name) for name in outputs}}
    (work / "params.json").write_text(json.dumps(complete))
    command = [sys.executable, "-m", f"spark_jobs.{job}", "--params", str(work / "params.json")]
    usage = run_measured(command, scratch, {"MORA_SPARK_CONF": json.dumps({"spark.local.dir": str(scratch)})})
    shutil.rmtree(scratch)
    checks = report_of(usage)["checks"]
    if not all(check["passed"] for check in checks.values()):
        raise RuntimeError(f"The job's own check failed: {checks}")
    return usage


def report_of(usage: Usage) -> dict[str, Any]:
    """The report of one of our jobs: the last line that it printed."""
    return dict(json.loads(usage.output.splitlines()[-1]))


def run_peer(module: str, way: str, source: Path, work: Path) -> Usage:
    """Run a peer of a benchmark module into `work`/<way> in a process of its own."""
    target, scratch = fresh(work / way), fresh(work / f"{way}_scratch")
    command = [sys.executable, "-m", module, "--peer", way]
    command += ["--source", str(source), "--target", str(target), "--scratch", str(scratch)]
    usage = run_measured(command, scratch, {"MORA_SPARK_CONF": json.dumps({"spark.local.dir": str(scratch)})})
    shutil.rmtree(scratch)
    return usage


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def in_turn(ways: Sequence[str], repeats: int, run: Callable[[str], Usage]) -> dict[str, list[Usage]]:
    """Run every way so many times, forwards and backwards by turns."""
    runs: dict[str, list[Usage]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in ways if repeat % 2 == 0 else reversed(ways):
            runs[way].append(run(way))
            print(f"{way} {repeat}: {runs[way][-1].seconds:.1f} s, {runs[way][-1].peak_gib:.2f} GiB", flush=True)
    return runs


def median_ratio(ours: Sequence[Usage], theirs: Sequence[Usage]) -> float:
    """The median of our seconds over theirs, run by run."""
    return statistics.median(our.seconds / their.seconds for our, their in zip(ours, theirs, strict=True))


def as_row(name: str, runs: Sequence[Usage], ours: Sequence[Usage], rows: int, what: str) -> dict[str, str]:
    """A line of the table."""
    seconds = statistics.median(usage.seconds for usage in runs)
    return {
        "way": name,
        "seconds, median": f"{seconds:.1f}",
        "seconds, all": ", ".join(f"{usage.seconds:.1f}" for usage in runs),
        "processor seconds": f"{statistics.median(usage.processor_seconds for usage in runs):.1f}",
        f"million {what} a second": f"{rows / seconds / 1e6:.1f}",
        "ours takes": f"{statistics.median(usage.seconds for usage in ours) / seconds:.2f}×",
        "peak memory, GiB": f"{max(usage.peak_gib for usage in runs):.2f}",
        "spill, GiB": f"{max(usage.spill_gib for usage in runs):.2f}",
    }


def command(help_text: str | None, what: str, peers: Mapping[str, Peer], plain_up_to: int) -> argparse.ArgumentParser:
    """The options of a benchmark's command."""
    parser = argparse.ArgumentParser(description=help_text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="10M", help=f"{what}: 10M, 100M, 1B")
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"), help="folder of the generated data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-up-to", type=int, default=plain_up_to, help=f"{what} up to which plain Spark runs")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--peer", choices=[*peers], help="run one peer alone, on --source, --target, --scratch")
    for name in ("source", "target", "scratch"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    return parser


def shown_command(part: str, options: argparse.Namespace) -> str:
    """The command that made a report."""
    shown = {"repeats": options.repeats, "plain-up-to": options.plain_up_to, "sail": getattr(options, "sail", None)}
    arguments = " ".join(f"--{name} {value}" for name, value in shown.items() if value)
    return f"`make bench-spark SIZE={options.size} ARGS='--part {part} {arguments}'`"


def options_of(parser: argparse.ArgumentParser, peers: Mapping[str, Peer]) -> argparse.Namespace:
    """The options given; with --peer, that peer is run and the process ends."""
    options = parser.parse_args()
    if options.peer:
        peers[options.peer](options.source, options.target, options.scratch)
        sys.exit(0)
    options.data = options.data.resolve()
    # The first session keeps Spark's classes for the others, once: not part of any figure.
    subprocess.run([sys.executable, "-m", "spark_jobs.session"], cwd=ROOT, check=True)
    return options
