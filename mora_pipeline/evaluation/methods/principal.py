"""Principal components that are kept as vectors: their lengths stay, so that the strongest count most."""

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import DIMENSION

SMALLEST_SHARE = 1e-10  # of the strongest variance: below it, a component of float32 vectors is rounding


def principal_axes(vectors: npt.NDArray[np.floating], most: int = DIMENSION) -> npt.NDArray[np.float32]:
    """Vectors turned to their own principal components; nothing is drawn.

    Args:
        vectors: [N, d].
        most: how many components stay.

    Returns:
        float32 [N, at most `most`], the strongest first, with mean 0; fewer where the vectors have fewer directions,
        and one column of zeros where they are all alike. Signs are arbitrary.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    real = int((variances > SMALLEST_SHARE * variances[-1]).sum()) if variances[-1] > 0 else 0
    kept = max(1, min(most, real))
    return np.asarray(centred @ directions[:, ::-1][:, :kept], dtype=np.float32)
