"""Each row is validated: good, or bad for one named reason; the bad ones are kept apart, counted, and bounded."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, Observation, SparkSession, types
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import QUARANTINE
from spark_jobs.output import checked_empty, open_parquet, part_files, part_name, write_parts
from spark_jobs.report import Check
from spark_jobs.rules import Rule, broken_rules
from spark_jobs.sources import NUMBER, TEXT, Source, as_json, read_groups, read_source

ROWS_PER_FILE = 1_000_000
SPARK_TYPES = {NUMBER: "double", TEXT: "string"}  # of a role, by its kind; a time is a long
Derive = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class Validator:
    """The rules of a source; ``derive`` adds the columns that they or the kernels need beside those that are read."""

    rules: tuple[Rule, ...]
    derive: Derive | None = None

    def broken(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.int16]]:
        """Rows with what is derived, and the first rule that each breaks, int16 [n] (as `broken_rules`)."""
        derived = self.derive(rows) if self.derive else rows
        return derived, broken_rules(derived, self.rules)

    def good(self, rows: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """The good rows."""
        derived, broken = self.broken(rows)
        chosen, good = derived.select(list(columns)), broken == len(self.rules)
        return chosen if good.all() else chosen.filter(pa.array(good))


@dataclass
class ValidatedRows:
    """The rows of a source, read when somebody asks for them.

    They are counted on the way, by the first action on `good`, or by the tasks where these read the files.

    Attributes:
        kinds: of the source's roles, as for `read_source`.
        rules: the first that holds of a row gives the reason why it is bad.
        derived: the types (of Spark) of the columns that `derive` adds.
        reasons: bad rows by reason, once `quarantine` has written them.
    """

    spark: SparkSession
    source: Source
    kinds: Mapping[str, str]
    rules: Sequence[Rule]
    time_zone: str | None = None
    derive: Derive | None = None
    derived: Mapping[str, str] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.source.describe()
        self.validator = Validator(tuple(self.rules), self.derive)
        self._observed = Observation(), Observation()
        self._counted: tuple[int, int] | None = None

    def count_as(self, read: int, good: int) -> None:
        """Take over what the tasks have counted: a task that Spark repeats is counted once."""
        self._counted = (read, good)

    def raw(self, *columns: str) -> DataFrame:
        """The rows as Spark reads them: what the rules and `derive` look at, and these columns."""
        frame = read_source(self.spark, self.source, self.kinds, self.time_zone)
        return frame.select(self._inputs(frame, columns))

    def _inputs(self, frame: DataFrame, columns: Sequence[str]) -> list[str]:
        asked = {*columns, *(name for rule in self.rules for name in rule.columns)}
        return [name for name in frame.columns if name in asked or name not in ("source", "row", "values")]

    def good(self, *columns: str) -> DataFrame:
        """Columns of the good rows."""
        every = {**{role: SPARK_TYPES.get(kind, "long") for role, kind in self.kinds.items()}, **self.derived}
        read, good = self._observed
        raw = self.raw().observe(read, sql.count(sql.lit(1)).alias("rows"))
        rows = raw.mapInArrow(
            partial(_good_rows, validator=self.validator, columns=columns),
            ", ".join(f"{name} {every[name]}" for name in columns),
        )
        return rows.observe(good, sql.count(sql.lit(1)).alias("rows"))

    def bad(self) -> DataFrame:
        """The bad rows: source, reason, and the raw values as JSON."""
        frames = []
        for frame in read_groups(self.spark, self.source, self.kinds, self.time_zone):
            inputs = frame.select(self._inputs(frame, ["source", "values"]))
            texts = [types.StructField(name, types.StringType()) for name in ("source", "reason")]
            schema = types.StructType([*texts, frame.schema["values"]])
            bad = inputs.mapInArrow(partial(_bad_rows, validator=self.validator), schema)
            frames.append(bad.select("source", "reason", as_json("values").alias("row")))
        return reduce(DataFrame.union, frames)

    @cached_property
    def _figures(self) -> tuple[int, int]:
        """Rows read and good rows; waits for the first action on `good`."""
        try:
            read, good = (int(observed.get["rows"]) for observed in self._observed)
        except Py4JJavaError:  # where no row is good, Spark may put an empty plan, without observations, in its place
            return self._count()
        return read, good

    def _count(self) -> tuple[int, int]:
        self._observed = Observation(), Observation()
        good = self.good(*list(self.kinds)[:1]).count()
        return self.raw().count(), good

    @property
    def num_read(self) -> int:
        """Rows read."""
        return (self._counted or self._figures)[0]

    @property
    def num_bad(self) -> int:
        """Bad rows."""
        read, good = self._counted or self._figures
        return read - good

    def take_reasons(self, reasons: dict[str, int]) -> None:
        """Take over the bad rows by reason, as they were written.

        Raises:
            UserError: if there are not as many as there were bad rows when the good ones were read.
        """
        self.reasons = reasons
        if sum(reasons.values()) != self.num_bad and not self._counted:
            self._counted = self._count()  # a task that was repeated may have been observed twice
        if sum(reasons.values()) != self.num_bad:
            raise UserError(f"{self.name} changed while it was read. Run the job again.")


def _good_rows(
    batches: Iterator[pa.RecordBatch], validator: Validator, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield validator.good(batch, columns)


def _bad_rows(batches: Iterator[pa.RecordBatch], validator: Validator) -> Iterator[pa.RecordBatch]:
    reasons = pa.array([rule.reason for rule in validator.rules])
    for batch in batches:
        _, broken = validator.broken(batch)
        bad = np.flatnonzero(broken < len(validator.rules))
        columns = [batch["source"].take(bad), reasons.take(pa.array(broken[bad])), batch["values"].take(bad)]
        yield pa.record_batch(columns, names=["source", "reason", "values"])


@dataclass(frozen=True)
class BadRows:
    """All bad rows of a job by reason, and of its main source the share that they are and the one that is allowed."""

    read: int
    quarantined: dict[str, int]
    share: float
    allowed: float

    def check(self) -> Check:
        """bad_rows_within_limit: a job that reports had no more."""
        return Check(True, {"bad_share": self.share, "allowed": self.allowed, "reasons": self.quarantined})


def quarantine_and_check(sources: Sequence[ValidatedRows], allowed: float, setting: str, folder: str) -> BadRows:
    """Write the bad rows to the quarantine and decide whether the job may go on; the good ones were read before.

    Args:
        sources: the main one first, then the tables it refers to.
        allowed: the largest share of bad rows, of each source.
        setting: the key of region.yaml that states it, for the message.
        folder: of the quarantine dataset.

    Raises:
        UserError: if a source holds no rows, more bad rows than allowed, or no good one.
    """
    quarantine(sources, folder)
    for source in reversed(sources):  # a bad table of places explains the rows that refer to it
        check_share(source.name, source.num_read, source.reasons, allowed, setting, folder)
    main = sources[0]
    quarantined = total_counts(source.reasons for source in sources)
    return BadRows(main.num_read, quarantined, main.num_bad / main.num_read, allowed)


def quarantine(sources: Sequence[ValidatedRows], folder: str) -> None:
    """Write the bad rows of all sources, each source's sorted by file, reason and row."""
    target, number = checked_empty(folder), 0
    for source in sources:
        if not source.num_bad:
            continue
        files, bad = 1 + source.num_bad // ROWS_PER_FILE, source.bad()
        spread = bad.repartition(files, "reason", "row") if files > 1 else bad.coalesce(1)
        write_parts(spread.sortWithinPartitions("source", "reason", "row"), folder, QUARANTINE, number)
        written = part_files(folder)[number:] if any(target.glob("*.parquet")) else []
        source.take_reasons(total_counts(counts for _, counts in counts_by_file(written)))
        number += len(written)
    if not number:
        pq.write_table(QUARANTINE.empty_table(), target / part_name(0))


def counts_by_file(parts: Iterable[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Bad rows by reason of each raw file, from parts of a quarantine; a file may come repeatedly."""
    for part in parts:
        counted = open_parquet(part).read(columns=["source", "reason"]).group_by(["source", "reason"])
        for row in counted.aggregate([([], "count_all")]).to_pylist():
            yield row["source"], {row["reason"]: row["count_all"]}


def total_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total


def check_share(name: str, read: int, counts: Mapping[str, int], allowed: float, setting: str, folder: str) -> None:
    """Refuse a source without rows, with more bad rows than allowed, or without a good one.

    Args:
        counts: bad rows by reason; the rows themselves are in `folder`.
    """
    bad = sum(counts.values())
    if read == 0:
        raise UserError(f"{name} holds no rows.")
    listed = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
    if bad > allowed * read:
        raise UserError(
            f"{name}: {bad:,} of {read:,} rows ({bad / read:.2%}) are bad, more than {setting} = {allowed:g} allows. "
            f"{listed}.{_example(folder, counts)} All of them are in {folder}. Fix the file, or raise {setting}."
        )
    if bad == read:
        raise UserError(f"{name}: none of its {read:,} rows can be used. {listed}.")


def _example(folder: str, counts: Mapping[str, int]) -> str:
    """A sentence with one of the bad rows, of the most frequent reason."""
    wanted = max(counts, key=lambda reason: (counts[reason], reason))
    for file in part_files(folder):
        for batch in open_parquet(file).iter_batches():
            for row in batch.filter(pc.field("reason") == wanted).slice(0, 1).to_pylist():
                return f" For example {row['row']} of {row['source']} ({wanted})."
    return ""
