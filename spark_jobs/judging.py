"""Each row is judged: good, or bad for one named reason; the bad ones are kept apart, counted, and bounded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce

import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as sql

from spark_jobs.errors import InputError
from spark_jobs.output import open_parquet, part_files, write_parts

Rule = tuple[Column, str]
ROWS_PER_FILE = 1_000_000
QUARANTINE = "source string, reason string, row string"

NO_COORDINATE = "coordinate missing or NaN"
NO_LATITUDE = "latitude beyond ±90"
NO_LONGITUDE = "longitude beyond ±180"
UNKNOWN_PLACE = "unknown place"
NO_ID = "id missing"
AMBIGUOUS_PLACE = "place listed at several points"
NO_USER = "user missing"
NO_TIME = "time unparsable"
NO_ZONE = "time without a zone"
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


@dataclass(frozen=True)
class Judged:
    """Rows with a ``reason`` (null: good). They are counted on the way, by the first action that reads them.

    ``told``: how many rows there are and how many of them are good, where the tasks that read them have counted.
    """

    name: str
    frame: DataFrame
    reasons: tuple[str, ...]
    counted: tuple[Column, ...] = field(repr=False)
    observation: Observation = field(repr=False)
    told: tuple[int, int] | None = None

    @classmethod
    def by(cls, rules: list[Rule], frame: DataFrame, name: str) -> "Judged":
        """Judge rows; the first rule that holds gives the reason.

        Args:
            frame: raw rows with ``source`` and ``row`` beside the columns that the rules look at.
            name: what the rows are, for messages: the file they come from.
        """
        reasons = tuple(dict.fromkeys(reason for _, reason in rules))
        reason = sql.coalesce(*(sql.when(condition, sql.lit(text)) for condition, text in rules))
        observation = Observation()
        counts = [sql.count_if(sql.col("reason") == text).alias(f"r{number}") for number, text in enumerate(reasons)]
        counted = (sql.count(sql.lit(1)).alias("read"), *counts)
        judged = frame.withColumn("reason", reason).observe(observation, *counted)
        return cls(name, judged, reasons, counted, observation)

    def good(self, *columns: str) -> DataFrame:
        return self.frame.where(sql.col("reason").isNull()).select(*columns)

    def bad(self) -> DataFrame:
        return self.frame.where(sql.col("reason").isNotNull()).select("source", "reason", "row")

    @cached_property
    def figures(self) -> dict[str, int]:
        """What was counted by the first action on the frame, which must have begun.

        Where no row is good, Spark replaces the whole plan by an empty one and the observation with it: count then.

        Raises:
            InputError: if the rows are not those that the tasks have counted.
        """
        if self.told is None:
            return self._observed() or self._count()
        if not self.num_bad():  # nothing to ask Spark
            return {"read": self.told[0], **{f"r{number}": 0 for number in range(len(self.reasons))}}
        figures = self._observed()
        if figures is None or not self._are_told(figures):  # a repeated task may have been counted twice
            figures = self._count()
        if not self._are_told(figures):
            raise InputError(f"{self.name} changed while it was read. Run the job again.")
        return figures

    def num_bad(self) -> int:
        """Bad rows, by the tasks' count where there is one."""
        return sum(self.counts().values()) if self.told is None else self.told[0] - self.told[1]

    def _are_told(self, figures: dict[str, int]) -> bool:
        bad = sum(count for name, count in figures.items() if name != "read")
        return self.told == (figures["read"], figures["read"] - bad)

    def _observed(self) -> dict[str, int] | None:
        try:
            return {name: int(count) for name, count in self.observation.get.items()}
        except Py4JJavaError:
            return None

    def _count(self) -> dict[str, int]:
        row = self.frame.agg(*self.counted).first()
        return {name: int(count) for name, count in row.asDict().items()}

    def read(self) -> int:
        """Rows read."""
        return self.figures["read"]

    def counts(self) -> dict[str, int]:
        """Bad rows by reason, without the reasons that did not occur."""
        found = {text: self.figures[f"r{number}"] for number, text in enumerate(self.reasons)}
        return {text: count for text, count in found.items() if count}


@dataclass(frozen=True)
class Verdict:
    """All bad rows of a job, and the share that was allowed."""

    read: int
    quarantined: dict[str, int]
    share: float
    allowed: float


def settle(judged: Iterable[Judged], allowed: float, setting: str, folder: str) -> Verdict:
    """Write the bad rows to the quarantine and decide whether the job may go on; the rows were counted before.

    Args:
        judged: the main source first, then the tables it refers to.
        allowed: the largest share of bad rows, of each source.
        setting: the key of region.yaml that states it, for the message.
        folder: of the quarantine dataset (source, reason, row).

    Raises:
        InputError: if a source holds no rows, more bad rows than allowed, or no good one.
    """
    sources = list(judged)
    quarantined = quarantine(sources, folder)
    for source in reversed(sources):  # a bad table of places explains the rows that refer to it
        check_share(source.name, source.read(), source.counts(), allowed, setting, folder)
    main = sources[0]
    return Verdict(main.read(), quarantined, sum(main.counts().values()) / main.read(), allowed)


def quarantine(sources: Sequence[Judged], folder: str) -> dict[str, int]:
    """Write the bad rows of all sources.

    Returns:
        How many there are, by reason.
    """
    spoilt = [source.bad() for source in sources if source.num_bad()]
    nothing = sources[0].frame.sparkSession.createDataFrame([], QUARANTINE)
    everything = reduce(DataFrame.union, spoilt) if spoilt else nothing
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
        raise InputError(f"{name} holds no rows.")
    listed = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
    if bad > allowed * read:
        raise InputError(
            f"{name}: {bad:,} of {read:,} rows ({bad / read:.2%}) are bad, more than {setting} = {allowed:g} allows. "
            f"{listed}.{_example(folder, counts)} All of them are in {folder}. Mend the file, or raise {setting}."
        )
    if bad == read:
        raise InputError(f"{name}: none of its {read:,} rows can be used. {listed}.")


def _example(folder: str, counts: Mapping[str, int]) -> str:
    """A sentence with one of the bad rows, of the most frequent reason."""
    wanted = max(counts, key=lambda reason: (counts[reason], reason))
    for file in part_files(folder):
        for batch in open_parquet(file).iter_batches():
            for row in batch.filter(pc.field("reason") == wanted).slice(0, 1).to_pylist():
                return f" For example {row['row']} of {row['source']} ({wanted})."
    return ""
