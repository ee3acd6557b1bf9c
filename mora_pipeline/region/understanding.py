"""What a region's files show before anything runs: its tables, where they are, and what fits together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.bad_share import check_share
from mora_pipeline.raw.places import Places, ambiguous_ids
from mora_pipeline.raw.rule_sets import (
    AMOUNTS,
    CELL_FLOW_ROLES,
    END_CELLS,
    MOBILITY_ROLES,
    cell_flow_rules,
    event_rules,
    od_rules,
    place_roles,
    place_rules,
    trip_points,
    trip_rules,
)
from mora_pipeline.raw.rules import LATEST_AFTER, NULL_ISLAND
from mora_pipeline.raw.source import Source
from mora_pipeline.region.checks import checked
from mora_pipeline.region.columns import Checker
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.geography import Box, boxed, warnings_of_points
from mora_pipeline.region.kinds import KINDS
from mora_pipeline.region.matches import Match, matched_labels
from mora_pipeline.region.mobility import Mobility, TimedMobility, WindowedMobility
from mora_pipeline.region.samples import (
    Points,
    RawTableRules,
    TableSample,
    places_of,
    points_in,
    read_place_rows,
    source_of_heads,
    take_sample,
)
from mora_pipeline.region.sections import PlacesConfig
from mora_pipeline.region.warnings import warnings_of_copies, warnings_of_extent

FEW_MATCH = 0.5  # of a table's places that are known, below which a warning says so
MOST_COVERED = 5000  # points that imagery is asked about


@dataclass(frozen=True)
class Understanding:
    """A region as its files show it.

    Attributes:
        samples: of each table; ``matches``: of labels, places and imagery.
        box: of the points of places and mobility, else of all; None where there are none.
        points: these, for a map.
        cells: how many H3 cells the sampled rows of them are in.
        warnings: sentences; ``remarks``: what was found and not declared, by key.
    """

    config: RegionConfig
    samples: tuple[TableSample, ...]
    matches: tuple[Match, ...]
    box: Box | None
    points: Points
    cells: int
    warnings: tuple[str, ...]
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def understand(config: RegionConfig, progress: Callable[[str], None] = lambda key: None) -> Understanding:
    """Open the head of every file, validate a sample of every table, and compare what they say.

    Args:
        progress: is told each key before its sample is read.

    Raises:
        UserError: for what would fail a run: a file, a column, too many bad rows, labels of which none is anywhere.
    """
    checker = checked(config)
    places = _places(config, checker)
    samples = []
    for table in _tables(config, checker):
        progress(table.key)
        sample = take_sample(table, config.resolution, places, _remarks(checker, table.key))
        _refuse(sample)
        samples.append(sample)
    points = {sample.table.key: sample.points for sample in samples if len(sample.points[0])}
    cells = [sample.cells for sample in samples if config.extent or not sample.table.key.startswith("modalities.")]
    joint = _joint({key: each for key, each in points.items() if not key.startswith("modalities.")} or points)
    matches = [*_matched_places(samples), *matched_labels(config, checker, places), *_covered(config, joint)]
    warnings = [
        *warnings_of_points(points, _axes(samples)),
        *warnings_of_extent(config, joint),
        *warnings_of_copies(checker.remarks),
        *_warnings_of_rows(samples),
        *_warnings_of_matches(matches),
    ]
    return Understanding(
        config,
        tuple(samples),
        tuple(matches),
        boxed(joint),
        joint,
        len(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *cells]))),
        tuple(warnings),
        checker.remarks,
    )


def _joint(points: Mapping[str, Points]) -> Points:
    latitude, longitude = ([each[axis] for each in points.values()] for axis in (0, 1))
    return np.concatenate([*latitude, np.empty(0)]), np.concatenate([*longitude, np.empty(0)])


def _places(config: RegionConfig, checker: Checker) -> Places | None:
    """The places that the region knows; a polygon lies where its point does: spreading it is for a run."""
    table = config.places_or_none()
    if table is None:
        return None
    heads = checker.table(_key_of_places(config), table)
    source = source_of_heads(heads, table.place_roles())
    rows = read_place_rows(source)
    _refuse_ambiguous(rows, source, table, _key_of_places(config).removesuffix(".path"))
    return places_of(rows, config.resolution)


def _refuse_ambiguous(rows: pa.Table, source: Source, table: PlacesConfig, key: str) -> None:
    """Refuse a table of places in which too many ids are at several points, as a run does.

    Args:
        rows: those of the source.

    Raises:
        UserError: if there are too many.
    """
    ambiguous = ambiguous_ids(rows)
    bad = pc.sum(pc.is_in(rows["id"], ambiguous)).as_py() or 0
    if bad > table.maximum_bad_share * len(rows):
        raise UserError(
            f"{source.describe()}: {bad:,} of {len(rows):,} rows are of a place that is listed at several points, such "
            f"as '{ambiguous[0]}', more than {key}.maximum_bad_share = {table.maximum_bad_share:g} allows. Choose one "
            "of them by where, or give each place its own id."
        )


def _key_of_places(config: RegionConfig) -> str:
    return "places.path" if config.places else "mobility.places.path"


def _tables(config: RegionConfig, checker: Checker) -> Iterator[RawTableRules]:
    places, mobility = config.places_or_none(), config.mobility
    if places is not None:
        path_key = _key_of_places(config)
        key, roles = path_key.removesuffix(".path"), places.place_roles()
        yield RawTableRules(
            key,
            source_of_heads(checker.table(path_key, places), roles),
            place_roles(roles),
            place_rules(roles),
            points=points_in(roles),
            cells=("cell",) if "cell" in roles else (),
            allowed=places.maximum_bad_share,
            setting=f"{key}.maximum_bad_share",
        )
    if mobility is not None:
        yield _mobility_table(config, mobility, checker)
    for name, modality in config.modalities.items():
        key = f"modalities.{name}"
        heads = [head for (own, _), head in checker.opened.items() if own == f"{key}.path"]
        rules = KINDS[modality.kind].raw_rules(key, modality, heads) if heads else None
        if rules is not None:
            yield rules


def _mobility_table(config: RegionConfig, mobility: Mobility, checker: Checker) -> RawTableRules:
    source = source_of_heads(checker.table("mobility.path", mobility), mobility.columns.roles())
    roles, columns, latest = MOBILITY_ROLES[mobility.kind], source.columns, _latest(mobility, source)
    places, points, cells = dict[str, str](), list[tuple[str, str]](), list[str]()
    if mobility.kind == "events":
        rules, points = event_rules(), [("latitude", "longitude")]
    elif mobility.kind == "trips":
        rules, points = trip_rules(columns, config.resolution, latest), trip_points(columns)
        cells = [end for end in END_CELLS if end in columns]
    elif config.places_or_none():
        rules, places = od_rules(columns, latest), {"origin": "origin_cell", "destination": "destination_cell"}
    else:
        rules, roles = cell_flow_rules(columns, config.resolution, latest), CELL_FLOW_ROLES
        cells = ["origin", "destination"]
    return RawTableRules(
        "mobility",
        source,
        roles,
        rules,
        AMOUNTS[mobility.kind],
        places,
        points,
        cells,
        mobility.maximum_bad_share,
        "mobility.maximum_bad_share",
        mobility.time_zone if isinstance(mobility, TimedMobility) else "UTC",
    )


def _latest(mobility: Mobility, source: Source) -> dict[str, int] | None:
    """The last time that the rows of each file may have, microseconds, where a window takes their days."""
    if not isinstance(mobility, WindowedMobility) or mobility.window is None or mobility.window.date:
        return None
    return {file: Path(file).stat().st_mtime_ns // 1000 + LATEST_AFTER for file in source.files}


def _remarks(checker: Checker, key: str) -> list[str]:
    return [
        *checker.remarks.get(f"{key}.path", ()),
        *(remark for (own, _), head in checker.opened.items() if own == f"{key}.path" for remark in head.remarks),
    ]


def _refuse(sample: TableSample) -> None:
    """Refuse a table whose sample a run would refuse.

    Raises:
        UserError: if it is empty, too much of it is bad, or no row is of use.
    """
    table = sample.table
    if table.allowed is not None:
        examples = [text for reason, text in sample.examples.items() if reason not in sample.apart]
        name = table.source.describe()
        try:
            check_share(name, sample.counts, sample.apart, table.allowed, table.setting, table.amount, examples)
        except UserError as error:
            raise UserError(" ".join([str(error), *sample.suspicions])) from None


def _axes(samples: Sequence[TableSample]) -> dict[str, tuple[str, str]]:
    """The columns of latitude and longitude, by key, of the tables that have such."""
    return {
        sample.table.key: (sample.table.source.columns[latitude], sample.table.source.columns[longitude])
        for sample in samples
        for latitude, longitude in sample.table.points[:1]
        if {latitude, longitude} <= sample.table.source.columns.keys()
    }


def _matched_places(samples: Sequence[TableSample]) -> Iterator[Match]:
    for sample in samples:
        if sample.table.places:
            known = sample.good
            yield Match(sample.table.key, "rows in known places", known, known + sample.unknown_places)


def _covered(config: RegionConfig, points: Points) -> Iterator[Match]:
    """How many of the region's points each imagery is at.

    Raises:
        UserError: if it is at none.
    """
    if not len(points[0]):
        return
    chosen = np.unique(np.linspace(0, len(points[0]) - 1, MOST_COVERED).astype(int))
    latitude, longitude = points[0][chosen], points[1][chosen]
    for name, modality in config.modalities.items():
        coverage = KINDS[modality.kind].covers(modality, config.base, latitude, longitude)
        if coverage is None:
            continue
        covered, remarks = coverage
        if not covered.any():
            raise UserError(
                f"{config.file.name}: modalities.{name} is at none of the region's {len(chosen):,} sampled points. "
                + " ".join(remarks)
            )
        yield Match(f"modalities.{name}", "points covered", int(covered.sum()), len(chosen), remarks)


def _warnings_of_rows(samples: Sequence[TableSample]) -> Iterator[str]:
    for sample in samples:
        yield from (f"{sample.table.key}: {said}" for said in sample.suspicions)
        zero = sample.counts.get(NULL_ISLAND)
        if zero:
            yield (
                f"{sample.table.key}: {zero.rows:,} of {sample.rows:,} sampled rows have a point at 0, 0, which "
                "devices write that know no position. They are left out."
            )


def _warnings_of_matches(matches: Sequence[Match]) -> Iterator[str]:
    for match in matches:
        yield from (f"{match.key}: {said}" for said in match.suspicions)
        if match.matched < FEW_MATCH * match.of:
            yield f"{match.key}: only {match.matched:,} of {match.of:,} {match.what}. The others are left out."
