"""The contrastive loss with exact gradients and no logit matrix: its tiles are computed, used and thrown away."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# A tile of float32 fits the cache of a core pair (6 MiB, and 16 tiles make a side of the paper's batch) or fills a GPU.
CPU_TILE, CUDA_TILE = 1280, 8192
# Logits are cosines / temperature, so |logit| ≤ 1 / temperature: up to here exp cannot leave float32, nor can its sums.
SAFE_LOGIT = 60.0
# exp S is computed as 2^(S log₂ e): torch's exp2 takes a quarter of the time of its exp on a CPU.
LOG2_E = math.log2(math.e)


def contrastive_loss(anchor: Tensor, other: Tensor, temperature: float | Tensor, tile: int | None = None) -> Tensor:
    """Cross-entropy in both directions with in-batch negatives, averaged.

    ``S = cos(anchor, other) / temperature``; the loss is ``mean_i (logsumexp_j S_ij + logsumexp_j S_ji - 2 S_ii) / 2``.
    Memory is O(B · d) and one tile; the backward pass makes the tiles anew.

    Args:
        anchor, other: [B, d], row i of both belongs to one cell; need not be normalised.
        temperature: above 0; as a tensor it receives a gradient too.
        tile: rows and columns of a tile; the default suits the device.

    Returns:
        A scalar; ln B where vectors tell nothing.

    Raises:
        ValueError: if shapes differ, B is 0 or the temperature is not positive.

    Source: MoRA's alignment loss (CLIP), one modality's two terms.
    """
    if anchor.shape != other.shape or anchor.ndim != 2 or not len(anchor):
        raise ValueError(f"anchor and other must be [B, d] alike with B ≥ 1, not {anchor.shape} and {other.shape}")
    value = float(torch.as_tensor(temperature).detach())
    if not value > 0:
        raise ValueError(f"temperature must be above 0, not {value}")
    scaled = functional.normalize(anchor, dim=1) / temperature
    side = tile or (CUDA_TILE if anchor.is_cuda else CPU_TILE)
    loss: Tensor = _TiledLoss.apply(scaled, functional.normalize(other, dim=1), side, 1 / value <= SAFE_LOGIT)
    return loss


class _TiledLoss(torch.autograd.Function):
    """(Σ_i logsumexp_j S_ij + Σ_j logsumexp_i S_ij - 2 Σ_i S_ii) / 2B for S = left rightᵀ.

    With R_i = Σ_j exp S_ij and C_j = Σ_i exp S_ij both directions share one gradient,
    ∂/∂S_ij = (exp(S_ij) (1/R_i + 1/C_j) - 2 δ_ij) / 2B: a tile needs one exponential and three products in all.
    """

    @staticmethod
    def forward(context: Any, left: Tensor, right: Tensor, side: int, is_safe: bool) -> Tensor:
        """The loss, a scalar, of left and right, float32 [B, d]."""
        row_log_sum, column_log_sum = _log_sums(left, right, side, is_safe)
        context.save_for_backward(left, right, row_log_sum, column_log_sum)
        context.side, context.is_safe = side, is_safe
        matches = torch.linalg.vecdot(left, right)
        return (row_log_sum.sum() + column_log_sum.sum() - 2 * matches.sum()) / (2 * len(left))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The gradients of left and right, float32 [B, d] each, from that of the loss."""
        left, right, row_log_sum, column_log_sum = context.saved_tensors
        # Begin with what the matches S_ii contribute. What columns gather stays transposed: on one core a product with
        # a transposed tile takes a fifth longer.
        left_gradient, transposed = right * -2, left.t().contiguous()
        right_gradient = transposed * -2
        softmaxes = _Softmaxes(row_log_sum, column_log_sum, context.side, context.is_safe)
        for rows, columns, logits in _tiles(_ready(left, context.is_safe), right, context.side):
            weights = softmaxes.of(logits, rows, columns)
            left_gradient[rows].addmm_(weights, right[columns])
            right_gradient[:, columns].addmm_(transposed[:, rows], weights)
        share = gradients[0] / (2 * len(left))
        return left_gradient.mul_(share), right_gradient.mul_(share).t(), None, None


def _ready(left: Tensor, is_safe: bool) -> Tensor:
    """[B, d], from which tiles are computed: to the base 2 where logits are safe, else as it is."""
    return left * LOG2_E if is_safe else left


def _tiles(left: Tensor, right: Tensor, side: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Every tile of left rightᵀ, [B, d] each, with its rows and columns; all share a buffer that may be overwritten."""
    size = len(left)
    buffer = left.new_empty(min(side, size) ** 2)
    for start in range(0, size, side):
        rows = slice(start, min(start + side, size))
        for first in range(0, size, side):
            columns = slice(first, min(first + side, size))
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            logits = buffer[: math.prod(shape)].view(shape)
            yield rows, columns, torch.mm(left[rows], right[columns].t(), out=logits)


def _log_sums(left: Tensor, right: Tensor, side: int, is_safe: bool) -> tuple[Tensor, Tensor]:
    """logsumexp of each row and of each column of left rightᵀ: two vectors [B]."""
    if is_safe:
        row_sum, column_sum = left.new_zeros(len(left)), left.new_zeros(len(left))
        for rows, columns, logits in _tiles(_ready(left, is_safe), right, side):
            exponentials = logits.exp2_()
            row_sum[rows] += exponentials.sum(1)
            column_sum[columns] += exponentials.sum(0)
        return row_sum.log_(), column_sum.log_()
    row_log_sum, column_log_sum = (left.new_full((len(left),), -math.inf) for _ in range(2))
    for rows, columns, logits in _tiles(left, right, side):
        row_log_sum[rows] = torch.logaddexp(row_log_sum[rows], logits.logsumexp(1))
        column_log_sum[columns] = torch.logaddexp(column_log_sum[columns], logits.logsumexp(0))
    return row_log_sum, column_log_sum


class _Softmaxes:
    """softmax of the rows + softmax of the columns of S = left rightᵀ, tile by tile.

    Args:
        row_log_sum, column_log_sum: [B], logsumexp of each row and column.
        side: of a tile. 1/R + 1/C of a tile has a buffer: fresh memory for each costs a tenth of the time.
    """

    def __init__(self, row_log_sum: Tensor, column_log_sum: Tensor, side: int, is_safe: bool) -> None:
        self.rows, self.columns, self.is_safe = row_log_sum[:, None], column_log_sum, is_safe
        if is_safe:
            self.rows, self.columns = (-self.rows).exp_(), (-self.columns).exp_()
            self.buffer = row_log_sum.new_empty(min(side, len(row_log_sum)) ** 2)

    def of(self, logits: Tensor, rows: slice, columns: slice) -> Tensor:
        """For one tile [side, side] of what `_ready` returns; the tile is overwritten."""
        row, column = self.rows[rows], self.columns[columns]
        if self.is_safe:
            inverse = self.buffer[: logits.numel()].view_as(logits)
            return logits.exp2_().mul_(torch.add(row, column, out=inverse))
        return (logits - row).exp_().add_(logits.sub_(column).exp_())
