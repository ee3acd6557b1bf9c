"""A first region.yaml, written from what lies in a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.draft.evidence import Names, evidence_of
from mora_pipeline.region.draft.guesses import Guesses, resolution_entry
from mora_pipeline.region.draft.points import projected
from mora_pipeline.region.draft.rasters import raster_entries
from mora_pipeline.region.draft.roles import slug
from mora_pipeline.region.draft.survey import survey
from mora_pipeline.region.draft.tiles import archive_entries, tile_archives, tile_entries, tile_folders
from mora_pipeline.region.draft.yaml_text import Entry, comment, one_line, written


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
    archives = tile_archives(folder.resolve())
    found = survey(folder, [*archives, *(name for each in tiles for name in each.tops)])
    if not (found.tables or found.images or tiles):
        raise UserError(
            " ".join([f"{folder} holds no data that can be read (CSV, Parquet, vector files, GeoTIFF, tiles).",
                      *found.remarks])
        )  # fmt: skip
    guesses = Guesses(found)
    top = [Entry("region", region), resolution_entry(guesses, resolution)]
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
    modalities += archive_entries(found.base, archives, chosen, latitudes[0] if latitudes else 0.0, names)
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


def _remarks(guesses: Guesses, remarks: Sequence[str]) -> list[str]:
    unused = list(dict.fromkeys(guesses.unused))
    said = [f"Not used: {'; '.join(unused)}."] if unused else []
    for table in guesses.tables:
        if names := projected(table.columns):
            said.append(
                f"{table.path}: {', '.join(names)} are named as coordinates, but hold no degrees: they are of a "
                "projected coordinate system, or hold errors."
            )
    return [*said, *remarks]


def _sentences(guesses: Guesses, modalities: Sequence[Entry], tasks: Sequence[Entry]) -> list[str]:
    found = []
    if guesses.mobility:
        roles = ", ".join(f"{role}: {column}" for role, column in guesses.mobility.roles.items())
        found.append(f"mobility: {guesses.mobility.kind} in {guesses.mobility.table.path} ({roles})")
    if guesses.places:
        found.append(f"places: {len(guesses.places.ids):,} in {guesses.places.table.path} (id: {guesses.places.id})")
    found += [f"modality: {entry.key}" for entry in modalities if not entry.off]
    found += [f"task: {entry.key}" for entry in tasks if not entry.off]
    return [one_line(sentence) for sentence in found]
