"""Hex2Vec (Woźniak & Szymański, GeoAI 2021) by srai: what categories a cell has, such that adjacent cells are alike."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.cells import rows_of
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.cache import cached_or_train
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors

LAYERS, EPOCHS, BATCH = (150, 75, 50), 3, 32  # srai's defaults, as are the step and what counts as far away
SEED = 0
FORMAT = 1  # of cached vectors: another number trains again


def hex2vec(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Float32 [N, 50] from the categories of all text modalities; without such a modality nothing.

    Raises:
        UserError: if srai or what it trains with is not installed, or no two cells of the region are adjacent.
    """
    try:
        import pytorch_lightning  # noqa: F401 - srai asks for it only once it trains
        from srai import __version__ as version
    except ImportError as error:
        raise UserError(
            f"benchmark: methods names hex2vec, which cannot be imported ({error}). Install it: "
            "pip install 'mora-pipeline[hex2vec]', or remove it from methods."
        ) from error
    names = [name for name, modality in context.reader.config.modalities.items() if modality.kind == "text"]
    if not names:
        return {}
    cells, counts = context.cells, category_counts(context, names)
    settings = {"hex2vec": FORMAT, "srai": version}
    vectors = cached_or_train(
        context.cache, {"cells": cells, "counts": counts}, settings, lambda: trained_on_counts(cells, counts), "cpu"
    )
    return {"hex2vec": MethodVectors(vectors)}


def category_counts(context: MethodContext, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """How many of each category of text modalities a cell has, float32 [N, categories of all]."""
    parts = []
    for name in names:
        texts = np.sort(context.reader.read(f"texts/{name}").table()["text_id"].to_numpy())
        table = context.reader.in_region(f"text_cells/{name}")
        counts = np.zeros((len(context.cells), len(texts)), dtype=np.float32)
        rows = rows_of(context.cells, table["cell"].to_numpy(), f"text_cells/{name}")
        counts[rows, np.searchsorted(texts, table["text_id"].to_numpy())] = table["count"].to_numpy()
        parts.append(counts)
    return np.concatenate(parts, axis=1)


def trained_on_counts(cells: npt.NDArray[np.int64], counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """srai's model, trained to distinguish a cell's neighbours from cells far away by what they have, float32 [N, 50].

    Raises:
        UserError: if no two cells are adjacent.
    """
    import pandas as pd
    import pytorch_lightning as lightning
    import torch
    from srai.embedders.hex2vec import Hex2VecModel, NeighbourDataset
    from torch.utils.data import DataLoader

    pairs = NeighbourDataset(pd.DataFrame(counts, index=cells.tolist()), _Near(cells))
    if not len(pairs):
        raise UserError("benchmark: hex2vec learns from adjacent cells, and there are none. Remove it from methods.")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # it prints devices and products
    with _seeded():
        model = Hex2VecModel([counts.shape[1], *LAYERS])
        trainer = lightning.Trainer(
            accelerator="cpu", max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(model, DataLoader(pairs, batch_size=BATCH, shuffle=True))
    with torch.no_grad():
        return np.asarray(model(torch.from_numpy(counts)).numpy(), dtype=np.float32)


class _Near:
    """srai's H3Neighbourhood on whole numbers: sets of hex ids come in another order in every process."""

    def __init__(self, cells: npt.NDArray[np.int64]) -> None:
        self.cells = set(cells.tolist())

    def get_neighbours(self, cell: int) -> set[int]:
        return self.get_neighbours_up_to_distance(cell, 1)

    def get_neighbours_up_to_distance(self, cell: int, distance: int) -> set[int]:
        return self.cells.intersection(h3.grid_disk(cell, distance)) - {cell}


@contextmanager
def _seeded() -> Iterator[None]:
    """srai draws from the common generators of numpy and torch; they are left as they were."""
    import torch

    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        np.random.seed(SEED)
        torch.manual_seed(SEED)
        try:
            yield
        finally:
            np.random.set_state(before)
