"""The encoder of the mobility graph."""

import torch
from torch import Tensor, nn

from mora_pipeline.presets.paper.propagation import Propagation


class LightGCN(nn.Module):
    """E = Σ_l Ã^l E0: propagation without transforms (LightGCN; MoRA sums the layers).

    E0 is the trainable table [N, d], initialised from LINE; E [N, d] is the embedding, not normalised.

    Args:
        initial: LINE vectors, float32 [N, d]; copied.
        layers: how often Ã is applied; 0 leaves E0.
    """

    def __init__(self, initial: Tensor, layers: int = 2) -> None:
        super().__init__()
        self.table = nn.Parameter(initial.clone())
        self.layers = layers

    def forward(self, adjacency: Propagation | Tensor) -> Tensor:
        """E, float32 [N, d], for Ã [N, N]."""
        hidden = total = torch.as_tensor(self.table)
        for _ in range(self.layers):
            hidden = adjacency @ hidden
            total = total + hidden
        return total
