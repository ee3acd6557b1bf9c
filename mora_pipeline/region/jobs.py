"""Parameters of the Spark jobs, made from a RegionConfig: absolute paths, roles mapped to columns, no globs left."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any, TypeVar

from mora_pipeline.contract.constants import MAXIMUM_GAP_HOURS
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.region.files import file_format, read_header
from mora_pipeline.region.listing import listed_files
from mora_pipeline.region.mobility import EventsMobility, OdMobility, TripsMobility
from mora_pipeline.region.modalities import TableModality, TextModality
from mora_pipeline.region.parts import Part
from mora_pipeline.region.window import Window

if TYPE_CHECKING:
    from mora_pipeline.region.config import RegionConfig

M = TypeVar("M", TextModality, TableModality)


def mobility_job(config: RegionConfig) -> dict[str, Any]:
    """Parameters of `grid_mobility`, less `output` and, where there are `weeks`, `kept`."""
    mobility = config.mobility
    events = mobility if isinstance(mobility, EventsMobility) else None
    job: dict[str, Any] = {
        "kind": mobility.kind,
        "source": _source(config, mobility.path, _roles(mobility.columns)),
        "places": places_source(config) if isinstance(mobility, OdMobility) else None,
        "resolution": config.resolution,
        "maximum_gap_hours": events.maximum_gap_hours if events else MAXIMUM_GAP_HOURS,
        "time_zone": events.time_zone if events else None,
        "maximum_bad_share": mobility.maximum_bad_share,
        "minimum_users": mobility.minimum_users,
        "minimum_flow": mobility.minimum_flow,
        "partitions": None,
    }
    if isinstance(mobility, OdMobility | TripsMobility) and mobility.window:
        _add_window(job, config, mobility.window)
    return job


def _add_window(job: dict[str, Any], config: RegionConfig, window: Window) -> None:
    where, found = f"{config.file.name}: mobility.window", config.files(config.mobility.path)
    if window.listing:
        versions = listed_files(config.base, window.listing, found, f"{where}.listing ")
        job["versions"] = {str(file): text for file, text in versions.items()}
        found = [*versions]
    job["weeks"] = window.weeks
    if window.date:
        days = window.days(found, f"{where}.date ")
        job["dates"] = {str(file): day.isoformat() for file, day in days.items()}
        found = [*days]
    job["source"]["files"] = [str(file) for file in found]


def text_job(config: RegionConfig, name: str) -> dict[str, Any]:
    """Parameters of `grid_text` for one text modality, less `output`."""
    modality = _modality(config, name, TextModality)
    return {
        "source": _source(config, modality.path, _roles(modality.columns)),
        "places": places_source(config) if modality.columns.place else None,
        "resolution": config.resolution,
        "maximum_bad_share": modality.maximum_bad_share,
    }


def table_job(config: RegionConfig, name: str) -> dict[str, Any]:
    """Parameters of `grid_table` for one table modality, less `output`."""
    modality = _modality(config, name, TableModality)
    roles = {"place": modality.place} if modality.place else _roles(modality.columns)
    if modality.weight:
        roles = {**roles, "weight": modality.weight}
    header = read_header(config.files(modality.path)[0], f"modalities.{name}.path")
    return {
        "source": _source(config, modality.path, roles),
        "groups": expand_groups(modality, list(header.columns)),
        "places": places_source(config) if modality.place else None,
        "resolution": config.resolution,
        "maximum_bad_share": modality.maximum_bad_share,
    }


def expand_groups(modality: TableModality, columns: list[str]) -> dict[str, list[str]]:
    """The columns of each group, in the file's order; place, weight and coordinates never belong to one."""
    taken = {modality.place, modality.weight, *(_roles(modality.columns).values() if modality.columns else ())}
    free = [column for column in columns if column not in taken]
    return {group: [column for column in free if _matches(column, globs)] for group, globs in modality.groups.items()}


def places_source(config: RegionConfig) -> dict[str, Any]:
    """The table of places as a Spark source."""
    places = config.places_or_none()
    if places is None:
        raise ValueError("no table of places: RegionConfig lets nothing refer to places without one")
    return _source(config, places.path, {"id": places.id, "latitude": places.latitude, "longitude": places.longitude})


def _source(config: RegionConfig, path: str, roles: dict[str, str]) -> dict[str, Any]:
    found = config.files(path)
    return {"files": [str(item) for item in found], "format": file_format(found[0]), "columns": roles}


def _roles(columns: Part | None) -> dict[str, str]:
    return columns.model_dump(exclude_none=True) if columns else {}


def _matches(column: str, globs: str) -> bool:
    return column == globs or any(column == item or fnmatch.fnmatchcase(column, item) for item in globs.split("|"))


def _modality(config: RegionConfig, name: str, kind: type[M]) -> M:
    modality = config.modalities.get(name)
    if not isinstance(modality, kind):
        of_kind = [other for other, item in config.modalities.items() if isinstance(item, kind)]
        raise UserError(
            f"{config.file.name}: modalities has no '{name}' of that kind; it has {', '.join(of_kind) or 'none'}."
            f"{did_you_mean(name, of_kind)}"
        )
    return modality
