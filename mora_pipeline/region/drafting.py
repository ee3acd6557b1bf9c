"""A first region.yaml, written from what lies in a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.draft.column_sample import Floats
from mora_pipeline.region.draft.evidence import Names, evidence_of
from mora_pipeline.region.draft.locations import Location, location_of, takes
from mora_pipeline.region.draft.mobility import (
    missing_mobility,
    missing_places,
    mobility_entry,
    places_entry,
)
from mora_pipeline.region.draft.places import PlacesGuess, chosen_places, places_of, sampled_points
from mora_pipeline.region.draft.points import projected
from mora_pipeline.region.draft.rasters import raster_entries
from mora_pipeline.region.draft.resolution import by_cells, by_places, by_records
from mora_pipeline.region.draft.roles import slug
from mora_pipeline.region.draft.samples import ROWS
from mora_pipeline.region.draft.survey import RawFiles, Survey, survey
from mora_pipeline.region.draft.tables import Guess, mobility_of
from mora_pipeline.region.draft.tiles import archive_entries, tile_entries, tile_folders
from mora_pipeline.region.draft.yaml_text import Entry, comment, one_line, written

KNOWN = 0.05  # of the flows' ends, that must be places of a table
POINTS = 100_000  # of records, that are read to tell how dense they are
PACKED = 5.0  # how many bytes of text a byte of a compressed file holds, about


@dataclass(frozen=True)
class Draft:
    """A first region.yaml.

    Attributes:
        found: what was found, in sentences.
    """

    region: str
    text: str
    found: tuple[str, ...]


def draft_region(
    folder: Path, name: str | None = None, resolution: int | None = None, output: Path | None = None
) -> Draft:
    """Look at a folder, and write what a region.yaml would say of it. No file is written.

    Args:
        name: of the region; by default made from the folder's.
        resolution: of its cells; by default as the data suggests.
        output: where the region.yaml will be; by default in the folder.

    Raises:
        UserError: if the folder cannot be read or holds no data, or the name is none.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Give the folder that holds the raw data.")
    region = checked_region_name(name) if name else slug(folder.resolve().name, "region")
    tiles = tile_folders(folder.resolve())
    found = survey(folder, [name for each in tiles for name in each.tops])
    if not (found.tables or found.images or tiles):
        raise UserError(
            " ".join([f"{folder} holds no data that can be read (CSV, Parquet, vector files, GeoTIFF, tiles).",
                      *found.remarks])
        )  # fmt: skip
    guesses = _Guesses(found)
    top = [Entry("region", region), _resolution(guesses, resolution)]
    start = os.path.relpath(found.base, (output or found.base / "x").expanduser().resolve().parent)
    top += [] if start == "." else [Entry("root", start)]
    names, chosen = Names(), int(top[1].value)
    modalities, tasks = list[Entry](), list[Entry]()
    for table in guesses.others():
        evidence = evidence_of(table, guesses.places, names)
        modalities += evidence.modalities
        tasks += evidence.tasks
        if not evidence.modalities and not evidence.tasks and not guesses.is_places(table):
            guesses.unused.append(f"{table.path} ({', '.join(list(table.columns)[:8])})")
    latitudes = guesses.latitudes()
    modalities += tile_entries(tiles, chosen, latitudes, names)
    modalities += archive_entries(found.base, chosen, latitudes[0] if latitudes else 0.0, names)
    rasters, remarks = raster_entries(found.base, found.images, names)
    modalities += rasters
    sections = [guesses.sections(), _section("modalities", modalities), _section("tasks", tasks)]
    return Draft(
        region,
        _text(top, sections, _remarks(guesses, [*found.remarks, *remarks])),
        tuple(_sentences(guesses, modalities, tasks)),
    )


def write_draft(
    folder: Path, name: str | None = None, resolution: int | None = None, output: Path | None = None
) -> tuple[Draft, Path, str | None]:
    """Write a first region.yaml; a file that exists is never touched.

    Returns:
        The draft, the file, and what is still wrong with it; None if it can be added as it is.

    Raises:
        UserError: as `draft_region`; if the file exists, or cannot be written.
    """
    file = (output or folder / "region.yaml").expanduser()
    if file.is_dir():
        file = file / "region.yaml"
    _refuse_existing(file)
    draft = draft_region(folder, name, resolution, file)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(draft.text)
    except FileExistsError:  # or a link to nowhere
        _refuse_existing(file, there=True)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror}. Name another file: mora region new {folder} --output FILE"
        ) from None
    try:
        check_files(RegionConfig.load(file))
    except UserError as error:
        return draft, file, str(error)
    return draft, file, None


def _refuse_existing(file: Path, there: bool = False) -> None:
    if there or file.exists():
        raise UserError(
            f"{file} exists already, and stays as it is. Move it away, or write another file: --output FILE"
        )


class _Guesses:
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
        by_cells_alone = self.mobility.cells is not None and takes("cell")
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


def _resolution(guesses: _Guesses, asked: int | None) -> Entry:
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


def _section(key: str, entries: list[Entry]) -> list[Entry]:
    if not entries:
        return []
    if all(entry.off for entry in entries):
        return [Entry(key, [replace(entry, off=False) for entry in entries], off=True)]
    return [Entry(key, entries)]


def _text(top: list[Entry], sections: Sequence[Sequence[Entry]], remarks: list[str]) -> str:
    opening = [
        "A first description of this folder, guessed from names and content by `mora region new`. Read it, correct it, "
        "and then: mora region add. What each key means: docs/region.md.",
    ]
    lines = [line for text in opening for line in comment(text)]
    lines += written(top)
    for section in sections:
        for entry in section:
            lines += ["", *written([entry])]
    if remarks:
        lines += ["", *(line for remark in remarks for line in comment(remark))]
    return "\n".join(lines) + "\n"


def _remarks(guesses: _Guesses, remarks: Sequence[str]) -> list[str]:
    unused = list(dict.fromkeys(guesses.unused))
    said = [f"Not used: {'; '.join(unused)}."] if unused else []
    for table in guesses.tables:
        if names := projected(table.columns):
            said.append(
                f"{table.path}: {', '.join(names)} are named as coordinates, but hold no degrees: they are of a "
                "projected coordinate system, or hold errors."
            )
    return [*said, *remarks]


def _sentences(guesses: _Guesses, modalities: Sequence[Entry], tasks: Sequence[Entry]) -> list[str]:
    found = []
    if guesses.mobility:
        roles = ", ".join(f"{role}: {column}" for role, column in guesses.mobility.roles.items())
        found.append(f"mobility: {guesses.mobility.kind} in {guesses.mobility.table.path} ({roles})")
    if guesses.places:
        found.append(f"places: {len(guesses.places.ids):,} in {guesses.places.table.path} (id: {guesses.places.id})")
    found += [f"modality: {entry.key}" for entry in modalities if not entry.off]
    found += [f"task: {entry.key}" for entry in tasks if not entry.off]
    return [one_line(sentence) for sentence in found]
