"""Parameters of the Spark jobs, from a RegionConfig: absolute paths, roles mapped to columns, no globs left."""

from typing import Any

import numpy as np

from mora_pipeline.contract.constants import MAXIMUM_GAP_HOURS
from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.source import Source
from mora_pipeline.region.columns import described
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.extent import cells_of_polygons, cells_of_table
from mora_pipeline.region.listing import listed_files
from mora_pipeline.region.mobility import EventsMobility, OdMobility, TimedMobility, TripsMobility
from mora_pipeline.region.samples import read_places
from mora_pipeline.region.sections import RawTable
from mora_pipeline.region.window import Window


def mobility_job(config: RegionConfig) -> dict[str, Any]:
    """Parameters of `grid_mobility`, less `output` and, where there are `weeks`, `kept`."""
    mobility = config.mobility
    if mobility is None:
        raise ValueError(f"'{config.region}' has no mobility to grid")
    events = mobility if isinstance(mobility, EventsMobility) else None
    job: dict[str, Any] = {
        "kind": mobility.kind,
        "source": source_of(config, mobility, mobility.columns.roles()),
        "places": places_source(config) if isinstance(mobility, OdMobility) and config.places_or_none() else None,
        "resolution": config.resolution,
        "maximum_gap_hours": events.maximum_gap_hours if events else MAXIMUM_GAP_HOURS,
        "time_zone": mobility.time_zone if isinstance(mobility, TimedMobility) else None,
        "maximum_bad_share": mobility.maximum_bad_share,
        "minimum_users": mobility.minimum_users,
        "minimum_flow": mobility.minimum_flow,
        "partitions": None,
        "extent": extent_of(config),
    }
    if isinstance(mobility, OdMobility | TripsMobility) and mobility.window:
        _add_window(job, config, mobility.path, mobility.window)
    return job


def _add_window(job: dict[str, Any], config: RegionConfig, path: str, window: Window) -> None:
    where, files = f"{config.file.name}: mobility.window", config.files(path)
    if window.listing:
        versions = listed_files(config.base, window.listing, files, f"{where}.listing ")
        job["versions"] = {str(file): text for file, text in versions.items()}
        files = [*versions]
    job["weeks"] = window.weeks
    if window.date:
        days = window.days(files, f"{where}.date ", config.base)
        job["dates"] = {str(file): day.isoformat() for file, day in days.items()}
        files = [*days]
    job["source"]["files"] = [str(file) for file in files]


def extent_of(config: RegionConfig) -> dict[str, Any] | None:
    """The region's extent, as `Extent.parse` takes it; None if region.yaml states none.

    Raises:
        UserError: if a file that states it cannot be read, or it has no cell.
    """
    extent = config.extent
    if extent is None:
        return None
    if extent.box:
        return {"box": extent.box}
    where = f"{config.file.name}: extent"
    if extent.cells:
        cells = cells_of_table(
            Source.parse(source_of(config, extent.cells, {"cell": extent.cells.cell}), set()), config.resolution
        )
    elif extent.polygons:
        polygons = source_of(config, extent.polygons, {"geometry": extent.polygons.geometry})
        cells = cells_of_polygons(Source.parse(polygons, set()), config.resolution)
    else:
        cells = read_places(Source.parse(places_source(config), set()), config.resolution, spread=True).cells
    if not len(cells):
        raise UserError(f"{where} has no cell. Fix it, or leave it out.")
    return {"cells": np.unique(cells).tolist()}


def places_source(config: RegionConfig) -> dict[str, Any]:
    """The table of places as a Spark source."""
    places = config.places_or_none()
    if places is None:
        raise ValueError("no table of places: RegionConfig lets nothing refer to places without one")
    return source_of(config, places, places.place_roles())


def source_of(config: RegionConfig, table: RawTable, roles: dict[str, str]) -> dict[str, Any]:
    """What `Source.parse` takes: the files of a table of region.yaml, their format, and what plays each role."""
    return described(config.find(table.path), table, roles)
