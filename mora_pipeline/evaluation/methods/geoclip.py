"""GeoCLIP's location encoder (Vivanco Cepeda et al., NeurIPS 2023): trained on photographs of the whole world."""

import numpy as np

from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors

_CHUNK = 8192


def geoclip(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """512 numbers of each cell's centre, float32 [N, 512], from the weights in the wheel `geoclip`.

    Raises:
        UserError: if the wheel is not installed.
    """
    try:
        from geoclip import LocationEncoder
    except ImportError as error:
        raise UserError(
            f"benchmark: methods names geoclip, which cannot be imported ({error}). Install it: "
            "pip install 'mora-pipeline[geoclip]', or remove it from methods."
        ) from error
    import torch

    encoder = LocationEncoder().eval()
    points = torch.from_numpy(context.coordinates.astype(np.float32))
    with torch.no_grad():
        vectors = torch.cat([encoder(chunk) for chunk in points.split(_CHUNK)])
    return {"geoclip": MethodVectors(vectors.numpy(), "geoclip")}
