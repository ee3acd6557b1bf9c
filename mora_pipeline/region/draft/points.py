"""Which columns of a table are the coordinates of points: by their names, and by what they hold."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.roles import axis, end_of

IN_RANGE = 0.98  # of the coordinates, that must be degrees
NEAR = 5.0  # degrees between the medians of two ends of a region's trips, at most
CENTRES = ("centre", "center", "centroid", "zentrum", "centro", "middle", "label")
WIDEST = 15.0  # degrees that the coordinates of a region span, at most
MOST_COLUMNS = 10  # of a table whose names say nothing
LIMITS = {"latitude": 90.0, "longitude": 180.0}


@dataclass(frozen=True)
class Point:
    """The columns of a point, the other words of their names, and how strongly these say so, 0 to 1."""

    latitude: str
    longitude: str
    words: tuple[str, ...]
    strength: float

    @property
    def names(self) -> tuple[str, str]:
        return self.latitude, self.longitude


def find_points(columns: Mapping[str, ColumnSample]) -> list[Point]:
    """The points that each row has, in the order of the columns; each column in one of them at most."""
    axes: dict[str, list[tuple[str, float, tuple[str, ...]]]] = {"latitude": [], "longitude": []}
    for name, column in columns.items():
        if (named := axis(name)) and in_degrees(column, LIMITS[named[0]]):
            axes[named[0]].append((name, *named[1:]))
    found = [
        Point(latitude, longitude, words, min(strength, other))
        for latitude, strength, words in axes["latitude"]
        for longitude, other, others in axes["longitude"]
        if words == others
    ]
    if not found and len(axes["latitude"]) == len(axes["longitude"]) == 1:
        (latitude, strength, words), (longitude, other, _) = axes["latitude"][0], axes["longitude"][0]
        found = [Point(latitude, longitude, words, min(strength, other))]
    points: list[Point] = []
    for point in sorted(found, key=lambda each: -each.strength):
        if not {*point.names} & {name for other in points for name in other.names}:
            points.append(point)
    order = list(columns)
    return sorted(points, key=lambda point: order.index(point.latitude))


def in_degrees(column: ColumnSample, limit: float) -> bool:
    """Whether a column holds degrees up to a limit."""
    given = column.given
    return column.is_number and len(given) > 0 and float((np.abs(given) <= limit).mean()) >= IN_RANGE


def projected(columns: Mapping[str, ColumnSample]) -> list[str]:
    """Columns that are named as coordinates and hold no degrees."""
    found = {
        name: named[0]
        for name, column in columns.items()
        if (named := axis(name)) and named[1] >= 0.5 and column.is_number and not in_degrees(column, LIMITS[named[0]])
    }
    return list(found) if len(set(found.values())) == 2 else []


def two_ends(points: Collection[Point]) -> tuple[Point, Point, bool] | None:
    """Where trips start and end, of the points of a table, and whether the names say so; None if it has one point."""
    ends: dict[str, Point] = {}
    for point in points:
        if end := end_of(point.words):
            ends.setdefault(end, point)
    if len(ends) == 2:
        return ends["origin"], ends["destination"], True
    if len(points) == 2 and all(len(word) == 1 for point in points for word in point.words):  # lat1, lon1, lat2, lon2
        first, last = points
        return first, last, False
    return None


def main_point(points: Sequence[Point]) -> Point | None:
    """The point that says where a row is; None if it has none, or two ends."""
    if not points or two_ends(points):
        return None
    return max(
        points, key=lambda point: (point.strength >= 0.5, not {*point.words}.isdisjoint(CENTRES), not point.words)
    )


def unnamed_ends(columns: Mapping[str, ColumnSample]) -> tuple[Point, Point] | None:
    """Two points in four columns whose names say nothing: latitude, longitude, latitude, longitude near each other.

    Only of a small table that has no other columns of decimals.
    """
    four = [name for name, column in columns.items() if column.is_fraction]
    if len(four) != 4 or len(columns) > MOST_COLUMNS:
        return None
    given = [columns[name].given[columns[name].given != 0] for name in four]
    if not all(map(len, given)) or not all(
        in_degrees(columns[name], 180 if odd % 2 else 90) for odd, name in enumerate(four)
    ):
        return None
    middles = [float(np.median(each)) for each in given]
    wide = max(float(np.ptp(np.quantile(each, [0.05, 0.95]))) for each in given)
    if wide > WIDEST or abs(middles[0] - middles[2]) > NEAR or abs(middles[1] - middles[3]) > NEAR:
        return None
    return Point(four[0], four[1], (), 0.1), Point(four[2], four[3], (), 0.1)
