"""What a sample of a region's raw tables shows before anything runs: bad rows, where they are, what matches what."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import resolutions_of
from mora_pipeline.raw.labels import refuse_repeated
from mora_pipeline.raw.places import Places, ambiguous_ids, brought_up, cells_at, centres_of
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.rule_sets import place_roles, place_rules
from mora_pipeline.raw.rules import MALFORMED_ROW, UNKNOWN_PLACE, Rule, broken_rules, is_true
from mora_pipeline.raw.shown_rows import as_shapes
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.tallies import GOOD, Count, Tally
from mora_pipeline.raw.validator import Validator
from mora_pipeline.region.columns import InputFile, spread_evenly
from mora_pipeline.region.suspects import Suspects

ROWS = 20_000  # of a table, that are read
MOST_PLACES = 2_000_000
PLACE_COLUMNS = {
    "id": pa.string(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "cell": pa.int64(),
    "geometry": pa.large_binary(),
}
Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # latitude and longitude, degrees, float64 [n] each


@dataclass(frozen=True)
class RawTableRules:
    """What a table of region.yaml is to hold.

    Attributes:
        key: of region.yaml.
        kinds, rules, amount: as of `raw.rule_sets`.
        places: the column of each role that is a place's id, and the column that its cell gets.
        points: the columns of latitude and longitude, of each point that a row has.
        cells: the columns of the H3 cells that a row is in.
        allowed: the share of bad rows that a run allows; None: nobody bounds them.
        setting: the key that states it.
        time_zone: of times that carry none.
        once: the role of which no value may come twice among the good rows; None: none.
        histograms: roles whose numbers are shares of one whole, group by group.
    """

    key: str
    source: Source
    kinds: Mapping[str, str]
    rules: Sequence[Rule]
    amount: str | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[tuple[str, str]] = ()
    cells: Sequence[str] = ()
    allowed: float | None = None
    setting: str = ""
    time_zone: str | None = None
    once: str | None = None
    histograms: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class TableSample:
    """What the first rows of some of a table's files show.

    Attributes:
        rows: how many were read; ``every``: whether they are all there are.
        counts: of them by reason, `GOOD` among these; ``apart``: the reasons that are no fault.
        examples: a bad row of each reason, as JSON of the shapes of its values.
        points: of the good rows.
        cells: H3 cells of them, int64, ascending, each once.
        suspicions: sentences of what is allowed and seldom meant.
    """

    table: RawTableRules
    files: int
    bytes: int
    rows: int
    every: bool
    counts: Mapping[str, Count]
    apart: frozenset[str]
    examples: Mapping[str, str]
    points: Points
    cells: npt.NDArray[np.int64]
    remarks: tuple[str, ...]
    suspicions: tuple[str, ...] = ()

    @property
    def good(self) -> int:
        return self.counts[GOOD].rows if GOOD in self.counts else 0

    @property
    def bad(self) -> dict[str, Count]:
        return {reason: each for reason, each in self.counts.items() if reason != GOOD and reason not in self.apart}

    @property
    def unknown_places(self) -> int:
        return self.counts[UNKNOWN_PLACE].rows if UNKNOWN_PLACE in self.counts else 0


def located_table(
    key: str,
    config: Any,
    heads: Sequence[InputFile],
    roles: Mapping[str, str],
    kinds: Mapping[str, str],
    rules: Sequence[Rule],
    amount: str | None,
    once: bool = False,
) -> RawTableRules:
    """What a table of rows at points or in places is to hold.

    Args:
        config: what region.yaml says of it, with its ``maximum_bad_share``.
        heads: of its files.
        once: whether a place may have one row alone.
    """
    return RawTableRules(
        key,
        source_of_heads(heads, roles),
        kinds,
        rules,
        amount,
        places={"place": "cell"} if "place" in roles else {},
        points=points_in(roles),
        cells=("cell",) if "cell" in roles else (),
        allowed=config.maximum_bad_share,
        setting=f"{key}.maximum_bad_share",
        once="place" if "place" in roles and once else None,
    )


def points_in(roles: Collection[str]) -> Sequence[tuple[str, str]]:
    """The columns of a point that rows have which are located by these roles."""
    return () if "place" in roles or "cell" in roles else (("latitude", "longitude"),)


def source_of_heads(heads: Sequence[InputFile], roles: Mapping[str, str]) -> Source:
    """The table that files are of, with what plays each role."""
    source = heads[0].source
    if source is None:
        raise ValueError(f"{heads[0].path} is no table")
    return replace(source, columns=dict(roles))


def take_sample(
    table: RawTableRules, resolution: int, places: Places | None, remarks: Sequence[str] = ()
) -> TableSample:
    """Read and validate the first rows of some of a table's files.

    Args:
        places: None where there is no table of places.

    Raises:
        UserError: if a file cannot be read.
    """
    source = _thinned(table.source)
    reader = SourceReader.of(source, table.kinds, table.time_zone)
    amount = table.amount if table.amount in source.columns else None
    rules = (Rule(MALFORMED_ROW, ("malformed",), is_true), *table.rules)
    validator = Validator(rules, amount=amount)
    tally, examples, cells = Tally(), dict[str, str](), list[npt.NDArray[np.int64]]()
    latitudes, longitudes = list[npt.NDArray[np.float64]](), list[npt.NDArray[np.float64]]()
    suspects = Suspects(table.source.columns, table.kinds, table.points, table.places, table.histograms)
    ids = list[pa.Array]()
    rows, every = 0, len(source.files) == len(table.source.files)
    for batch, raw, whole in _heads(reader):
        every &= whole
        if table.places and places is not None:
            batch = places.look_up(batch, table.places)
        derived, broken = validator.validated(reader, batch, raw, tally)
        rows += len(broken)
        for number in np.unique(broken[broken < len(rules)]):
            reason = rules[number].reason
            if reason not in examples:
                first = int(np.flatnonzero(broken == number)[0])
                examples[reason] = as_shapes(raw.slice(first, 1))[0].as_py()
        good = derived.filter(pa.array(broken == len(rules)))
        suspects.add(derived, good)
        for latitude, longitude in table.points:
            latitudes.append(good[latitude].to_numpy())
            longitudes.append(good[longitude].to_numpy())
            cells.append(np.unique(cells_at(good[latitude], good[longitude], resolution).to_numpy()))
        for cell in table.places.values():
            own = np.unique(good[cell].to_numpy(zero_copy_only=False))
            cells.append(own if places is None or places.single else np.unique(places.spread(own)[1]))
        for cell in table.cells:
            own = _near(np.unique(good[cell].to_numpy(zero_copy_only=False)), resolution)
            cells.append(own)
            north, east = centres_of(own)
            latitudes.append(north)
            longitudes.append(east)
        if table.once:
            ids.append(good[table.once].cast(pa.string()))
    if ids:
        refuse_repeated(table.key, pa.chunked_array(ids))
    none = np.empty(0)
    return TableSample(
        table,
        len(table.source.files),
        table.source.size_in_bytes(),
        rows,
        every,
        tally.by_reason(),
        frozenset(rule.reason for rule in table.rules if rule.apart),
        examples,
        (np.concatenate([none, *latitudes]), np.concatenate([none, *longitudes])),
        np.unique(np.concatenate([np.empty(0, dtype=np.int64), *cells])),
        tuple(dict.fromkeys([*remarks, *reader.remarks()])),
        suspects.found(places),
    )


def _thinned(source: Source) -> Source:
    return replace(source, files=tuple(spread_evenly(source.files)))


def _heads(reader: SourceReader) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch, bool]]:
    """The first rows of each file, and whether they are all of it."""
    each = ROWS // len(reader.source.files)
    for file in reader.source.files:
        left, whole = each, True
        for rows, raw in reader.read_file(file):
            if left <= 0:
                whole = False
                break
            whole = rows.num_rows <= left
            yield rows.slice(0, left), raw.slice(0, left), whole
            left -= rows.num_rows


def _near(cells: npt.NDArray[np.int64], resolution: int) -> npt.NDArray[np.int64]:
    """Cells as those of a resolution, coarser ones as they are, int64, each once."""
    coarse = cells[resolutions_of(cells) < resolution]
    return np.unique(np.concatenate([coarse, brought_up(pa.array(cells), resolution).drop_null().to_numpy()]))


def read_places(source: Source, resolution: int, spread: bool = False) -> Places:
    """The good rows of a table of places.

    Args:
        spread: whether to spread polygons on cells, a millisecond each; else each lies where its point does.

    Raises:
        UserError: if it cannot be read, or holds more than `MOST_PLACES`.
    """
    return places_of(read_place_rows(source), resolution, spread)


def places_of(rows: pa.Table, resolution: int, spread: bool = False) -> Places:
    """As `read_places`, of rows that were read; places at several points are left out."""
    return Places.of(rows.filter(pc.invert(pc.is_in(rows["id"], ambiguous_ids(rows)))), resolution, spread)


def read_place_rows(source: Source) -> pa.Table:
    """As `read_places`, row by row, with all points of a place."""
    reader, rules = SourceReader.of(source, place_roles(source.columns)), place_rules(source.columns)
    tables, rows = list[pa.RecordBatch](), 0
    for batch, _ in reader.read_all():
        good = batch.filter(pa.array(broken_rules(batch, rules) == len(rules)))
        names = [name for name in PLACE_COLUMNS if name in batch.schema.names]
        tables.append(good.select(names).cast(pa.schema([(name, PLACE_COLUMNS[name]) for name in names])))
        rows += good.num_rows
        if rows > MOST_PLACES:
            raise UserError(f"{source.describe()} has more than {MOST_PLACES:,} places. A table of places names zones.")
    empty = pa.schema([("id", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64())]).empty_table()
    return pa.Table.from_batches(tables) if tables else empty
