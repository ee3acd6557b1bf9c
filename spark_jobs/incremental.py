"""Mobility dated by file, added up week by week: a night grids what is new and adds it to what is kept.

What is kept is a tree of exact sums. A leaf holds those of one week's files, a branch those of eight weeks; each lies
in a folder that is named by all that it depends on (files by path, size and time of change; settings; code). So nobody
has to say what changed: a new, late or corrected file gives its week another name, and the old one is not asked for
again. Sums are exact (`spark_jobs.exact`), and so the edges are those of a rebuild, to the byte.
"""

import fcntl
import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from spark_jobs.clustering import on_each_file
from spark_jobs.edges import Least, Part, Received, Written, sum_of, write_part, write_self_flow
from spark_jobs.errors import InputError
from spark_jobs.exchange import exchanged
from spark_jobs.judging import added_counts, quarantine
from spark_jobs.movement import Movement
from spark_jobs.output import in_one_step, part_files, part_name, written_by_tasks

DAYS_PER_LEAF = 7
LEAVES_PER_BRANCH = 8
STATED = "node.json"
QUARANTINE = "quarantine"
LOCK = "lock"
OURS = re.compile(r"(draft-)?[0-9a-f]{32}(-[0-9a-f]{8})?")  # names of folders that this may delete
SETTINGS = ("kind", "places", "resolution", "time_zone")
CODE = (
    *("edges", "exact", "exchange", "gridding", "incremental", "judging", "kernels", "movement", "moves"),
    *("output", "plain", "records", "remote", "sources", "spans"),
)
LIBRARIES = ("h3ronpy", "numpy", "pyarrow", "pyspark")
Fingerprint = tuple[str, int, int]


@dataclass(frozen=True)
class Node:
    """Sums that are kept, or to be made: of files (path, size, time of change), or of the nodes below."""

    key: str
    files: "tuple[Fingerprint, ...]" = ()
    below: "tuple[Node, ...]" = ()

    def all(self) -> "list[Node]":
        """This node and all below it."""
        return [self, *(node for child in self.below for node in child.all())]


@dataclass(frozen=True)
class Gridded:
    """What an incremental run did: ``made`` leaves and branches of all ``nodes``; ``quarantined`` by reason."""

    written: Written
    quarantined: dict[str, int]
    made: int
    nodes: int


def grow(params: Mapping[str, Any], dates: Mapping[str, str], buckets: int) -> list[Node]:
    """The branches of a region's files, oldest first.

    Args:
        params: of the job.
        dates: the day of each file, as 2024-03-01.
        buckets: partitions by origin; part of every name.
    """
    told = {name: params.get(name) for name in SETTINGS}
    told["columns"], told["format"] = params["source"]["columns"], params["source"]["format"]
    if params.get("places"):
        told["place_files"] = [_fingerprint(file) for file in params["places"]["files"]]
    common = json.dumps([told, buckets, _code()], sort_keys=True)
    branches: dict[int, dict[int, list[str]]] = {}
    for file in params["source"]["files"]:
        leaf = date.fromisoformat(dates[file]).toordinal() // DAYS_PER_LEAF
        branches.setdefault(leaf // LEAVES_PER_BRANCH, {}).setdefault(leaf, []).append(file)
    found = []
    for _, weeks in sorted(branches.items()):
        leaves = []
        for _, files in sorted(weeks.items()):
            marks = tuple(_fingerprint(file) for file in sorted(files))
            leaves.append(Node(_name(common, json.dumps(marks)), marks))
        found.append(
            leaves[0] if len(leaves) == 1 else Node(_name(*(leaf.key for leaf in leaves)), below=tuple(leaves))
        )
    return found


def _name(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _fingerprint(file: str) -> Fingerprint:
    stat = Path(file).stat()
    return file, stat.st_size, stat.st_mtime_ns


def _code() -> str:
    """The code that makes sums, and the libraries that it uses: a change of them makes all sums anew."""
    sources = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in CODE)
    versions = "".join(version(name) for name in LIBRARIES)
    return hashlib.sha256(b"".join([*sources, versions.encode()])).hexdigest()


def write_incrementally(
    spark: SparkSession,
    branches: Sequence[Node],
    movement_of: Callable[[tuple[str, ...]], Movement],
    kept: Path,
    buckets: int,
    least: Least,
    output: Mapping[str, str],
) -> Gridded:
    """Make the nodes that are not kept yet, write edges, self-flow and quarantine, forget what is no longer used.

    Args:
        movement_of: the moves of some of the raw files.
        kept: the folder of the tree.
        output: folders ``edges``, ``self_flow``, ``quarantine``; bad rows are put beside what lies there.
    """
    kept.mkdir(parents=True, exist_ok=True)
    with _alone(kept):
        nodes = [node for branch in branches for node in branch.all()]
        made = 0
        for node in reversed(nodes):  # what is below comes first
            if not _is_whole(kept / node.key):
                _make(spark, node, movement_of, kept, buckets)
                made += 1
        leaves = [kept / node.key for node in nodes if not node.below]
        stated = [json.loads((leaf / STATED).read_text()) for leaf in leaves]
        written = _write_edges(spark, [str(kept / branch.key) for branch in branches], stated, buckets, least, output)
        _copy_quarantine(leaves, Path(output["quarantine"]))
        _forget(kept, {node.key for node in nodes})
    return Gridded(written, added_counts(each["reasons"] for each in stated), made, len(nodes))


def _write_edges(
    spark: SparkSession,
    folders: Sequence[str],
    stated: Sequence[Mapping[str, Any]],
    buckets: int,
    least: Least,
    output: Mapping[str, str],
) -> Written:
    """Add up the branches and write edges and self-flow; `stated` are the leaves' counts."""
    target, inside = Path(output["edges"]), Path(output["self_flow"])
    with written_by_tasks(target), written_by_tasks(inside):
        kernel = partial(_finish, folders=folders, least=least, target=str(target))
        parts: list[Part] = on_each_file(spark, range(buckets), kernel)
        self_flow = write_self_flow([part.self_flow for part in parts], inside)
    return Written(
        edges=sum(part.edges for part in parts),
        self_flow=self_flow,
        edges_suppressed=sum(part.edges_suppressed for part in parts),
        cells_suppressed=sum(part.cells_suppressed for part in parts),
        read=sum(each["read"] for each in stated),
        good=sum(each["good"] for each in stated),
    )


def _forget(kept: Path, used: set[str]) -> None:
    """Delete the nodes that are not used, and what killed runs left."""
    for folder in kept.iterdir():
        if OURS.fullmatch(folder.name) and folder.name not in used:
            (folder / STATED).unlink(missing_ok=True)  # first: half of a folder is no node
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Keep other runs out of the tree: they would delete what this one is making.

    Raises:
        InputError: if one is at work. The lock of a killed run is free at once.
    """
    with (kept / LOCK).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"Another run is at work in {kept}: wait until it has ended, or stop it.") from None
        yield


def _is_whole(folder: Path) -> bool:
    """Whether a node is there with all the files that it states."""
    try:
        stated = json.loads((folder / STATED).read_text())
    except (FileNotFoundError, ValueError):
        return False
    return all((folder / name).exists() for name in stated["parts"])


def _make(
    spark: SparkSession, node: Node, movement_of: Callable[[tuple[str, ...]], Movement], kept: Path, buckets: int
) -> None:
    """Make a node beside its place and move it there in one step: a killed run leaves no half of it."""
    draft = kept / f"draft-{node.key}-{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        with written_by_tasks(draft):
            if node.below:
                folders = [str(kept / child.key) for child in node.below]
                on_each_file(spark, range(buckets), partial(_merge, folders=folders, target=str(draft)))
                stated: dict[str, Any] = {}
            else:
                files = tuple(file for file, _, _ in node.files)
                stated = _grid(movement_of(files), draft, buckets)
                if tuple(map(_fingerprint, files)) != node.files:
                    raise InputError(f"{files[0]} or a file of the same week changed while it was read. Run it again.")
        stated["parts"] = sorted(str(part.relative_to(draft)) for part in draft.rglob("*.parquet"))
        (draft / STATED).write_text(json.dumps(stated))
        shutil.rmtree(kept / node.key, ignore_errors=True)  # what is left of one that is not whole
        draft.rename(kept / node.key)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _grid(movement: Movement, draft: Path, buckets: int) -> dict[str, Any]:
    """Add up the moves of a leaf's files, and write their bad rows."""
    packed = exchanged(movement.packed(buckets), buckets)
    counts = packed.mapInArrow(partial(_write_leaf, target=str(draft)), "read long, good long").toArrow()
    read, good = (pc.sum(counts[name]).as_py() or 0 for name in ("read", "good"))
    movement.judged[0].tell(read, good)
    reasons = quarantine(movement.judged[:1], str(draft / QUARANTINE)) if read > good else {}
    return {"read": read, "good": good, "reasons": reasons}


def _write_leaf(batches: Any, target: str) -> Any:
    received = Received(batches)
    sums = received.sums()
    if received.bucket is not None:
        _write_sums(sums, Path(target) / part_name(received.bucket))
    counts = [[received.tally.read], [received.tally.good]]
    yield pa.record_batch(counts, schema=pa.schema([("read", pa.int64()), ("good", pa.int64())]))


def _write_sums(sums: pa.Table | None, target: Path) -> None:
    if sums is not None:
        if "user" in sums.column_names:  # numbers in one week, texts in another
            users = sums["user"].cast(pa.large_string())
            sums = sums.set_column(sums.column_names.index("user"), "user", users)
        with in_one_step(target) as draft:
            pq.write_table(sums, draft, compression="zstd", use_dictionary=["origin"])


def _sums_of(bucket: int, folders: Sequence[str]) -> pa.Table | None:
    files = [Path(folder) / part_name(bucket) for folder in folders]
    return sum_of(pq.read_table(file, use_threads=False, partitioning=None) for file in files if file.exists())


def _merge(number: int, bucket: int, folders: Sequence[str], target: str) -> None:
    _write_sums(_sums_of(bucket, folders), Path(target) / part_name(bucket))


def _finish(number: int, bucket: int, folders: Sequence[str], least: Least, target: str) -> Part:
    return write_part(_sums_of(bucket, folders), bucket, least, target)


def _copy_quarantine(leaves: Sequence[Path], target: Path) -> None:
    files = [file for leaf in leaves if (leaf / QUARANTINE).is_dir() for file in part_files(str(leaf / QUARANTINE))]
    before = len(list(target.glob("*.parquet")))
    for number, file in enumerate(files, before):
        shutil.copyfile(file, target / part_name(number))
