"""Principal components of a region's spherical harmonics: there, a thousand features are almost collinear."""

from dataclasses import dataclass

import numpy as np

from mora_pipeline.distillation.harmonics import Floats, spherical_harmonics

_CHUNK = 8192


@dataclass(frozen=True)
class HarmonicProjection:
    """Principal components of the harmonics over the fitted cells: ``(harmonics − mean) @ matrix``.

    Attributes:
        mean: float64 [degree²].
        matrix: float64 [degree², components].
    """

    mean: Floats
    matrix: Floats
    degree: int

    @classmethod
    def fit(cls, latitude: Floats, longitude: Floats, degree: int, smallest_component: float) -> "HarmonicProjection":
        """Scale components to one variance; those below ``smallest_component`` of the strongest's are dropped.

        Args:
            latitude, longitude: degrees, float64 [n], n ≥ 1.
        """
        features = degree**2
        total, products = np.zeros(features), np.zeros((features, features))
        # Sums around one point of the region: the harmonics vary little there, and squares of means would cancel.
        centre = spherical_harmonics(latitude[:1], longitude[:1], degree)[0]
        for start in range(0, len(latitude), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            shifted = spherical_harmonics(latitude[chunk], longitude[chunk], degree) - centre
            total, products = total + shifted.sum(0), products + shifted.T @ shifted
        shift = total / len(latitude)
        variances, components = np.linalg.eigh(products / len(latitude) - np.outer(shift, shift))
        # Below 1e-20 there is rounding alone: the harmonics are about 1 and float64 has 16 digits.
        floor = max(smallest_component * variances[-1], 1e-20)
        kept = variances > floor
        scaled = components[:, kept] / np.sqrt(variances[kept] + floor)
        # A region of one point has no component; it keeps one, which is 0 everywhere.
        matrix = scaled if kept.any() else np.zeros((features, 1))
        return cls(centre + shift, matrix, degree)

    def apply(self, latitude: Floats, longitude: Floats) -> Floats:
        """The components' values at coordinates in degrees, float64 [n] each: float64 [n, components]."""
        values = np.empty((len(latitude), self.matrix.shape[1]))
        for start in range(0, len(latitude), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            harmonics = spherical_harmonics(latitude[chunk], longitude[chunk], self.degree)
            values[chunk] = (harmonics - self.mean) @ self.matrix
        return values
