"""Which table of a folder is that of places, and where the rows of the others are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.values import as_texts
from mora_pipeline.region.draft.candidates import IN_COMMON, Ids, id_columns, in_common, names_things
from mora_pipeline.region.draft.column_sample import ColumnSample, Floats
from mora_pipeline.region.draft.locations import Location, location_of
from mora_pipeline.region.draft.samples import read_columns
from mora_pipeline.region.draft.survey import RawFiles
from mora_pipeline.region.draft.tables import Guess

MOST_PLACES = 1_000_000  # whose ids are read
MOST_IDS = 3  # columns of a table that are tried as ids


@dataclass(frozen=True)
class PlacesGuess:
    """A table that may be one of places.

    Attributes:
        ids: all of them.
        latitude, longitude: degrees, [n], of its rows.
        matching: the share of the flows' ends that are among the ids, in the sample.
        others: further columns that name each row.
        repeated: whether an id is there several times.
    """

    table: RawFiles
    id: str
    location: Location
    ids: Ids
    latitude: Floats = field(repr=False)
    longitude: Floats = field(repr=False)
    matching: float = 1.0
    others: tuple[str, ...] = ()
    repeated: bool = False


def places_of(table: RawFiles) -> list[PlacesGuess]:
    """What a table would be as one of places, for each column that names its rows; none if nothing says where it is."""
    location = location_of(table.columns, table.files[0], table.form)
    if location is None:
        return []
    taken = () if "cell" in location.roles else location.names
    names = id_columns(table.columns, taken)[:MOST_IDS]
    found = []
    for name in names:
        try:
            ids, latitude, longitude = _read(table, name, location)
        except (UserError, pa.ArrowException, OSError):
            continue
        repeated = len(frozenset(ids)) < len(ids)
        others = tuple(other for other in names if other != name)
        guess = PlacesGuess(
            table, name, location, frozenset(ids), latitude, longitude, others=others, repeated=repeated
        )
        found.append(guess)
    return found


def _read(table: RawFiles, name: str, location: Location) -> tuple[list[str], Floats, Floats]:
    ids, found = list[str](), list[tuple[Floats, Floats]]()
    for batch in read_columns(table.source, {"id": name, **location.roles}, MOST_PLACES):
        ids += as_texts(batch["id"], table.form.null_texts).drop_null().to_pylist()
        found.append(location.coordinates(batch, table.form))
    return ids, *_on_the_globe(found)


def sampled_points(table: RawFiles, locations: Sequence[Location], rows: int) -> tuple[Floats, Floats]:
    """Latitudes and longitudes of the first rows of a table, of all its points."""
    found = []
    for location in locations:
        for batch in read_columns(table.source, location.roles, rows):
            found.append(location.coordinates(batch, table.form))
    return _on_the_globe(found)


def _on_the_globe(points: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    none = np.empty(0)
    latitude = np.concatenate([none, *(north for north, _ in points)])
    longitude = np.concatenate([none, *(east for _, east in points)])
    known = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180) & ((latitude != 0) | (longitude != 0))
    return latitude[known], longitude[known]


def chosen_places(
    candidates: Iterable[PlacesGuess], mobility: Guess | None, tables: Sequence[RawFiles]
) -> PlacesGuess | None:
    """The table of places that the flows name, or else the one that most tables refer to.

    Without mobility, whose cells would be the region's, it is the first that there is. None if nothing refers to one.
    """
    best: tuple[float, PlacesGuess] | None = None
    for guess in candidates:
        if mobility is not None and mobility.kind == "od" and mobility.cells is None:
            ends = [mobility.table.columns[mobility.roles[end]] for end in ("origin", "destination")]
            match = share = sum(in_common(each, guess.ids) for each in ends) / 2
        else:
            others = [table for table in tables if table is not guess.table]
            match, share = float(sum(place_column(table.columns, guess) is not None for table in others)), 1.0
            match += 0.001 * (mobility is None)
        if match > 0:
            match += 0.01 * (guess.table.form.format == "parquet") - 0.1 * guess.repeated
            if best is None or match > best[0]:
                best = match, replace(guess, matching=share)
    return best[1] if best else None


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
