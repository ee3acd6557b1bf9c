"""Points of the Earth: where they are in space, and how far apart."""

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_KM = 6371.0088
Degrees = npt.NDArray[np.floating]


def on_unit_sphere(latitude: Degrees, longitude: Degrees) -> npt.NDArray[np.float64]:
    """Points on the unit sphere, [n, 3], for coordinates in degrees."""
    north, east = np.radians(latitude), np.radians(longitude)
    points = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)
    return np.asarray(points, dtype=np.float64)


def kilometres_between(
    latitude: Degrees, longitude: Degrees, first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Great-circle distances between pairs of rows of the coordinates (haversine), [pairs]."""
    north, east = np.radians(latitude), np.radians(longitude)
    half = np.sin((north[first] - north[second]) / 2) ** 2
    half += np.cos(north[first]) * np.cos(north[second]) * np.sin((east[first] - east[second]) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
