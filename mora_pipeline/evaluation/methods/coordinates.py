"""What a coordinate alone is worth: nothing (a constant), itself, sines at several scales, spherical harmonics."""

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors

SCALES = 13  # 360° / 2^k for k = 0 … 12: the finest wave is about 10 km long
SMALLEST_COMPONENT = 1e-6  # of the strongest's variance: below it, a region's harmonics are rounding


def constant(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """One number for all cells, float64 [N, 1]: what the mean of the fitted labels is worth."""
    return {"constant": MethodVectors(np.zeros((len(context.cells), 1)), "constant")}


def coordinates(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Latitude and longitude, degrees, float64 [N, 2]."""
    return {"coordinates": MethodVectors(context.coordinates, "coordinates")}


def space2vec_grid(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Sine and cosine of latitude and longitude at `SCALES` wavelengths, float64 [N, 4 · SCALES].

    Source: Space2Vec's grid (Mai et al., ICLR 2020).
    """
    return {"space2vec_grid": MethodVectors(sine_features(context.coordinates), "space2vec_grid")}


def sine_features(coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 [N, 4 · SCALES] of coordinates in degrees, [N, 2]."""
    angles = np.radians(coordinates)[:, :, None] * 2.0 ** np.arange(SCALES)
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=2)
    return waves.reshape(len(coordinates), -1)


def harmonics(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Principal components, float64 [N, d], of spherical harmonics of 32 degrees, almost collinear within a region."""
    from mora_pipeline.distillation.harmonics import DEGREE
    from mora_pipeline.distillation.projection import HarmonicProjection

    latitude, longitude = context.coordinates.T
    projection = HarmonicProjection.fit(latitude, longitude, DEGREE, SMALLEST_COMPONENT)
    return {"harmonics": MethodVectors(projection.apply(latitude, longitude))}
