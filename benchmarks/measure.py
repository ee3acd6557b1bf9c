"""What benchmarks measure with."""
# ruff: noqa: T201 - what a part prints is shown

import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from mora_pipeline.steps.meter import Meter

GIB = 1 << 30
ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "docs" / "benchmarks"


@dataclass(frozen=True)
class Usage:
    """What a child process took, all processes below it included.

    ``seconds`` of wall time; ``processor_seconds``, over all cores; peak memory; most bytes in its scratch folder.
    """

    seconds: float
    processor_seconds: float
    peak_gib: float
    spill_gib: float
    output: str


def run_measured(command: Sequence[str], scratch: Path, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end.

    Args:
        scratch: the folder where the command spills to, watched meanwhile.
        environment: variables besides this process' own.

    Raises:
        RuntimeError: if it fails; with the last lines that it wrote.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {**os.environ, "PYTHONPATH": path, **(environment or {})}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=own)
        over, watched = threading.Event(), _Watched()
        watcher = threading.Thread(target=_watch, args=(child.pid, scratch, over, watched), daemon=True)
        try:
            with Meter(process=child.pid) as meter:
                watcher.start()
                status = child.wait()
                figures = meter.metadata()
        finally:
            child.kill()  # it lives only if this process was interrupted
            over.set()
            watcher.join()
        for file in (out, log):
            file.seek(0)
        if status:
            raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{log.read()[-3000:]}")
        processor = round(sum(watched.processor_seconds.values()), 2)
        return Usage(figures["seconds"], processor, figures["peak_memory_gib"], watched.spill_bytes / GIB, out.read())


@dataclass
class _Watched:
    """What was seen so far: processor time by process, and the most bytes in the scratch folder."""

    processor_seconds: dict[psutil.Process, float] = field(default_factory=dict)
    spill_bytes: int = 0


def _watch(process: int, folder: Path, over: threading.Event, watched: _Watched) -> None:
    while not over.wait(0.25):
        size = 0
        with contextlib.suppress(psutil.NoSuchProcess):  # what it took until the last look counts
            top = psutil.Process(process)
            for each in (top, *top.children(recursive=True)):
                watched.processor_seconds[each] = sum(each.cpu_times()[:2])
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # it is gone already
                    size += Path(parent, name).stat().st_size
        watched.spill_bytes = max(watched.spill_bytes, size)


def run_alone(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a benchmark module in a process of its own, so that its peak of memory is its own.

    Returns:
        Its last line, which is JSON.
    """
    command = [sys.executable, "-m", module, *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def run_shown(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The same, its output shown as it goes; where it fails, this process ends too."""
    last = "{}"
    with subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            print(line, end="", flush=True)
            last = line
    if child.returncode:
        sys.exit(f"{module} ended with {child.returncode}.")
    return dict(json.loads(last))


def machine(*packages: str) -> dict[str, Any]:
    """Where figures were measured, and with what."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "processor": platform.processor() or platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in packages or ("pyspark", "pyarrow", "numpy", "duckdb")},
    }


def save_report(
    folder: Path, name: str, title: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> str:
    """Write <name>.md and <name>.json: the table, and a line a fact.

    Returns:
        The table, as Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    lines = [[str(row[column]) for column in columns] for row in rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in [columns, ["---"] * len(columns), *lines])
    listed = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items())
    (folder / f"{name}.md").write_text(f"# {title}\n\n{table}\n\n{listed}\n")
    (folder / f"{name}.json").write_text(json.dumps({"title": title, "rows": rows, **facts}, indent=1) + "\n")
    return table


def held_bytes() -> int:
    """The memory that this process holds now; on Linux `peak_bytes` forgets what was before."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """The most memory that this process has held so far, or since `held_bytes`."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would start at what the parent held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
