"""What the tables of a folder are together: which is mobility, which names its places, and how fine the cells are."""

from dataclasses import replace

import numpy as np

from mora_pipeline.region.draft.column_sample import Floats
from mora_pipeline.region.draft.locations import Location, location_of
from mora_pipeline.region.draft.mobility import missing_mobility, missing_places, mobility_entry, places_entry
from mora_pipeline.region.draft.places import PlacesGuess, chosen_places, places_of, sampled_points
from mora_pipeline.region.draft.resolution import by_cells, by_places, by_records
from mora_pipeline.region.draft.samples import ROWS
from mora_pipeline.region.draft.survey import RawFiles, Survey
from mora_pipeline.region.draft.tables import Guess, mobility_of
from mora_pipeline.region.draft.yaml_text import Entry

KNOWN = 0.05  # of the flows' ends, that must be places of a table
POINTS = 100_000  # of records, that are read to tell how dense they are
PACKED = 5.0  # how many bytes of text a byte of a compressed file holds, about


class Guesses:
    """What the tables of a folder are, taken together."""

    def __init__(self, found: Survey) -> None:
        self.tables = found.tables
        self.unused: list[str] = []
        candidates = [guess for table in found.tables for guess in places_of(table)]
        ids = [guess.ids for guess in candidates]
        self.mobilities = sorted(
            (guess for table in found.tables if (guess := mobility_of(table, ids))),
            key=lambda guess: (guess.score, guess.table.form.format == "parquet"),
            reverse=True,
        )
        self._moving = [guess.table for guess in self.mobilities]
        self.mobility: Guess | None = self.mobilities[0] if self.mobilities else None
        if self.mobility and self.mobility.cells is not None:  # cells need no table that says where
            candidates = [guess for guess in candidates if "cell" not in guess.location.roles]
        if self.mobility and self.mobility.kind == "od" and not self.mobility.others.get("time"):
            self.mobility = replace(self.mobility, table=found.of_last_year(self.mobility.table))
        candidates = [guess for guess in candidates if not self._moves(guess.table)]
        self.places: PlacesGuess | None = chosen_places(candidates, self.mobility, self.tables)
        if self.places and self.mobility and self.mobility.kind == "od" and self.places.matching < KNOWN:
            self.places = None

    def _moves(self, table: RawFiles) -> bool:
        return any(table is each for each in self._moving)

    def is_places(self, table: RawFiles) -> bool:
        return self.places is not None and self.places.table is table

    def others(self) -> list[RawFiles]:
        """Tables that are not mobility; of those that differ in their format alone, one."""
        kept: dict[tuple[str, tuple[str, ...]], RawFiles] = {}
        for table in sorted(self.tables, key=lambda each: each.form.format != "parquet"):
            if not self._moves(table):
                same = (table.path.split(".")[0], tuple(sorted(table.columns)))
                kept.setdefault(same, table)
                if kept[same] is not table:
                    self.unused.append(f"{table.path} (as {kept[same].path})")
        return [table for table in self.tables if table in kept.values()]

    def sections(self) -> list[Entry]:
        """Places and mobility."""
        if self.mobility is None:
            return [*([places_entry(self.places)] if self.places else []), *missing_mobility()]
        entries = [places_entry(self.places)] if self.places else []
        by_cells_alone = self.mobility.cells is not None
        if self.mobility.kind == "od" and not self.places and not by_cells_alone:
            entries = [missing_places(self.mobility)]
        self.unused += [f"{other.table.path} ({other.kind})" for other in self.mobilities[1:]]
        return [*entries, mobility_entry(self.mobility, self.centre())]

    def points(self) -> tuple[Floats, Floats]:
        """Where the region is, as far as a sample shows."""
        if self.places:
            return self.places.latitude, self.places.longitude
        tables = [self.mobility.table] if self.mobility else list(self.tables)
        for table in tables:
            if locations := self._locations(table):
                return sampled_points(table, locations, POINTS)
        return np.empty(0), np.empty(0)

    def _locations(self, table: RawFiles) -> list[Location]:
        if self.mobility and table is self.mobility.table and self.mobility.kind != "od":
            roles = self.mobility.roles
            starts = ("origin_", "destination_") if self.mobility.kind == "trips" else ("",)
            axes = ("latitude", "longitude")
            return [Location({axis: roles[f"{start}{axis}"] for axis in axes}) for start in starts]
        location = located(table)
        return [location] if location else []

    def centre(self) -> tuple[float, float] | None:
        latitude, longitude = self.points()
        return (float(np.median(latitude)), float(np.median(longitude))) if len(latitude) else None

    def latitudes(self) -> tuple[float, float] | None:
        latitude = self.points()[0]
        return (float(np.quantile(latitude, 0.05)), float(np.quantile(latitude, 0.95))) if len(latitude) else None


def resolution_entry(guesses: Guesses, asked: int | None) -> Entry:
    if asked is not None:
        return Entry("resolution", asked)
    mobility = guesses.mobility
    if mobility and mobility.cells is not None:
        value, why = by_cells([mobility.cells])
    elif guesses.places:
        value, why = by_places(guesses.places.latitude, guesses.places.longitude)
    else:
        latitude, longitude = guesses.points()
        table = mobility.table if mobility else next(filter(located, guesses.tables), None)
        ends = 2 if mobility and mobility.kind == "trips" else 1
        rows = (_rows(table) if table else 0) * ends
        what = {"trips": "ends of trips", "events": "events"}.get(mobility.kind if mobility else "", "points")
        value, why = by_records(latitude, longitude, max(rows, len(latitude)), what)
    return Entry("resolution", value, (why,))


def located(table: RawFiles) -> Location | None:
    """Where the rows of a table are."""
    return location_of(table.columns, table.files[0], table.form)


def _rows(table: RawFiles) -> int:
    """How many rows a table has, about: of texts, by the length of those in the sample."""
    if table.rows is not None:
        return table.rows
    sample = list(table.columns.values())
    rows = len(sample[0].texts)
    if rows < ROWS and len(table.files) == 1:
        return rows
    import pyarrow.compute as pc

    length = sum((pc.sum(pc.binary_length(each.texts)).as_py() or 0) + rows for each in sample) / max(rows, 1)
    packed = PACKED if not table.files[0].lower().endswith((".csv", ".tsv", ".txt")) else 1.0
    return max(rows, round(table.source.size_in_bytes() * packed / max(length, 1.0)))
