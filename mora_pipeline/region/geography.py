"""Where a region's points are: their box, a small map, and what looks wrong about it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # latitude and longitude, degrees, float64 [n] each
CENTRAL = (0.005, 0.995)  # quantiles between which a box lies: a few wild points do not stretch it
POLAR = 66.5  # degrees; beyond, hardly anybody lives
AROUND = 0.5  # of a box's side, that others may be outside it
MOST = 0.5
FEW = 0.1
SHADES = " .:*#"
LONGITUDES = re.compile(r"(^|_)(lon|lng|long|longitude|easting|x)($|_)", re.IGNORECASE)
LATITUDES = re.compile(r"(^|_)(lat|latitude|northing|y)($|_)", re.IGNORECASE)


@dataclass(frozen=True)
class Box:
    """Degrees; nearly all points are inside."""

    south: float
    west: float
    north: float
    east: float

    def holds(self, points: Points) -> npt.NDArray[np.bool_]:
        """Which points are inside or near, bool [n]."""
        tall = max(self.north - self.south, 0.1) * AROUND
        wide = max(self.east - self.west, 0.1) * AROUND
        latitude, longitude = points
        inside = (latitude >= self.south - tall) & (latitude <= self.north + tall)
        return np.asarray(inside & (longitude >= self.west - wide) & (longitude <= self.east + wide))

    def __str__(self) -> str:
        return f"latitude {self.south:.3f} to {self.north:.3f}, longitude {self.west:.3f} to {self.east:.3f}"


def boxed(points: Points) -> Box | None:
    """The box of nearly all points; None if there are none."""
    if not len(points[0]):
        return None
    (south, north), (west, east) = (np.quantile(axis, CENTRAL) for axis in points)
    return Box(float(south), float(west), float(north), float(east))


def warnings_of_points(points: Mapping[str, Points], axes: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """What looks wrong about where the tables are.

    Args:
        points: by key of region.yaml.
        axes: the columns that are named as latitude and longitude, by key.
    """
    swapped = _swapped_pair(points)
    if swapped:
        yield swapped
    for key, own in points.items():
        box = boxed(own)
        if box is None:
            continue
        latitude, longitude = axes.get(key, ("", ""))
        if LONGITUDES.search(latitude) and LATITUDES.search(longitude):
            yield f"{key}: latitude is '{latitude}' and longitude is '{longitude}'. Swap them if the names are right."
        elif not swapped and np.median(np.abs(own[0])) > POLAR:
            yield f"{key} lies at {box}, near a pole: are latitude and longitude swapped?"
    if not swapped:
        yield from _apart(points)


def _swapped_pair(points: Mapping[str, Points]) -> str | None:
    """A sentence where one table is at another's place once its axes are swapped."""
    for key, own in points.items():
        for other, theirs in points.items():
            box = boxed(theirs)
            if other == key or box is None or box.holds(own).mean() > FEW:
                continue
            if box.holds((own[1], own[0])).mean() > MOST:
                wrong = key if np.median(np.abs(own[0])) > np.median(np.abs(theirs[0])) else other
                return (
                    f"{key} lies at {boxed(own)}, and {other} at {box}: latitude and longitude are swapped in one of "
                    f"them, probably in {wrong}."
                )
    return None


def _apart(points: Mapping[str, Points]) -> Iterator[str]:
    """Sentences about tables that are nowhere near the first one (the places, or the mobility)."""
    keys = list(points)
    box = boxed(points[keys[0]]) if keys else None
    for key in keys[1:]:
        if box is not None and not box.holds(points[key]).any():
            yield f"{key} lies at {boxed(points[key])}, and {keys[0]} at {box}: no point of it is in the region."


def text_map(points: Points, width: int = 56, height: int = 14) -> list[str]:
    """Points as lines of text, north up; the denser, the darker the sign. Empty without points."""
    box = boxed(points)
    if box is None:
        return []
    tall, wide = max(box.north - box.south, 1e-6), max(box.east - box.west, 1e-6)
    row = ((box.north - points[0]) / tall * (height - 1)).round().astype(np.int64)
    column = ((points[1] - box.west) / wide * (width - 1)).round().astype(np.int64)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    counts = np.zeros((height, width), dtype=np.int64)
    np.add.at(counts, (row[inside], column[inside]), 1)
    levels = np.ceil(np.log1p(counts) / np.log1p(max(counts.max(), 1)) * (len(SHADES) - 1)).astype(int)
    return ["".join(SHADES[level] for level in line).rstrip() for line in levels]
