"""The distilled encoder's network: coordinate → spherical harmonics → embedding, for places without a cell."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.distillation.harmonics import DEGREE, spherical_harmonics

WEIGHTS, SETTINGS = "encoder.safetensors", "encoder.json"
FORMAT = "mora coordinate encoder 1"
_CHUNK = 8192


class CoordinateEncoder(nn.Module):
    """MLP [degree²] + [hidden] × hidden_layers + [dimension], ReLU between, in float64 (MoRA's released student).

    Scaling of inputs and outputs, which training needs, is folded into the first and last layer: what is saved is
    the method's network and nothing else.

    Args:
        degree: of the harmonics, which has degree² features.
        hidden: width of the hidden layers.
        hidden_layers: how many there are.
        dimension: of the embeddings.
    """

    def __init__(
        self, degree: int = DEGREE, hidden: int = 512, hidden_layers: int = 8, dimension: int = DIMENSION
    ) -> None:
        super().__init__()
        self.settings = {"degree": degree, "hidden": hidden, "hidden_layers": hidden_layers, "dimension": dimension}
        widths = [degree * degree, *[hidden] * hidden_layers, dimension]
        self.layers = nn.ModuleList(
            nn.Linear(width, following, dtype=torch.float64) for width, following in pairwise(widths)
        )

    def forward(self, harmonics: Tensor) -> Tensor:
        """Spherical harmonics, float64 [n, degree²] → embeddings, float64 [n, dimension]."""
        hidden = harmonics
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return self.layers[-1](hidden)

    def linears(self) -> list[nn.Linear]:
        """The layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @torch.no_grad()
    def encode(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Embeddings of coordinates; needs little memory beyond the result.

        Args:
            latitude, longitude: degrees, [n] or one number.

        Returns:
            float32 [n, dimension], un-normalised.

        Raises:
            ValueError: if the two differ in shape.
        """
        latitude, longitude = np.atleast_1d(np.asarray(latitude, float)), np.atleast_1d(np.asarray(longitude, float))
        vectors = np.empty((len(latitude), self.settings["dimension"]), dtype=np.float32)
        for start in range(0, len(latitude), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            features = spherical_harmonics(latitude[chunk], longitude[chunk], self.settings["degree"])
            vectors[chunk] = self(torch.from_numpy(features)).numpy()
        return vectors


def save_encoder(encoder: CoordinateEncoder, folder: Path) -> None:
    """Write ``encoder.safetensors`` and ``encoder.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps({"format": FORMAT, **encoder.settings}, indent=2))


def load_encoder(folder: Path) -> CoordinateEncoder:
    """Read what `save_encoder` wrote; no code in the files is ever run.

    Raises:
        UserError: if a file is missing or damaged, or the two do not belong together.
    """
    settings = _read_settings(folder / SETTINGS)
    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder / WEIGHTS} cannot be read as encoder weights ({error}). Materialise `distilled_encoder` again."
        ) from error
    with torch.device("meta"):
        encoder = CoordinateEncoder(**settings)
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in encoder.state_dict().items()}
    stored = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()}
    if stored != expected:
        wrong = sorted(name for name in expected.keys() | stored.keys() if expected.get(name) != stored.get(name))
        raise UserError(
            f"{folder / WEIGHTS} does not fit {SETTINGS} beside it ({', '.join(wrong[:4])} differ): the two come from "
            "different encoders. Materialise `distilled_encoder` again."
        )
    encoder.load_state_dict(weights, assign=True)
    return encoder.requires_grad_(False).eval()


def _read_settings(path: Path) -> dict[str, int]:
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}). Materialise `distilled_encoder` again.") from error
    largest = {"degree": 64, "hidden": 65536, "hidden_layers": 64, "dimension": 65536}
    good = isinstance(settings, dict) and settings.get("format") == FORMAT and settings.keys() == {"format", *largest}
    if not good or not all(type(settings[name]) is int and 1 <= settings[name] <= largest[name] for name in largest):
        raise UserError(
            f"{path} does not describe a coordinate encoder ('format': '{FORMAT}' with whole numbers "
            f"{', '.join(largest)}). Materialise `distilled_encoder` again."
        )
    return {name: settings[name] for name in largest}
