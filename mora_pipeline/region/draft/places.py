"""Which table of a folder is that of places, and where the rows of the others are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.numbers import as_numbers
from mora_pipeline.raw.values import as_texts
from mora_pipeline.region.draft.points import Point, find_points
from mora_pipeline.region.draft.samples import ColumnSample, read_columns
from mora_pipeline.region.draft.survey import RawFiles
from mora_pipeline.region.draft.tables import IN_COMMON, Guess, Ids, id_columns, in_common, names_things

MOST_PLACES = 1_000_000  # whose ids are read
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlacesGuess:
    """A table that may be one of places.

    Attributes:
        ids: all of them.
        matching: the share of the mobility's ends that are among the ids, in the sample.
        others: further columns that name each row.
        repeated: whether an id is there several times.
    """

    table: RawFiles
    id: str
    point: Point
    ids: Ids
    latitude: Floats = field(repr=False)
    longitude: Floats = field(repr=False)
    matching: float = 0.0
    others: tuple[str, ...] = ()
    repeated: bool = False


def places_of(table: RawFiles) -> list[PlacesGuess]:
    """What a table would be as one of places, for each column that names its rows; none if it has no points."""
    points = find_points(table.columns)
    if len(points) != 1:
        return []
    point = points[0]
    names = id_columns(table.columns, point.names)[:3]
    found = []
    for name in names:
        try:
            ids, latitude, longitude = _read(table, name, point)
        except (UserError, pa.ArrowException, OSError):
            continue
        repeated = len(frozenset(ids)) < len(ids)
        others = tuple(other for other in names if other != name)
        found.append(
            PlacesGuess(table, name, point, frozenset(ids), latitude, longitude, others=others, repeated=repeated)
        )
    return found


def _read(table: RawFiles, name: str, point: Point) -> tuple[list[str], Floats, Floats]:
    ids, coordinates = list[str](), list[tuple[Floats, Floats]]()
    roles = {"id": name, "latitude": point.latitude, "longitude": point.longitude}
    for batch in read_columns(table.source, table.form, roles, MOST_PLACES):
        ids += as_texts(batch["id"], table.form.null_texts).drop_null().to_pylist()
        coordinates.append((_degrees(batch["latitude"], table), _degrees(batch["longitude"], table)))
    both = [np.concatenate([np.empty(0), *axis]) for axis in zip(*coordinates, strict=True)] or [np.empty(0)] * 2
    known = (np.abs(both[0]) <= 90) & (np.abs(both[1]) <= 180)
    return ids, both[0][known], both[1][known]


def _degrees(values: pa.Array, table: RawFiles) -> Floats:
    numbers = as_numbers(values, table.form.written, table.form.written.null)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def sampled_points(table: RawFiles, points: Sequence[tuple[str, str]], rows: int) -> tuple[Floats, Floats]:
    """Latitudes and longitudes of the first rows of a table, of all its points."""
    latitude, longitude = list[Floats](), list[Floats]()
    roles = {f"{number} {axis}": name for number, names in enumerate(points) for axis, name in enumerate(names)}
    for batch in read_columns(table.source, table.form, roles, rows):
        for number in range(len(points)):
            one, other = (_degrees(batch[f"{number} {axis}"], table) for axis in (0, 1))
            known = (np.abs(one) <= 90) & (np.abs(other) <= 180) & ((one != 0) | (other != 0))
            latitude.append(one[known])
            longitude.append(other[known])
    none = np.empty(0)
    return np.concatenate([none, *latitude]), np.concatenate([none, *longitude])


def chosen_places(
    candidates: Iterable[PlacesGuess], mobility: Guess | None, tables: Sequence[RawFiles]
) -> PlacesGuess | None:
    """The table of places that the flows name, or else the one that most tables refer to; None if nothing does."""
    best: tuple[float, PlacesGuess] | None = None
    for guess in candidates:
        if mobility is not None and mobility.kind == "od" and mobility.cells is None:
            ends = [mobility.table.columns[mobility.roles[end]] for end in ("origin", "destination")]
            match = sum(in_common(each, guess.ids) for each in ends) / 2
        else:
            others = [table for table in tables if table is not guess.table]
            match = float(sum(place_column(table.columns, guess) is not None for table in others))
        match += 0.01 * (guess.table.form.format == "parquet") * (match > 0) - 0.1 * guess.repeated * (match > 0)
        if match > 0 and (best is None or match > best[0]):
            best = match, guess
    if best is None:
        return None
    own = {name: getattr(best[1], name) for name in PlacesGuess.__dataclass_fields__}
    return PlacesGuess(**{**own, "matching": min(best[0], 1.0)})


def place_column(columns: Mapping[str, ColumnSample], places: PlacesGuess | None) -> str | None:
    """The column that names the place of each row, if a table has one."""
    if places is None:
        return None
    fits = [
        (in_common(column, places.ids) + 0.5 * (name == places.id), name)
        for name, column in columns.items()
        if column.may_be_id
        and names_things(column)
        and (in_common(column, places.ids) >= IN_COMMON or _shares(column, name, places))
    ]
    fits.sort(key=lambda each: -each[0])
    return fits[0][1] if fits else None


def _shares(column: ColumnSample, name: str, places: PlacesGuess) -> bool:
    """Whether a column is called as the places' id, and has some of the places: a table of a wider area."""
    return name == places.id and in_common(column, places.ids) > 0
