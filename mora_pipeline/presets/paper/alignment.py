"""Aligning modalities to an anchor: the heads, the temperatures, the mask and the loss terms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities import LoadedModality, kind_of
from mora_pipeline.modalities.blocks import SMALLEST_DEVIATION, Block
from mora_pipeline.presets.paper.loss import contrastive_loss
from mora_pipeline.presets.paper.parameters import MOBILITY

HIGHEST_SCALE = 100.0  # CLIP's bound of what it multiplies cosines with: a temperature of 0.01


def with_amounts(modality: LoadedModality) -> LoadedModality:
    """What a modality's head sees: its vectors, and behind them its amounts around the mean of the region's cells.

    All amounts are scaled by one factor, so that their variances sum to 1: a category that hardly varies stays small.
    Unknown amounts are 0, the mean; and so are all where none varies.

    Returns:
        The modality with vectors float32 [N, d + a], and no amounts beside them.
    """
    if not modality.amount_names:
        return modality
    known = modality.amounts[modality.amounts_present].astype(np.float64)
    variance = known.var(axis=0).sum()
    scale = 1 / np.sqrt(variance) if variance > SMALLEST_DEVIATION**2 else 0.0
    block = Block.of(known.mean(axis=0), np.eye(known.shape[1]) * scale, known.std(axis=0) * scale)
    scaled = block.apply(modality.amounts, modality.amounts_present)
    return replace(modality, vectors=np.concatenate([modality.vectors, scaled], axis=1), amount_names=())


def make_head(kind: str, input_dimension: int, dimension: int) -> nn.Module:
    """The map from a modality's vectors [n, input_dimension] to the embedding's space [n, dimension].

    Source: Kaiming-uniform weights, as in MoRA's released core.
    """
    head = kind_of(kind).head(input_dimension, dimension)
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight)
    return head


class Alignment(nn.Module):
    """Contrastive terms between the anchor and every other modality; none between two others.

    With mobility as anchor (the method) there is one term a modality. Another anchor has terms against mobility and
    against each of the rest, over the cells that have both. A term uses the temperature of its other modality, that
    against mobility the anchor's own.

    Args:
        modalities: those beside mobility; their order does not matter.
        dimension: of the embedding.
        anchor: `mobility` or the name of one of the modalities.
        temperatures: by name, instead of the modalities' own.
        learn_temperatures: start from them and learn each as CLIP does, by the logarithm of its inverse.

    Raises:
        UserError: if `anchor` or a key of `temperatures` is not a modality.
    """

    def __init__(
        self,
        modalities: Sequence[LoadedModality],
        dimension: int,
        anchor: str = MOBILITY,
        temperatures: Mapping[str, float] | None = None,
        learn_temperatures: bool = False,
    ) -> None:
        super().__init__()
        modalities = sorted(modalities, key=lambda modality: modality.name)
        names = [modality.name for modality in modalities]
        for key, used in (("anchor", [anchor]), ("temperatures", list(temperatures or {}))):
            allowed = [MOBILITY, *names] if key == "anchor" else names
            unknown = [name for name in used if name not in allowed]
            if unknown:
                raise UserError(
                    f"alignment: embeddings.paper.{key} names '{unknown[0]}', but the modalities are "
                    f"{', '.join(allowed)} (of region.yaml, and of embeddings.paper.modalities where that is set)."
                )
        self.anchor = anchor
        self.temperatures = {modality.name: modality.temperature for modality in modalities} | dict(temperatures or {})
        # A suffix, since a module has attributes of its own: a modality may be called `type` or `values`.
        self.heads = nn.ModuleDict(
            {
                f"{modality.name}_head": make_head(modality.kind, modality.vectors.shape[1], dimension)
                for modality in modalities
            }
        )
        self.log_scales = nn.ParameterDict(
            {
                f"{name}_scale": nn.Parameter(torch.tensor(-math.log(temperature)))
                for name, temperature in self.temperatures.items()
                if learn_temperatures
            }
        )
        self.clamp()

    @torch.no_grad()
    def clamp(self) -> None:
        """Hold learnt temperatures between 1 / HIGHEST_SCALE and 1; to be called after every step."""
        for log_scale in self.log_scales.values():
            log_scale.clamp_(0, math.log(HIGHEST_SCALE))

    @torch.no_grad()
    def learnt_temperatures(self) -> dict[str, float]:
        """By `temperature/<modality>`; empty where they are fixed."""
        names = self.temperatures if self.log_scales else []
        return {f"temperature/{name}": float(self._temperature(name)) for name in names}

    def _temperature(self, name: str) -> float | Tensor:
        return torch.exp(-self.log_scales[f"{name}_scale"]) if self.log_scales else self.temperatures[name]

    def forward(
        self, embeddings: Tensor, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, int]]:
        """The terms of one batch of cells.

        Args:
            embeddings: un-normalised, float32 [B, dimension].
            vectors: by modality, float32 [B, d].
            present: by modality, bool [B].

        Returns:
            By the name of the other modality: the loss (a scalar) and the number of cells that took part. A term that
            fewer than two cells have is left out: it has no negatives.
        """
        everywhere = torch.ones(len(embeddings), dtype=torch.bool, device=embeddings.device)
        masks = {MOBILITY: everywhere, **present}
        terms: dict[str, tuple[Tensor, int]] = {}
        for other in [MOBILITY, *self.temperatures]:
            if other == self.anchor:
                continue
            rows = torch.nonzero(masks[self.anchor] & masks[other]).squeeze(1)
            if len(rows) < 2:
                continue
            sides = [
                embeddings[rows] if name == MOBILITY else self.heads[f"{name}_head"](vectors[name][rows])
                for name in (self.anchor, other)
            ]
            temperature = self._temperature(self.anchor if other == MOBILITY else other)
            terms[other] = (contrastive_loss(sides[0], sides[1], temperature), len(rows))
        return terms


def public_name(name: str) -> str:
    """The name that a parameter is stored under: `poi.0.weight` for `heads.poi_head.0.weight`."""
    kind, _, rest = name.partition(".")
    if kind == "heads":
        return rest.replace("_head.", ".", 1)
    return f"{rest.removesuffix('_scale')}.log_scale" if kind == "log_scales" else name


def total_loss(terms: Mapping[str, tuple[Tensor, int]]) -> Tensor:
    """A scalar []: the mean over the modalities of their two directions' mean (MoRA: the mean of the six terms)."""
    return torch.stack([loss for loss, _ in terms.values()]).mean()
