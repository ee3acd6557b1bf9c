"""The equal-area projection of EPSG:6933, where areas of cells and polygons are compared.

Lambert's cylinder on the ellipsoid WGS 84 with true scale at 30 degrees: areas are exact; a straight line between two
points deviates from one in degrees, or on the globe, by less than 2 m where they are at most 0.1 degrees apart.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
RADIUS = 6378137.0  # WGS 84: equator, metres
ECCENTRICITY = np.sqrt(0.0066943799901413165)
STANDARD_PARALLEL = np.radians(30)
SCALE = np.cos(STANDARD_PARALLEL) / np.sqrt(1 - (ECCENTRICITY * np.sin(STANDARD_PARALLEL)) ** 2)
METRES_PER_DEGREE = RADIUS * SCALE * np.pi / 180  # of longitude: x is linear in it


def project(degrees: Floats) -> Floats:
    """Metres east and north, float64 [n, 2], of longitudes (of any turn) and latitudes, float64 [n, 2]."""
    sine = np.sin(np.radians(degrees[:, 1]))
    e = ECCENTRICITY
    q = (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
    return np.column_stack([degrees[:, 0] * METRES_PER_DEGREE, RADIUS * q / (2 * SCALE)])


def cell_polygons(cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.object_], Floats]:
    """The projected polygons of cells, and the longitudes of their centres, degrees.

    Vertices are within 180 degrees of the centre, so a cell on the antimeridian is one piece. The cells that hold a
    pole are no polygons here; theirs mean nothing.
    """
    import shapely
    from h3ronpy.vector import cells_to_coordinates, cells_to_wkb_polygons

    unsigned = pa.array(cells.astype(np.uint64))
    centres = pa.record_batch(cells_to_coordinates(unsigned))["lng"].to_numpy()
    polygons = shapely.from_wkb(pa.array(cells_to_wkb_polygons(unsigned)).to_numpy(zero_copy_only=False))
    degrees, rows = shapely.get_coordinates(polygons, return_index=True)
    degrees[:, 0] -= 360 * np.round((degrees[:, 0] - centres[rows]) / 360)
    return shapely.set_coordinates(polygons, project(degrees)), centres
