"""How well vectors of cells tell flows that were held out from pairs that never flow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import roc_auc_score

from benchmarks.regions import Flows, Rows


@dataclass(frozen=True)
class HeldOut:
    """Flows less a share of the pairs, and what to tell apart: ``linked`` int64 [n, 2] from the two kinds of pairs.

    ``kept`` marks the edges to train on. ``anywhere`` has the held-out pairs' ends reshuffled, so that busy cells alone
    explain nothing; ``nearby`` does so within each connected component of what is kept (in us_east: within a county).
    """

    kept: npt.NDArray[np.bool_]
    linked: Rows
    anywhere: Rows
    nearby: Rows

    def scores(self, vectors: npt.NDArray[np.float32]) -> dict[str, float]:
        """Area under the ROC curve of the cosine, against each kind of pair."""
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return {"auc_anywhere": self._area(unit, self.anywhere), "auc_nearby": self._area(unit, self.nearby)}

    def _area(self, unit: npt.NDArray[np.float32], others: Rows) -> float:
        pairs = np.concatenate([self.linked, others])
        truth = np.arange(len(pairs)) < len(self.linked)
        return float(roc_auc_score(truth, (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)))


def hold_out(flows: Flows, share: float = 0.1, seed: int = 0) -> HeldOut:
    """Hold out a share of the pairs, with the flows in both directions."""
    num_cells, random = len(flows.cells), np.random.default_rng(seed)
    pairs, pair_of_edge = np.unique(_pair_ids(flows.origin, flows.destination, num_cells), return_inverse=True)
    is_held = random.random(len(pairs)) < share
    kept = ~is_held[pair_of_edge]
    linked = np.stack([pairs[is_held] // num_cells, pairs[is_held] % num_cells], axis=1)
    ends = np.concatenate([linked, linked[:, ::-1]])
    shuffled = np.stack([ends[:, 0], random.permutation(ends[:, 1])], axis=1)
    graph = sparse.coo_array(
        (np.ones(kept.sum()), (flows.origin[kept], flows.destination[kept])), shape=(num_cells, num_cells)
    )
    _, component = connected_components(graph, directed=False)
    orders = [np.lexsort((random.random(len(ends)), component[ends[:, side]])) for side in (0, 1)]
    within = np.stack([ends[order, side] for side, order in enumerate(orders)], axis=1)
    within = within[component[within[:, 0]] == component[within[:, 1]]]
    anywhere, nearby = (_never_linked(each, pairs, num_cells) for each in (shuffled, within))
    return HeldOut(kept, linked, anywhere, nearby)


def _pair_ids(one: Rows, other: Rows, num_cells: int) -> Rows:
    """One number for a pair of cells, whatever its direction."""
    return np.minimum(one, other) * num_cells + np.maximum(one, other)


def _never_linked(pairs: Rows, linked: Rows, num_cells: int) -> Rows:
    ids = _pair_ids(pairs[:, 0], pairs[:, 1], num_cells)
    return pairs[(pairs[:, 0] != pairs[:, 1]) & ~np.isin(ids, linked)]
