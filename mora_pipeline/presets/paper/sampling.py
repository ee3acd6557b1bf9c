"""Draws for LINE: edges in proportion to their flow, noise cells in proportion to a power of their strength."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.integer]
Flows = npt.NDArray[np.floating]


class WeightedSampler:
    """Draw indices i.i.d. in proportion to weights, by searching their running sum.

    An alias table would need twice the memory and a construction that is sequential; a search in sorted order costs
    about a tenth of a training step.

    Raises:
        ValueError: if a weight is negative or not finite, or all are 0.
    """

    def __init__(self, weights: Tensor, generator: torch.Generator) -> None:
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or not bool((weights > 0).any()):
            raise ValueError("weights must be finite and not negative, and one at least must be positive")
        self.generator = generator
        self.running = torch.cumsum(weights.to(torch.float64), 0)

    def draw(self, count: int) -> Tensor:
        """int64 [count]; 53 random bits each, so that rare items are not lost among a billion."""
        points = torch.rand(count, dtype=torch.float64, generator=self.generator) * self.running[-1]
        # right=True skips items of weight 0, whose running sum equals their predecessor's.
        drawn = torch.searchsorted(self.running, points, right=True)
        return drawn.clamp_(max=len(self.running) - 1)


class EdgeSampler:
    """Draw (source, target) pairs in proportion to flow.

    With ``both_directions`` a coin decides which end is the source, so that every edge counts in both directions
    without being stored twice.
    """

    def __init__(
        self, origin: Rows, destination: Rows, flow: Flows, both_directions: bool, generator: torch.Generator
    ) -> None:
        self.origin = torch.from_numpy(np.ascontiguousarray(origin, dtype=np.int64))
        self.destination = torch.from_numpy(np.ascontiguousarray(destination, dtype=np.int64))
        self.both_directions, self.generator = both_directions, generator
        self.edges = WeightedSampler(torch.from_numpy(np.ascontiguousarray(flow, dtype=np.float64)), generator)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Sources and targets, int64 [count] each."""
        edges = self.edges.draw(count)
        source, target = self.origin.index_select(0, edges), self.destination.index_select(0, edges)
        if not self.both_directions:
            return source, target
        swap = torch.rand(count, generator=self.generator) < 0.5
        return torch.where(swap, target, source), torch.where(swap, source, target)


def noise_weights(
    origin: Rows, destination: Rows, flow: Flows, num_cells: int, power: float, both_directions: bool
) -> Tensor:
    """Unnormalised noise distribution over contexts, float64 [num_cells]: strength^power.

    A cell's strength is the flow for which it is the context: what it receives, and with ``both_directions`` also
    what it sends. Cells without strength are never drawn.
    """
    strength = np.bincount(destination, weights=flow, minlength=num_cells)
    if both_directions:
        strength += np.bincount(origin, weights=flow, minlength=num_cells)
    return torch.from_numpy(np.where(strength > 0, strength**power, 0.0))
