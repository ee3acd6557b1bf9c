"""Aligning modalities to an anchor: the heads, the mask and the loss terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mora_pipeline.errors import UserError
from mora_pipeline.training.loss import contrastive_loss
from mora_pipeline.training.parameters import MOBILITY, TABLE_HIDDEN


@dataclass(frozen=True)
class Modality:
    """One kind of evidence about the cells, in the row order of `cells`.

    Attributes:
        vectors: float32 [N, d], frozen; rows of cells without the modality are never looked at.
        present: bool [N], true where the cell has the modality.
        temperature: what its cosines are divided by.
    """

    name: str
    kind: Literal["text", "image", "table"]
    vectors: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    temperature: float


def make_head(kind: str, input_dimension: int, dimension: int) -> nn.Sequential:
    """The map from a modality's vectors to the embedding's space; Kaiming-uniform weights (MoRA's released core)."""
    if kind == "table":
        head = nn.Sequential(nn.Linear(input_dimension, TABLE_HIDDEN), nn.ReLU(), nn.Linear(TABLE_HIDDEN, dimension))
    else:
        head = nn.Sequential(nn.Linear(input_dimension, dimension))
    for layer in head:
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

    Raises:
        UserError: if `anchor` or a key of `temperatures` is no modality.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        dimension: int,
        anchor: str = MOBILITY,
        temperatures: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        modalities = sorted(modalities, key=lambda modality: modality.name)
        names = [modality.name for modality in modalities]
        for key, used in (("anchor", [anchor]), ("temperatures", list(temperatures or {}))):
            allowed = [MOBILITY, *names] if key == "anchor" else names
            unknown = [name for name in used if name not in allowed]
            if unknown:
                raise UserError(f"alignment: {key} names '{unknown[0]}', but the modalities are {', '.join(allowed)}.")
        self.anchor = anchor
        self.temperatures = {modality.name: modality.temperature for modality in modalities} | dict(temperatures or {})
        # A suffix, since a module has attributes of its own: a modality may be called `type` or `values`.
        self.heads = nn.ModuleDict(
            {
                f"{modality.name}_head": make_head(modality.kind, modality.vectors.shape[1], dimension)
                for modality in modalities
            }
        )

    def forward(
        self, embeddings: Tensor, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, int]]:
        """The terms of one batch of cells.

        Args:
            embeddings: un-normalised [B, dimension].
            vectors: by modality, [B, d].
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
            temperature = self.temperatures[self.anchor if other == MOBILITY else other]
            terms[other] = (contrastive_loss(sides[0], sides[1], temperature), len(rows))
        return terms


def total_loss(terms: Mapping[str, tuple[Tensor, int]]) -> Tensor:
    """The mean over the modalities of their two directions' mean (MoRA: the mean of the six terms)."""
    return torch.stack([loss for loss, _ in terms.values()]).mean()
