"""Nightly incremental runs: the files that are new are gridded and added to the cached sums of the window.

What left the window, and what a corrected file said before, is taken away again: sums are exact, so that the edges are
those of a rebuild, to the byte (`merging`). Where the sums of the window are not in the cache, or most of them change,
they are added up from those of the files (`sums_cache`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from socket import gethostname

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.dataset import dataset
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import QUARANTINE
from spark_jobs.clustering import on_each_file
from spark_jobs.mobility.daily_sums import Days, read_slots, rhythm_name
from spark_jobs.mobility.edges import OF_CELLS, Part, Thresholds, Written, sum_of, write_of_cells, write_part
from spark_jobs.mobility.merging import negated, with_change
from spark_jobs.mobility.move_tables import added_up
from spark_jobs.mobility.rhythm import counted as counts_added_up
from spark_jobs.mobility.sums_cache import BAD_ROWS_FOLDER, CachedFile, SumsCache, Total, name_of
from spark_jobs.output import in_one_step, part_files, part_name, written_by_tasks
from spark_jobs.validation import ROWS_PER_FILE

Slices = Mapping[str, Mapping[int, Days]]  # by batch and the file's number in it: the days that are read


@dataclass(frozen=True)
class Change:
    """What makes the sums of a window: of ``base`` (a folder, or None: of nothing), ``added`` and ``taken`` away.

    ``rows``: how many are read; ``parts``: the files that there are, by folder.
    """

    base: str | None
    added: Slices
    taken: Slices
    rows: int
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)


def window_of(files: Sequence[CachedFile], weeks: int | None) -> dict[str, Days]:
    """The days that count of each file, by key: all (None), or the last weeks up to the newest day of all."""
    spans = {file.key: file.days for file in files if file.days}
    if weeks is None or not spans:
        return spans
    first = max(last for _, last in spans.values()) - 7 * weeks + 1
    return {key: (max(first, own[0]), own[1]) for key, own in spans.items() if own[1] >= first}


def counted(files: Sequence[CachedFile], wanted: Mapping[str, Days]) -> list[CachedFile]:
    """The files that have a day in the window, or no good row at all."""
    return [file for file in files if file.key in wanted or not file.days]


def smallest_change(wanted: Mapping[str, Days], totals: Sequence[Total], known: Mapping[str, CachedFile]) -> Change:
    """How to come to the sums of a window with the fewest rows to add up."""
    changes = [change_from(Total(), wanted, known)]
    changes += [change_from(total, wanted, known) for total in totals if total.held.keys() <= known.keys()]
    return min(changes, key=lambda change: change.rows)


def change_from(total: Total, wanted: Mapping[str, Days], known: Mapping[str, CachedFile]) -> Change:
    """From the days that a total holds to those that are wanted."""
    added: dict[str, dict[int, Days]] = {}
    taken: dict[str, dict[int, Days]] = {}
    rows = 0
    for key in sorted(wanted.keys() | total.held.keys()):
        file, here, there = known[key], wanted.get(key), total.held.get(key)
        for side, days in ((added, less(here, there)), (taken, less(there, here))):
            if days:
                side.setdefault(file.batch, {})[file.number] = days
                rows += file.good
    return Change(total.folder or None, added, taken, rows)


def less(days: Days | None, others: Days | None) -> Days | None:
    """The days of one span that are not in another; both are of one file, and so end on the same day."""
    if days is None or others is None:
        return days
    return (days[0], others[0] - 1) if days[0] < others[0] else None


def write_window(
    spark: SparkSession,
    cache: SumsCache,
    files: Sequence[CachedFile],
    weeks: int | None,
    buckets: int,
    least: Thresholds,
    bad: Collection[str],
    output: Mapping[str, str],
) -> Written:
    """Bring the sums of the window up to date, write edges, self-flow, rhythm and quarantine, forget the rest.

    Args:
        files: the region's, all of them in the cache; those without a day in the window count nowhere.
        bad: the reasons of bad rows.
        output: folders ``edges``, ``self_flow``, ``rhythm``, ``quarantine``; bad rows are put beside what is there.

    Raises:
        UserError: if somebody changed the cache.
    """
    wanted, known = window_of(files, weeks), cache.files(buckets)
    totals = cache.totals(buckets)
    name = "total-" + name_of(str(sorted(wanted.items())))
    if any(total.folder == name for total in totals):
        parts = add_up(spark, cache, Change(name, {}, {}, 0), None, buckets, least, output)
    else:
        change = smallest_change(wanted, totals, known)
        with cache.new_folder(name, buckets) as (draft, record), written_by_tasks(draft):
            parts = add_up(spark, cache, change, draft, buckets, least, output)
            record["held"] = wanted
    of_cells = {name: [getattr(part, name) for part in parts] for name in OF_CELLS}
    of_cells_written = write_of_cells(spark, of_cells, least, output)
    inside_window = counted(files, wanted)
    copy_bad_rows(cache, inside_window, bad, Path(output["quarantine"]))
    cache.forget([name, *(file.batch for file in files)])
    return Written(
        edges=sum(part.edges for part in parts),
        **of_cells_written,
        edges_suppressed=sum(part.edges_suppressed for part in parts),
        cells_suppressed=sum(part.cells_suppressed for part in parts),
        edges_outside=sum(part.edges_outside for part in parts),
        flow_outside=sum(part.flow_outside for part in parts),
    )


def add_up(
    spark: SparkSession,
    cache: SumsCache,
    change: Change,
    target: Path | None,
    buckets: int,
    least: Thresholds,
    output: Mapping[str, str],
) -> list[Part]:
    """Change the sums of each partition, write them to `target` (None: they are in the cache) and write their edges."""
    edges = Path(output["edges"])
    folders = {*change.added, *change.taken, *([change.base] if change.base else [])}
    change = replace(change, parts={folder: cache.parts(folder) for folder in folders})
    kernel = partial(finish, cache=cache.folder, change=change, target=target, least=least, edges=str(edges))
    with written_by_tasks(edges):
        return on_each_file(spark, range(buckets), kernel)


def finish(
    number: int, bucket: int, cache: Path, change: Change, target: Path | None, least: Thresholds, edges: str
) -> Part:
    """One partition, in a task."""
    moves, by_hour = part_name(bucket), rhythm_name(bucket)
    try:
        sums = {
            moves: sums_in(cache, change, moves, added_up),
            by_hour: sums_in(cache, change, by_hour, counts_added_up),
        }
    except (ArithmeticError, pa.ArrowException, OSError) as error:
        text = f"What earlier runs left in {cache} was changed or is damaged ({error}). Delete that folder."
        raise UserError(text) from None
    for part, table in sums.items():
        if target and table is not None:
            with in_one_step(target / part) as draft:  # read and written by every run: quick matters more than small
                pq.write_table(table, draft, compression="lz4", use_dictionary=["origin"])
    return write_part(sums[moves], sums[by_hour], bucket, least, edges)


def sums_in(cache: Path, change: Change, part: str, add: Callable[[pa.Table], pa.Table]) -> pa.Table | None:
    """The sums of a part of that name, changed.

    Args:
        add: adds up tables as `added_up` does.
    """

    def moves(slices: Slices) -> Iterator[pa.Table]:
        for batch, files in slices.items():
            if part in change.parts[batch]:
                yield from read_slots(stated(cache / batch / part), files)

    sums = None
    if change.base and part in change.parts[change.base]:
        sums = pq.read_table(stated(cache / change.base / part), use_threads=False, partitioning=None)
    return with_change(sums, sum_of(chain(moves(change.added), map(negated, moves(change.taken))), add))


def stated(file: Path) -> Path:
    """A file that a record states.

    Raises:
        UserError: if it is not there.
    """
    if not file.exists():
        raise UserError(
            f"{file} does not exist on {gethostname()}. Every worker needs its folder under the same path; if somebody "
            "deleted it, run the job again."
        )
    return file


def copy_bad_rows(cache: SumsCache, files: Sequence[CachedFile], bad: Collection[str], target: Path) -> None:
    """Write the bad rows of the files (those of the reasons `bad`), by their paths, beside those in the folder."""
    with_bad_rows = sorted((file for file in files if file.counts.keys() & set(bad)), key=lambda file: file.path)
    number = len(list(target.glob("*.parquet")))
    with written_by_tasks(target):
        for file in with_bad_rows:
            parts = dataset(part_files(str(cache.folder / file.batch / BAD_ROWS_FOLDER)), QUARANTINE)
            rows = parts.scanner(filter=pc.field("source") == file.path, use_threads=False).to_reader()
            number = write_rows(rows, target, number)


def write_rows(rows: pa.RecordBatchReader, target: Path, number: int) -> int:
    """Write rows as files of `ROWS_PER_FILE` and less, numbered from one up; returns the next number."""
    while held := list(islice(rows, 1)):
        count = held[0].num_rows
        for batch in rows:
            held.append(batch)
            count += batch.num_rows
            if count >= ROWS_PER_FILE:
                break
        if count:
            with in_one_step(target / part_name(number)) as draft:
                pq.write_table(pa.Table.from_batches(held, QUARANTINE), draft)
            number += 1
    return number
