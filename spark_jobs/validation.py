"""Each row is judged: good, or bad for one named reason; the bad ones are kept apart, counted, and bounded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import pyarrow.compute as pc
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import QUARANTINE
from spark_jobs.output import checked_empty, open_parquet, part_files, part_name, write_parts

Rule = tuple[Column, str]
ROWS_PER_FILE = 1_000_000

NO_COORDINATE = "coordinate missing or NaN"
NO_LATITUDE = "latitude beyond ±90"
NO_LONGITUDE = "longitude beyond ±180"
UNKNOWN_PLACE = "unknown place"
NO_ID = "id missing"
AMBIGUOUS_PLACE = "place listed at several points"
NO_USER = "user missing"
NO_TIME = "time unparsable"
NO_ZONE = "time without a zone"
LATE_TIME = "time after the file was written"
NO_TEXT = "no text"


def missing(name: str) -> Column:
    """True where a number is absent, unreadable or NaN."""
    return sql.col(name).isNull() | sql.isnan(name)


def coordinate_rules(latitude: str, longitude: str) -> list[Rule]:
    """A point must lie on the globe."""
    return [
        (missing(latitude) | missing(longitude), NO_COORDINATE),
        (sql.abs(sql.col(latitude)) > 90, NO_LATITUDE),
        (sql.abs(sql.col(longitude)) > 180, NO_LONGITUDE),
    ]


def positive_rules(name: str, label: str) -> list[Rule]:
    """A quantity must be a number above zero."""
    return [
        (missing(name), f"{label} missing or not a number"),
        (sql.col(name) <= 0, f"{label} not positive"),
        (sql.col(name) == float("inf"), f"{label} not finite"),
    ]


def share_rules(name: str, label: str) -> list[Rule]:
    """A weight or a bin must be a number, zero or above."""
    return [
        (missing(name), f"{label} missing or not a number"),
        (sql.col(name) < 0, f"{label} negative"),
        (sql.col(name) == float("inf"), f"{label} not finite"),
    ]


class ValidatedRows:
    """Rows with a ``reason`` (null: good), made when somebody asks for them.

    They are counted on the way, by the first action that reads them, and by the tasks where these read the files.
    """

    def __init__(self, name: str, make: Callable[[], tuple[list[Rule], DataFrame]]) -> None:
        """Judge rows; the first rule that holds gives the reason.

        Args:
            name: what the rows are, for messages: the file they come from.
            make: gives the rules, and raw rows with ``source`` and ``row`` beside the columns that the rules look at.
        """
        self.name = name
        self._make = make
        self._observation = Observation()
        self._told: tuple[int, int] | None = None

    def tell(self, read: int, good: int) -> None:
        """Say what the tasks have counted: a task that Spark repeats is counted once."""
        self._told = (read, good)

    @cached_property
    def _judged(self) -> tuple[DataFrame, tuple[str, ...], tuple[Column, ...]]:
        """The rows, the reasons, and the columns that count."""
        rules, frame = self._make()
        reasons = tuple(dict.fromkeys(reason for _, reason in rules))
        reason = sql.coalesce(*(sql.when(condition, sql.lit(text)) for condition, text in rules))
        counts = [sql.count_if(sql.col("reason") == text).alias(f"r{number}") for number, text in enumerate(reasons)]
        counted = (sql.count(sql.lit(1)).alias("read"), *counts)
        return frame.withColumn("reason", reason).observe(self._observation, *counted), reasons, counted

    @property
    def frame(self) -> DataFrame:
        return self._judged[0]

    def good(self, *columns: str) -> DataFrame:
        return self.frame.where(sql.col("reason").isNull()).select(*columns)

    def bad(self) -> DataFrame:
        return self.frame.where(sql.col("reason").isNotNull()).select("source", "reason", "row")

    @cached_property
    def _figures(self) -> dict[str, int]:
        """Rows read, and bad rows by the number of their reason; waits for the first action on the frame.

        Raises:
            UserError: if the rows are not those that the tasks have counted.
        """
        # Where no row is good, Spark replaces the whole plan by an empty one and the observation with it: count then.
        figures = self._observed() or self._count()
        if self._told is not None and not self._are_told(figures):  # a repeated task may have been counted twice
            figures = self._count()
            if not self._are_told(figures):
                raise UserError(f"{self.name} changed while it was read. Run the job again.")
        return figures

    def _are_told(self, figures: dict[str, int]) -> bool:
        bad = sum(count for name, count in figures.items() if name != "read")
        return self._told == (figures["read"], figures["read"] - bad)

    def _observed(self) -> dict[str, int] | None:
        try:
            return {name: int(count) for name, count in self._observation.get.items()}
        except Py4JJavaError:
            return None

    def _count(self) -> dict[str, int]:
        frame, _, counted = self._judged
        row = frame.agg(*counted).first()
        return {name: int(count) for name, count in row.asDict().items()}

    def read(self) -> int:
        """Rows read."""
        return self._told[0] if self._told else self._figures["read"]

    def num_bad(self) -> int:
        """Bad rows."""
        return self._told[0] - self._told[1] if self._told else sum(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Bad rows by reason, without the reasons that did not occur."""
        if self._told and not self.num_bad():
            return {}  # without asking Spark for a reason
        found = {text: self._figures[f"r{number}"] for number, text in enumerate(self._judged[1])}
        return {text: count for text, count in found.items() if count}


@dataclass(frozen=True)
class BadRows:
    """All bad rows of a job, and the share that was allowed."""

    read: int
    quarantined: dict[str, int]
    share: float
    allowed: float


def quarantine_and_check(judged: Iterable[ValidatedRows], allowed: float, setting: str, folder: str) -> BadRows:
    """Write the bad rows to the quarantine and decide whether the job may go on; the rows were counted before.

    Args:
        judged: the main source first, then the tables it refers to.
        allowed: the largest share of bad rows, of each source.
        setting: the key of region.yaml that states it, for the message.
        folder: of the quarantine dataset (source, reason, row).

    Raises:
        UserError: if a source holds no rows, more bad rows than allowed, or no good one.
    """
    sources = list(judged)
    quarantined = quarantine(sources, folder)
    for source in reversed(sources):  # a bad table of places explains the rows that refer to it
        check_share(source.name, source.read(), source.counts(), allowed, setting, folder)
    main = sources[0]
    return BadRows(main.read(), quarantined, sum(main.counts().values()) / main.read(), allowed)


def quarantine(sources: Sequence[ValidatedRows], folder: str) -> dict[str, int]:
    """Write the bad rows of all sources.

    Returns:
        How many there are, by reason.
    """
    spoilt = [source.bad() for source in sources if source.num_bad()]
    if not spoilt:
        pq.write_table(QUARANTINE.empty_table(), checked_empty(folder) / part_name(0))
        return {}
    everything = reduce(DataFrame.union, spoilt)
    files = 1 + sum(source.num_bad() for source in sources) // ROWS_PER_FILE
    by_reason = everything.repartition(files, "reason", "row") if files > 1 else everything.coalesce(1)
    write_parts(by_reason.sortWithinPartitions("source", "reason", "row"), folder)
    # Not before the rows were written: that may be the first time that Spark reads them.
    return added_counts(source.counts() for source in sources)


def added_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total


def check_share(name: str, read: int, counts: Mapping[str, int], allowed: float, setting: str, folder: str) -> None:
    """Refuse a source without rows, with more bad rows than allowed, or without a good one.

    Args:
        counts: bad rows by reason; the rows themselves lie in `folder`.
    """
    bad = sum(counts.values())
    if read == 0:
        raise UserError(f"{name} holds no rows.")
    listed = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
    if bad > allowed * read:
        raise UserError(
            f"{name}: {bad:,} of {read:,} rows ({bad / read:.2%}) are bad, more than {setting} = {allowed:g} allows. "
            f"{listed}.{_example(folder, counts)} All of them are in {folder}. Mend the file, or raise {setting}."
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
