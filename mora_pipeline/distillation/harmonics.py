"""Spherical harmonics: smooth features of a coordinate that know the poles and the antimeridian."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DEGREE = 32  # MoRA's distilled encoder: L = 32, so 1024 features
_CHUNK = 4096


def spherical_harmonics(latitude: npt.ArrayLike, longitude: npt.ArrayLike, degree: int = DEGREE) -> Floats:
    """Real orthonormal spherical harmonics of every order up to ``degree - 1``.

    Args:
        latitude: degrees, [n].
        longitude: degrees, [n].
        degree: number of degrees l = 0 … degree - 1.

    Returns:
        float64 [n, degree²]; column ``l² + l + m`` is Y_lm with −l ≤ m ≤ l: √2 P̄_l^|m|(sin latitude) sin(|m| longitude)
        for m < 0, cos for m > 0, without the Condon-Shortley phase. ∫ Y² over the sphere is 1.

    Raises:
        ValueError: if the two arrays differ in shape or degree is not positive.

    Source: fully normalised Legendre recurrence (Holmes and Featherstone 2002), stable far beyond degree 32.
    """
    latitude, longitude = np.atleast_1d(np.asarray(latitude, float)), np.atleast_1d(np.asarray(longitude, float))
    if latitude.shape != longitude.shape or latitude.ndim != 1:
        raise ValueError(f"latitude {latitude.shape} and longitude {longitude.shape} must be two equally long rows")
    if degree < 1:
        raise ValueError(f"degree must be at least 1, not {degree}")
    features = np.empty((len(latitude), degree * degree))
    for start in range(0, len(latitude), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        features[chunk] = _harmonics_by_row(np.radians(latitude[chunk]), np.radians(longitude[chunk]), degree).T
    return features


def _harmonics_by_row(latitude: Floats, longitude: Floats, degree: int) -> Floats:
    """One harmonic a row, float64 [degree², n], of radians [n]: whole rows are written several times faster."""
    x, y = np.sin(latitude), np.cos(latitude)
    rows = np.empty((degree * degree, len(latitude)))
    sectoral = np.full(len(latitude), np.sqrt(0.25 / np.pi))
    for order in range(degree):
        if order > 0:
            sectoral = np.sqrt((2 * order + 1) / (2 * order)) * y * sectoral
        cosine, sine = np.sqrt(2) * np.cos(order * longitude), np.sqrt(2) * np.sin(order * longitude)
        before, legendre = np.zeros_like(x), sectoral
        for level in range(order, degree):
            if level > order:
                # b is 0 at level = order + 1, so `before` needs no special start.
                a = np.sqrt((4 * level**2 - 1) / (level**2 - order**2))
                b = np.sqrt(((level - 1) ** 2 - order**2) / (4 * (level - 1) ** 2 - 1)) if level > 1 else 0.0
                before, legendre = legendre, a * (x * legendre - b * before)
            centre = level * level + level
            if order == 0:
                rows[centre] = legendre
            else:
                rows[centre + order], rows[centre - order] = legendre * cosine, legendre * sine
    return rows
