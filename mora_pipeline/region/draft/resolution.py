"""Which H3 resolution fits a region: by how far apart its places are, or by how many records a cell would have."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.sphere import EARTH_RADIUS_KM, on_unit_sphere

COARSEST, FINEST = 5, 9
EDGE_KM = {5: 9.854, 6: 3.725, 7: 1.406, 8: 0.531, 9: 0.201}  # mean length of a cell's edge (h3geo.org)
ABOUT = 0.75  # of the distance between places, that the centres of cells may lie apart
RECORDS = 300  # records a cell, from which its flows tell something
MOST = 100_000  # places whose neighbours are looked for
Floats = npt.NDArray[np.float64]


def spacing_km(resolution: int) -> float:
    """How far the centres of neighbouring cells lie apart."""
    return EDGE_KM[resolution] * 3**0.5


def by_places(latitude: Floats, longitude: Floats) -> tuple[int, str]:
    """The finest resolution whose cells hold a place or a few, and why.

    Args:
        latitude, longitude: degrees, [n], of places.
    """
    from scipy.spatial import cKDTree

    points = np.unique(np.stack([latitude, longitude], axis=1), axis=0)[:MOST]
    if len(points) < 2:
        return 7, "There are too few places to tell; 7 is about 5 km² a cell."
    sphere = on_unit_sphere(points[:, 0], points[:, 1])
    chord = cKDTree(sphere).query(sphere, k=2)[0][:, 1]
    distance = float(np.median(2 * np.arcsin(np.clip(chord / 2, 0, 1)))) * EARTH_RADIUS_KM
    resolution = max((each for each in EDGE_KM if spacing_km(each) >= ABOUT * distance), default=COARSEST)
    reason = (
        f"Half of the {len(points):,} places have their nearest neighbour within {_length(distance)}. Cells of "
        f"resolution {resolution} lie {_length(spacing_km(resolution))} apart, so that a cell holds about one place or "
        "a few."
    )
    if spacing_km(resolution) < ABOUT * distance:
        reason = reason.replace(", so that a cell holds about one place or a few", ": a place has a cell of its own")
    return resolution, reason


def by_records(latitude: Floats, longitude: Floats, rows: int, what: str) -> tuple[int, str]:
    """The finest resolution at which the cells with records have many, and why.

    Args:
        latitude, longitude: degrees, [n], of a sample.
        rows: of the whole table, about.
    """
    import pyarrow as pa

    from mora_pipeline.raw.places import cells_at

    if not len(latitude):
        return 7, "There are no points to tell; 7 is about 5 km² a cell."
    chosen, records = COARSEST, 0.0
    for resolution in range(COARSEST, FINEST + 1):
        mean = rows / len(np.unique(cells_at(pa.array(latitude), pa.array(longitude), resolution)))
        if resolution == COARSEST or mean >= RECORDS:
            chosen, records = resolution, mean
    return chosen, (
        f"About {rows:,} {what}: a cell of resolution {chosen}, {_length(spacing_km(chosen))} from the next, has about "
        f"{records:,.0f} of them. A finer one shows more and has fewer."
    )


def by_cells(resolutions: Iterable[int]) -> tuple[int, str]:
    """The resolution of the cells that the data names."""
    finest = max(resolutions)
    return finest, f"The ends of the flows are H3 cells of resolution {finest}."


def _length(kilometres: float) -> str:
    return f"{kilometres * 1000:,.0f} m" if kilometres < 1 else f"{kilometres:,.1f} km"
