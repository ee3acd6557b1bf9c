"""Opens the header of every file a region.yaml names, and verifies each column: that it is there, and of its type."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.region.columns import Checker, is_text, listed
from mora_pipeline.region.files import IMAGE_FORMATS, InputFile, data_files, matches, sample_text
from mora_pipeline.region.jobs import expand_groups
from mora_pipeline.region.mobility import EventsMobility
from mora_pipeline.region.modalities import ImageModality, TableModality, TextModality
from mora_pipeline.region.parts import Part
from mora_pipeline.region.tasks import CellTask, GroupTask, Members

if TYPE_CHECKING:
    from mora_pipeline.region.config import RegionConfig

# A written time that ends in a zone, or a number of seconds since 1970; as spark_jobs/sources.py reads them.
_ZONED = re.compile(r"\d:\d{2}.*(z|utc|gmt|[+-]\d{1,2}(:?\d{2})?|[a-z]+/[a-z_]+)$|^\d{9,}(\.\d+)?$", re.IGNORECASE)


def check_files(config: RegionConfig) -> list[InputFile]:
    """Open the header of every file and verify each column.

    Raises:
        UserError: for the first thing that is wrong.
    """
    checker = Checker(config)
    places = config.places_or_none()
    if places is not None:
        key = "places" if config.places else "mobility.places"
        checker.columns(key, f"{key}.path", places.path, _roles(places, "id", "latitude", "longitude"))
    mobility = config.mobility
    roles = mobility.columns.model_dump(exclude_none=True)
    for file in checker.columns("mobility.columns", "mobility.path", mobility.path, roles):
        if isinstance(mobility, EventsMobility):
            _check_time(checker, file, mobility)
    images = [file for name in config.modalities for file in _check_modality(checker, name)]
    for name in config.tasks:
        _check_task(checker, name)
    for name, members in config.blocks.items():
        _check_members(checker, f"blocks.{name}", members)
    return [*checker.opened.values(), *images]


def _check_modality(checker: Checker, name: str) -> list[InputFile]:
    modality, key = checker.config.modalities[name], f"modalities.{name}"
    if isinstance(modality, TextModality):
        roles = modality.columns.model_dump(exclude_none=True)
        checker.columns(f"{key}.columns", f"{key}.path", modality.path, roles)
    elif isinstance(modality, TableModality):
        _check_table(checker, key, modality)
    elif modality.source == "xyz":
        return [_first_tile(checker, key, modality)]
    else:
        return _check_rasters(checker, key, modality)
    return []


def _check_table(checker: Checker, key: str, modality: TableModality) -> None:
    found = checker.columns(key, f"{key}.path", modality.path, _roles(modality, "place", "weight"))
    if modality.columns:
        points = _roles(modality.columns, "latitude", "longitude")
        checker.columns(f"{key}.columns", f"{key}.path", modality.path, points)
    groups = expand_groups(modality, list(found[0].columns))
    for group, columns in groups.items():
        if not columns:
            globs = modality.groups[group]
            near = did_you_mean(globs.split("|")[0].replace("*", ""), found[0].columns)
            raise UserError(
                f"{checker.name}: {key}.groups.{group} is '{globs}', which matches no column of "
                f"{found[0].path.name}; it has {listed(found[0].columns)}.{near}"
            )
        for file in found:
            for column in columns:
                glob = modality.groups[group]
                checker.column(file, f"{key}.groups.{group}", column, number=True, glob=glob)


def _check_task(checker: Checker, name: str) -> None:
    task, key = checker.config.tasks[name], f"tasks.{name}"
    if isinstance(task, CellTask):
        where = _roles(task, "place", "latitude", "longitude")
        found = checker.label(key, task.path, task.column, where)
        if task.weight and not all(task.weight in file.columns for file in found):
            _check_weight_of_places(checker, key, task.weight, found)
        else:
            checker.columns(key, f"{key}.path", task.path, {"weight": task.weight})
    elif isinstance(task, GroupTask):
        checker.label(key, task.path, task.column, {"id": task.id})
        _check_members(checker, f"{key}.members", task.members)
    else:
        checker.label(key, task.path, task.column, _roles(task, "latitude", "longitude"))


def _check_members(checker: Checker, key: str, members: Members) -> None:
    roles = _roles(members, "group", "place", "latitude", "longitude")
    checker.columns(key, f"{key}.path", members.path, roles)


def _check_weight_of_places(checker: Checker, key: str, weight: str, labels: list[InputFile]) -> None:
    places, task = checker.config.places_or_none(), checker.config.tasks[key.removeprefix("tasks.")]
    if places is None or not isinstance(task, CellTask) or task.place is None:
        checker.column(labels[0], f"{key}.weight", weight, number=True)
        return
    for file in checker.table("places.path", places.path):
        if weight not in file.columns:
            near = did_you_mean(weight, [*labels[0].columns, *file.columns])
            raise UserError(
                f"{checker.name}: {key}.weight is '{weight}', but neither {labels[0].path.name} "
                f"({listed(labels[0].columns)}) nor {file.path.name} ({listed(file.columns)}) has it."
                f"{near or ' Name a column of either.'}"
            )
        checker.column(file, f"{key}.weight", weight, number=True)


def _check_time(checker: Checker, file: InputFile, mobility: EventsMobility) -> None:
    column, kind = mobility.columns.time, file.columns[mobility.columns.time]
    where = f"{checker.name}: mobility.columns.time is '{column}', which holds"
    if is_text(kind):
        values = sample_text(file, column)
        zoned, example = not values or bool(_ZONED.search(values[0])), f"'{values[0] if values else ''}'"
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned, example = pa.types.is_timestamp(kind) and kind.tz is not None, str(kind)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        zoned, example = True, str(kind)  # since 1970, UTC
    else:
        raise UserError(f"{where} {kind} in {file.path.name}, but it must hold time stamps. Store it as such.")
    if not zoned and mobility.time_zone is None:
        raise UserError(
            f"{where} {example} in {file.path.name}: time stamps without a zone. "
            "Add mobility.time_zone, such as UTC or America/Santiago."
        )


def _first_tile(checker: Checker, key: str, modality: ImageModality) -> InputFile:
    def first(zoom: str) -> Path | None:
        pattern = modality.path.replace("{z}", zoom).replace("{x}", "*").replace("{y}", "*")
        return next(matches(checker.config.base, pattern), None)

    tile = first(str(modality.zoom))
    if tile is None:
        other = first("*")
        fix = f"There is {other}, of another zoom or name." if other else "Mend the path or the root."
        raise UserError(
            f"{checker.name}: {key}.path is '{modality.path}', but there is no tile of zoom {modality.zoom} "
            f"under {checker.config.base}. {fix}"
        )
    return InputFile(f"{key}.path", tile.absolute(), "xyz", {}, None, tile.stat().st_size)


def _check_rasters(checker: Checker, key: str, modality: ImageModality) -> list[InputFile]:
    import rasterio

    where = f"{checker.name}: {key}.path "
    found = data_files(checker.config.base, modality.path, where, IMAGE_FORMATS)
    for path in found:
        try:
            with rasterio.open(path) as raster:
                crs = raster.crs
        except rasterio.errors.RasterioError as error:
            raise UserError(f"{where}names {path}, which is no readable GeoTIFF: {error}. Copy it again.") from None
        if crs is None:
            raise UserError(f"{where}names {path.name}, which has no coordinate system. Write it with one.")
    return [InputFile(f"{key}.path", path, "geotiff", {}, None, path.stat().st_size) for path in found]


def _roles(part: Part, *names: str) -> dict[str, str | None]:
    return {name: getattr(part, name) for name in names}
