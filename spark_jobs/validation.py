"""Raw rows as Spark's tasks read and validate them; the bad ones are kept in a quarantine, counted and bounded."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import QUARANTINE
from mora_pipeline.raw.bad_share import EXAMPLES, check_share
from mora_pipeline.raw.pseudonyms import job_key
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.rules import MALFORMED_ROW, Rule, is_true
from mora_pipeline.raw.shown_rows import as_json, shapes_of
from mora_pipeline.raw.source import GEOMETRY, NUMBER, TEXT, Source
from mora_pipeline.raw.tallies import Tally, merged, rows_by_reason
from mora_pipeline.raw.validator import Derive, Validator
from spark_jobs.by_split import BySplit, Tallies
from spark_jobs.output import checked_empty, open_parquet, part_files, part_name, write_parts
from spark_jobs.quiet import quietly
from spark_jobs.report import Check

ROWS_PER_FILE = 1_000_000
USER = "user"  # the role that says who somebody is
# Of a role, by its kind; a time and a cell are longs.
SPARK_TYPES = {NUMBER: "double", TEXT: "string", GEOMETRY: "binary"}


@dataclass
class ValidatedRows:
    """The rows of a source, read by tasks when somebody asks for them, and counted on the way.

    Attributes:
        kinds: of the source's roles, as for `SourceReader`.
        derived: the types (of Spark) of the columns that `derive` adds.
        reasons, apart: rows that are bad and apart, by reason, once they were read.
    """

    spark: SparkSession
    source: Source
    kinds: Mapping[str, str]
    rules: Sequence[Rule]
    time_zone: str | None = None
    derive: Derive | None = None
    derived: Mapping[str, str] = field(default_factory=dict)
    amount: str | None = None

    def __post_init__(self) -> None:
        self.name = self.source.describe()
        whole = Rule(MALFORMED_ROW, ("malformed",), is_true)
        amount = self.amount if self.amount in self.source.columns else None
        self.validator = Validator((whole, *self.rules), self.derive, amount)
        self.reader = SourceReader.of(self.source, self.kinds, self.time_zone)
        self._tallies: Tallies = self.spark.sparkContext.accumulator({}, BySplit())

    def mapped(self, kernel: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], schema: str) -> DataFrame:
        """Run a kernel over the good rows of each task's splits.

        Args:
            kernel: is given all columns, derived ones among them.
            schema: of what it yields, as Spark's DDL.
        """
        task = partial(_task, reader=self.reader, validator=self.validator, tallies=self._tallies, kernel=kernel)
        return self._splits(range(len(self.reader.splits))).mapInArrow(task, schema)

    def good(self, *columns: str) -> DataFrame:
        """Columns of the good rows."""
        types = self.types(*columns)
        schema = ", ".join(f"{name} {kind}" for name, kind in types.items())
        return self.mapped(partial(selected, types=types), schema)

    def types(self, *columns: str) -> dict[str, str]:
        """The types (of Spark) of columns."""
        every = {**{role: SPARK_TYPES.get(kind, "long") for role, kind in self.kinds.items()}, **self.derived}
        return {name: every[name] for name in columns}

    def _splits(self, numbers: Sequence[int]) -> DataFrame:
        if list(numbers) == list(range(len(numbers))):
            return self.spark.range(0, len(numbers), 1, max(len(numbers), 1))
        rows = self.spark.sparkContext.parallelize([(number,) for number in numbers], len(numbers))
        return self.spark.createDataFrame(rows, "id long")

    def bad(self) -> DataFrame:
        """The bad rows: source, reason, and the raw values as JSON, with pseudonyms in place of users.

        Only splits that have some are read again.
        """
        bad = set(self.validator.bad_reasons())
        counts = self._counted()
        with_bad = [number for number in sorted(counts) if any(reason in bad for _, reason in counts[number].counts)]
        key = job_key() if USER in self.reader.kinds else b""
        task = partial(_bad_rows, reader=self.reader, validator=self.validator, key=key)
        return self._splits(with_bad).mapInArrow(task, "source string, reason string, row string")

    @property
    def tally(self) -> Tally:
        """What was counted of all rows; those that no action has read are read now."""
        tallies = self._counted()
        return merged(tallies[number] for number in sorted(tallies))

    def _counted(self) -> dict[int, Tally]:
        """The tally of each split."""
        tallies = self._tallies.value
        if len(tallies) < len(self.reader.splits):  # Spark leaves out tasks whose rows it does not need
            self._splits(range(len(self.reader.splits))).mapInArrow(
                partial(_task, reader=self.reader, validator=self.validator, tallies=self._tallies, kernel=_none),
                "id long",
            ).count()
        return self._tallies.value

    @property
    def num_read(self) -> int:
        """Rows read."""
        return sum(count.rows for count in self.tally.counts.values())

    @property
    def num_bad(self) -> int:
        """Bad rows."""
        return sum(self.reasons.values())

    @property
    def reasons(self) -> dict[str, int]:
        return rows_by_reason(self.tally.by_reason(), self.validator.bad_reasons())

    @property
    def apart(self) -> dict[str, int]:
        return rows_by_reason(self.tally.by_reason(), self.validator.apart_reasons())

    def check_share(self, allowed: float, setting: str, folder: str) -> None:
        """Refuse the source if it is empty or too much of it is bad: see `bad_share.check_share`."""
        counts, apart = self.tally.by_reason(), self.validator.apart_reasons()
        examples = bad_examples(folder, rows_by_reason(counts, self.validator.bad_reasons()))
        check_share(self.name, counts, apart, allowed, setting, self.amount, examples, folder)


def _task(
    numbers: Iterator[pa.RecordBatch],
    reader: SourceReader,
    validator: Validator,
    tallies: Tallies,
    kernel: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
) -> Iterator[pa.RecordBatch]:
    yield from quietly(kernel(_good_rows(numbers, reader, validator, tallies)))


def _good_rows(
    numbers: Iterator[pa.RecordBatch], reader: SourceReader, validator: Validator, tallies: Tallies
) -> Iterator[pa.RecordBatch]:
    """The good rows of the splits that the batches number; all are counted."""
    for batch in numbers:
        for number in batch["id"].to_pylist():
            tally = Tally()
            for rows, raw in reader.read(number):
                derived, broken = validator.validated(reader, rows, raw, tally)
                good = broken == len(validator.rules)
                if good.any():
                    yield derived if good.all() else derived.filter(pa.array(good))
            tallies.add({number: tally})


def selected(batches: Iterator[pa.RecordBatch], types: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Columns of the rows as Spark wants them: whole numbers that are ids become text.

    Args:
        types: of the columns, as of `ValidatedRows.types`.
    """
    kinds = {"string": pa.string(), "binary": pa.binary()}
    for batch in batches:
        yield pa.record_batch(
            {name: batch[name].cast(kinds[kind]) if kind in kinds else batch[name] for name, kind in types.items()}
        )


def _none(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _ in batches:
        pass
    yield from ()


def _bad_rows(
    numbers: Iterator[pa.RecordBatch], reader: SourceReader, validator: Validator, key: bytes
) -> Iterator[pa.RecordBatch]:
    yield from quietly(_quarantined(numbers, reader, validator, key))


def _quarantined(
    numbers: Iterator[pa.RecordBatch], reader: SourceReader, validator: Validator, key: bytes
) -> Iterator[pa.RecordBatch]:
    reasons = pa.array([rule.reason for rule in validator.rules])
    fault = np.array([not rule.apart for rule in validator.rules] + [False])
    for batch in numbers:
        for number in batch["id"].to_pylist():
            for rows, raw in reader.read(number):
                _, broken = validator.broken(rows)
                bad = np.flatnonzero(fault[broken])
                if len(bad):
                    source = rows["source"].take(pa.array(bad)).dictionary_decode()
                    users = reader.columns_of(USER, rows["source"].dictionary[0].as_py())
                    texts = as_json(raw.take(pa.array(bad)), users, key)
                    columns = [source, reasons.take(pa.array(broken[bad])), texts]
                    yield pa.record_batch(columns, names=["source", "reason", "row"])


@dataclass(frozen=True)
class BadRows:
    """Bad rows of a job and those apart, by reason; of its main source the share that is bad and the allowed one."""

    read: int
    quarantined: dict[str, int]
    share: float
    allowed: float
    apart: dict[str, int] = field(default_factory=dict)

    def check(self) -> Check:
        """bad_rows_within_limit: a job that reports had no more."""
        figures = {"bad_share": self.share, "allowed": self.allowed, "reasons": self.quarantined, "apart": self.apart}
        return Check(True, figures)


def quarantine_and_check(sources: Sequence[ValidatedRows], allowed: float, setting: str, folder: str) -> BadRows:
    """Write the bad rows to the quarantine and decide whether the job may go on; the good ones were read before.

    Args:
        sources: the main one first, then the tables it refers to.
        allowed: the largest share of bad rows, and of what they carry, of each source.
        setting: the key of region.yaml that states it, for the message.
        folder: of the quarantine dataset.

    Raises:
        UserError: if a source holds no rows, more bad rows than allowed, or no good one.
    """
    quarantine(sources, folder)
    for source in reversed(sources):  # a bad table of places explains the rows that refer to it
        source.check_share(allowed, setting, folder)
    main = sources[0]
    quarantined = total_counts(source.reasons for source in sources)
    apart = total_counts(source.apart for source in sources)
    return BadRows(main.num_read, quarantined, main.num_bad / main.num_read, allowed, apart)


def quarantine(sources: Sequence[ValidatedRows], folder: str) -> None:
    """Write the bad rows of all sources, each source's sorted by file, reason and row; for the user's eyes alone.

    Raises:
        UserError: if there are not as many as there were when the good ones were read.
    """
    target, number = checked_empty(folder), 0
    target.chmod(0o700)  # before there is a row in it
    for source in sources:
        if not source.num_bad:
            continue
        files, bad = 1 + source.num_bad // ROWS_PER_FILE, source.bad()
        spread = bad.repartition(files, "reason", "row") if files > 1 else bad.coalesce(1)
        rows = write_parts(spread.sortWithinPartitions("source", "reason", "row"), folder, QUARANTINE, number)
        if rows != source.num_bad:
            raise UserError(f"{source.name} changed while it was read. Run the job again.")
        number += len(part_files(folder)[number:]) if any(target.glob("*.parquet")) else 0
    if not number:
        pq.write_table(QUARANTINE.empty_table(), target / part_name(0))
    for file in part_files(folder):
        with contextlib.suppress(PermissionError):  # of another user, on a cluster: the folder is closed anyway
            Path(file).chmod(0o600)


def bad_examples(folder: str, reasons: Mapping[str, int]) -> list[str]:
    """The shapes of a few of the bad rows in a quarantine, of the most frequent of some reasons."""
    if not reasons:
        return []
    wanted = max(reasons, key=lambda reason: (reasons[reason], reason))
    shown: list[str] = []
    for file in part_files(folder):
        for batch in open_parquet(file).iter_batches():
            for row in batch.filter(pc.field("reason") == wanted).slice(0, EXAMPLES).to_pylist():
                shape = shapes_of(row["row"])
                shown.append(shape if shown else f"{shape} of {row['source']} ({wanted}; 9: a digit, a: a letter)")
            if len(shown) >= EXAMPLES:
                return shown[:EXAMPLES]
    return shown


def total_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total
