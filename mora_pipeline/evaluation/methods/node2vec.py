"""node2vec (Grover & Leskovec, KDD 2016) on the sampled mobility graph: random walks, read by gensim's skip-gram.

All settings are the authors' program's. At its p = q = 1 the next step of a walk depends on the last cell alone, so
that walking is a draw among the flows of a cell; the skip-gram is gensim's, as in the packages pecanpy and node2vec,
which need numpy 1. Beside pecanpy 2.0.9's vectors of nyc_regions the cosines of all pairs correlate by .97.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import DIMENSION, Edges
from mora_pipeline.evaluation.cache import cached_or_train
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.lake.reading import edge_rows

WALKS = 10  # from every cell
LENGTH = 80  # cells in a walk
WINDOW = 10
EPOCHS = 1
SEED = 0
FORMAT = 1  # of cached vectors: another number trains again


def node2vec(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Float32 [N, 128] of the cells in the graph; zeros where a cell has no flow.

    Raises:
        UserError: if gensim is not installed.
    """
    try:
        from gensim import __version__ as version
    except ImportError as error:
        raise UserError(
            f"benchmark: methods names node2vec, whose skip-gram cannot be imported ({error}). Install it: "
            "pip install 'mora-pipeline[node2vec]', or remove it from methods."
        ) from error
    graph, num_cells = edge_rows(context.reader.read("graph"), context.cells), len(context.cells)
    arrays = {"origin": graph.origin, "destination": graph.destination, "flow": graph.flow}
    settings = {"node2vec": FORMAT, "gensim": version, "cells": num_cells}
    vectors = cached_or_train(context.cache, arrays, settings, lambda: skip_gram(Walks(graph, num_cells)), "cpu")
    return {"node2vec": MethodVectors(vectors)}


class Walks:
    """Walks as sentences of cells' row numbers; every pass over it gives the same ones, without holding them all."""

    def __init__(self, graph: Edges, num_cells: int) -> None:
        """
        Args:
            graph: flows; a step goes along or against one, as likely as it is strong.
            num_cells: rows of the cells; those without flows are in no walk.
        """
        ends = np.concatenate([graph.origin, graph.destination]), np.concatenate([graph.destination, graph.origin])
        self.flows = sparse.csr_array((np.tile(graph.flow, 2), ends), shape=(num_cells, num_cells))  # repeats add up
        degrees = np.diff(self.flows.indptr)
        self.starts = np.flatnonzero(degrees)
        shares = self.flows.data / np.repeat(self.flows.sum(axis=1), degrees)
        self.before = np.concatenate([[0.0], np.cumsum(shares)])  # the sum of all shares before an entry

    def __iter__(self) -> Iterator[list[str]]:
        random = np.random.default_rng(SEED)
        names = np.array([str(row) for row in range(self.flows.shape[0])], dtype=object)
        for _ in range(WALKS):
            walks = [random.permutation(self.starts)]
            while len(walks) < LENGTH:
                walks.append(self._next(walks[-1], random))
            yield from names[np.stack(walks, axis=1)].tolist()

    def _next(self, rows: npt.NDArray[np.integer], random: np.random.Generator) -> npt.NDArray[np.integer]:
        first, end = self.flows.indptr[rows], self.flows.indptr[rows + 1]
        low, high = self.before[first], self.before[end]
        drawn = low + random.random(len(rows)) * (high - low)
        entries = np.searchsorted(self.before, drawn, side="right") - 1
        return np.asarray(self.flows.indices[np.clip(entries, first, end - 1)])


def skip_gram(walks: Walks) -> npt.NDArray[np.float32]:
    """Vectors of all cells, float32 [N, 128], from one thread: more would make every run another one."""
    vectors = np.zeros((walks.flows.shape[0], DIMENSION), dtype=np.float32)
    if len(walks.starts):
        from gensim.models import Word2Vec

        model = Word2Vec(
            walks, vector_size=DIMENSION, window=WINDOW, sg=1, min_count=0, epochs=EPOCHS, seed=SEED, workers=1
        )
        vectors[walks.starts] = model.wv[[str(row) for row in walks.starts]]
    return vectors
