"""LINE: vectors that tell cells apart by whom they exchange people with (Tang et al., WWW 2015).

Where the sources are silent: every edge counts in both directions, as the mobility graph is symmetrised before it is
propagated (a directed reading would leave a cell that only receives without a vector of its own; `directed` gives it).
Vectors are returned as the original program writes them, not normalised: the original normalises only to concatenate
first and second order. Their length grows with a cell's strength, which LightGCN then starts from; `normalise` makes
every length 1. Cells without an edge keep their initial vector, at most 0.5 / dimension in each entry: not zero, since
the gradient of a cosine has no bound there.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from mora_pipeline.devices import best_device
from mora_pipeline.presets.paper.line_closed_form import factorise_line
from mora_pipeline.presets.paper.parameters import LineParameters
from mora_pipeline.presets.paper.sampling import EdgeSampler, Flows, Rows, WeightedSampler, noise_weights

logger = logging.getLogger(__name__)
Progress = Callable[[int, int, float], None]

GROUP = 64  # consecutive edges that share one pool of noise cells, so that their products are matrix products
POOL_FACTOR = 4  # noise cells in a pool, as a multiple of `negatives`; each counts for 1/4
LARGEST_STEP = 1.0  # learning rate × collisions at one cell in one step, at most


@dataclass(frozen=True)
class Draw:
    """One step's samples: ``source``, ``target`` int64 [b] and ``noise`` int64 [b / GROUP, pool]."""

    source: Tensor
    target: Tensor
    noise: Tensor

    def to(self, device: str) -> "Draw":
        return Draw(*(rows.to(device, non_blocking=True) for rows in (self.source, self.target, self.noise)))


def train_line(
    origin_rows: Rows,
    destination_rows: Rows,
    flow: Flows,
    num_cells: int,
    parameters: LineParameters,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Embed the cells of a mobility graph.

    Minimises −log σ(u·v') − Σ_k E_noise log σ(−u·v'_k) over edges (u, v) drawn in proportion to flow, by SGD with a
    linearly falling step. Edges of one group share a pool of noise cells, weighted to `negatives`: the same
    expectation as drawing each edge's own, with less variance and a quarter of the memory traffic. The closed form has
    no samples (`line_closed_form`); it too leaves cells that it says nothing of their initial vector.

    Args:
        origin_rows: row of each edge's origin among the cells, integer [m].
        destination_rows: the same for the destination.
        flow: how much moved, > 0, [m].
        num_cells: number of cells N.
        parameters: sizes, steps and seed.
        progress: called about a hundred times with (edges drawn, edges to draw, mean loss of the step's edges); by the
            sampled method alone.

    Returns:
        float32 [N, dimension], row by row as the cells are numbered; equal for equal input and seed on one machine.

    Raises:
        ValueError: if the arrays differ in length, hold a row outside the cells, or a flow that is not positive.
    """
    _check(origin_rows, destination_rows, flow, num_cells)
    generator = torch.Generator().manual_seed(parameters.seed)
    shape = (num_cells, parameters.dimension)
    vertex = (torch.rand(shape, generator=generator) - 0.5) / parameters.dimension
    if len(flow) == 0:
        logger.warning("The mobility graph has no edge: LINE returns its small random initial vectors.")
        return _finished(vertex, parameters)
    if parameters.method == "closed_form":
        factors = factorise_line(origin_rows, destination_rows, flow, num_cells, parameters)
        vertex = torch.where((factors != 0).any(1, keepdim=True), factors, vertex)
        return _finished(vertex, parameters)
    device = best_device(parameters.device, "line")
    vertex = vertex.to(device)
    context = vertex if parameters.order == 1 else torch.zeros(shape, device=device)
    both = not parameters.directed
    edges = EdgeSampler(origin_rows, destination_rows, flow, both, generator)
    weights = noise_weights(origin_rows, destination_rows, flow, num_cells, parameters.noise_power, both)
    noise = WeightedSampler(weights, generator)
    batch = batch_size(num_cells, parameters.batch_size)
    steps = -(-num_samples(len(flow), num_cells, parameters) // batch)
    report_every = max(1, steps // 100)
    for step in range(steps):
        pool = noise.draw(batch // GROUP * POOL_FACTOR * parameters.negatives)
        draw = Draw(*edges.draw(batch), pool.view(batch // GROUP, -1)).to(device)
        # The original stops falling at 1e-4 of the first step.
        learning_rate = parameters.learning_rate * max(1 - step / steps, 1e-4)
        if progress is not None and ((step + 1) % report_every == 0 or step + 1 == steps):
            progress((step + 1) * batch, steps * batch, line_loss(vertex, context, draw, parameters.negatives))
        _descend(vertex, context, draw, parameters.negatives, learning_rate)
    return _finished(vertex, parameters)


def _finished(vertex: Tensor, parameters: LineParameters) -> npt.NDArray[np.float32]:
    """The table [N, d] as the settings want it: as it is, or every row of length 1."""
    return (functional.normalize(vertex, dim=1) if parameters.normalise else vertex).cpu().numpy()


def num_samples(num_edges: int, num_cells: int, parameters: LineParameters) -> int:
    """Edges to draw in all: enough for every edge and for every cell, within the stated maximum."""
    wanted = max(parameters.samples_per_edge * num_edges, parameters.samples_per_cell * num_cells)
    return int(min(wanted, parameters.maximum_samples))


def batch_size(num_cells: int, largest: int) -> int:
    """Edges in one step: whole groups, and no more than cells, so that a small region still takes many small steps."""
    return max(GROUP, min(largest, num_cells) // GROUP * GROUP)


def line_loss(vertex: Tensor, context: Tensor, draw: Draw, negatives: int) -> float:
    """Mean over the draw's edges of −log σ(u·v') − negatives · mean over the pool of log σ(−u·w'); tables [N, d]."""
    u, v, w = _vectors(vertex, context, draw)
    positive = functional.softplus(-torch.linalg.vecdot(u, v)).mean()
    negative = functional.softplus(u.view(len(w), -1, u.shape[1]) @ w.mT).mean()
    return float(positive + negatives * negative)


def line_gradients(vertex: Tensor, context: Tensor, draw: Draw, negatives: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the draw's summed loss, one row a sample.

    Args:
        vertex: [N, d]; context: [N, d], the same tensor for first order.
        draw: the step's edges and noise.
        negatives: noise cells that an edge counts for, whatever the pool's size.

    Returns:
        With respect to the sources' vertices [b, d], the targets' contexts [b, d] and the pools' [b / GROUP · pool, d].
    """
    u, v, w = _vectors(vertex, context, draw)
    grouped = u.view(len(w), -1, u.shape[1])
    pull = -torch.sigmoid(-torch.linalg.vecdot(u, v))[:, None]
    push = torch.sigmoid_(grouped @ w.mT).mul_(negatives / w.shape[1])
    source = torch.baddbmm((pull * v).view_as(grouped), push, w).view_as(u)
    return source, pull * u, (push.mT @ grouped).reshape(-1, u.shape[1])


def _vectors(vertex: Tensor, context: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of sources [b, d], targets [b, d] and noise [b / GROUP, pool, d]."""
    noise = context.index_select(0, draw.noise.view(-1)).view(*draw.noise.shape, -1)
    return vertex.index_select(0, draw.source), context.index_select(0, draw.target), noise


def _descend(vertex: Tensor, context: Tensor, draw: Draw, negatives: int, learning_rate: float) -> None:
    """One SGD step; where many samples meet at one cell, their sum is scaled down to LARGEST_STEP.

    One after the other, as the original does it, each sample would see the effect of the one before; summed at one
    stale point they overshoot at hot cells and diverge. Scaling a row's whole gradient leaves its zero where it is.
    """
    to_source, to_target, to_noise = line_gradients(vertex, context, draw, negatives)
    pool_weight = GROUP * negatives / draw.noise.shape[1]
    noise = draw.noise.view(-1)
    sources = torch.bincount(draw.source, minlength=len(vertex)).float()
    contexts = torch.bincount(draw.target, minlength=len(vertex)).float()
    contexts += torch.bincount(noise, minlength=len(vertex)).float() * pool_weight
    if vertex is context:
        sources = contexts = sources + contexts
    step = (LARGEST_STEP / sources).clamp_(max=learning_rate)
    _subtract(vertex, draw.source, to_source, step)
    step = (LARGEST_STEP / contexts).clamp_(max=learning_rate)
    _subtract(context, torch.cat([draw.target, noise]), torch.cat([to_target, to_noise]), step)


def _subtract(table: Tensor, rows: Tensor, gradient: Tensor, step: Tensor) -> None:
    """``table[rows] -= step[rows] * gradient``, summed over equal rows in a fixed order."""
    gradient.mul_(step.neg().index_select(0, rows)[:, None])
    if table.is_cuda:  # sorts the rows, where scatter_add_ and index_add_ would add in any order
        table.index_put_((rows,), gradient, accumulate=True)
        return
    # An expanded index takes torch's sorted, parallel path: four times as fast as index_add_, and deterministic.
    table.scatter_add_(0, rows[:, None].expand_as(gradient), gradient)


def _check(origin_rows: Rows, destination_rows: Rows, flow: Flows, num_cells: int) -> None:
    if not len(origin_rows) == len(destination_rows) == len(flow):
        raise ValueError(
            f"origins ({len(origin_rows)}), destinations ({len(destination_rows)}) and flows ({len(flow)}) differ"
        )
    for name, rows in (("origin_rows", origin_rows), ("destination_rows", destination_rows)):
        if len(rows) and (rows.min() < 0 or rows.max() >= num_cells):
            raise ValueError(f"{name} holds {rows.min()}…{rows.max()}, but there are {num_cells} cells")
    if len(flow) and not (np.isfinite(flow).all() and flow.min() > 0):
        raise ValueError("every flow must be finite and positive")
