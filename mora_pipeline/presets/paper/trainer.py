"""Training of the embeddings: LightGCN over the mobility graph, aligned to the modalities."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.alignment import public_name
from mora_pipeline.presets.paper.checkpoint import Checkpoint, State
from mora_pipeline.presets.paper.graph import Adjacency
from mora_pipeline.presets.paper.learner import Learner
from mora_pipeline.presets.paper.parameters import AlignmentParameters

logger = logging.getLogger(__name__)
# torch's one switch for both devices: what products of float32 matrices may be computed in.
PRODUCTS = {"float32": "highest", "tf32": "high", "bfloat16": "medium"}


@dataclass(frozen=True)
class AlignmentResult:
    """What training gives.

    Attributes:
        embeddings: E, un-normalised, float32 [N, d], of the best epoch, for every cell.
        weights: `table` (E0), the heads' as `<modality>.<layer>.<weight|bias>` and, where temperatures are learnt,
            `<modality>.log_scale`; on the CPU, ready for safetensors.
        history: an entry an epoch: `epoch`, `seconds`, `train_loss`, `validation_loss`, both by modality as
            `train_loss/<modality>`, `validation_loss/<modality>`, and `temperature/<modality>` where it is learnt.
            Empty if there was nothing to train.
        best_epoch: counted from 1; 0 if there was nothing to train.
        seconds: wall time of all epochs.
    """

    embeddings: npt.NDArray[np.float32]
    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float


def train_alignment(
    adjacency: Adjacency,
    line_vectors: npt.NDArray[np.float32],
    modalities: Sequence[LoadedModality],
    parameters: AlignmentParameters,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> AlignmentResult:
    """Train the node table and the heads, and embed every cell.

    A tenth of the cells is held out of the loss, though not out of the graph; training stops when the loss on them has
    not improved for `patience` epochs, and the best epoch's weights count. Where no two held-out cells share a
    modality (regions of a few cells), the training loss takes the validation loss's place. Without modalities nothing
    can be aligned: E is the LINE vectors, propagated and untrained.

    Args:
        adjacency: Ã of the N cells.
        line_vectors: float32 [N, d], the start of the node table.
        modalities: those beside mobility, in the row order of the cells.
        on_epoch: called with each entry of the history; after a resume first with those from before it.
        checkpoint: the file of the state, under the key of these very arguments (`alignment_key`); a state in it is
            resumed. The caller clears it when the result is safe.

    Returns:
        Embeddings float32 [N, d]; equal bytes for equal arguments on one machine, resumed or not; `seconds` apart.

    Raises:
        UserError: if shapes disagree, no two cells share a modality, or the loss is no longer finite.
    """
    names = parameters.chosen([one.name for one in modalities])
    modalities = [one for one in modalities if one.name in names]
    _check(adjacency, line_vectors, modalities)
    with _products_in(parameters.precision):
        learner = Learner(adjacency, line_vectors, modalities, parameters)
        course = _Course(best_weights=learner.weights())
        if checkpoint and (state := checkpoint.load()):
            course.restore(state, learner)
            logger.info("Training goes on after epoch %d, from %s", len(course.history), checkpoint.file)
        elif checkpoint:  # killed before the first epoch is over, it still goes on under the same notes
            checkpoint.save(course.state(learner))
        for entry in course.history:
            if on_epoch:
                on_epoch(entry)
        while modalities and not course.is_over(parameters):
            entry = course.run_epoch(learner, parameters)
            if checkpoint and (checkpoint.is_due() or course.is_over(parameters)):
                checkpoint.save(course.state(learner))
            if on_epoch:
                on_epoch(entry)
        learner.load(course.best_weights)
        embeddings = learner.embed()
    weights = {public_name(name): value.cpu() for name, value in course.best_weights.items()}
    seconds = sum(entry["seconds"] for entry in course.history)
    return AlignmentResult(embeddings, weights, course.history, course.best_epoch, seconds)


@dataclass
class _Course:
    """How far training is: the losses so far and the best epoch's weights."""

    best_weights: dict[str, Tensor]
    best_epoch: int = 0
    best_loss: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)

    def is_over(self, parameters: AlignmentParameters) -> bool:
        epochs = len(self.history)
        return epochs >= parameters.maximum_epochs or epochs - self.best_epoch >= parameters.patience

    def run_epoch(self, learner: Learner, parameters: AlignmentParameters) -> dict[str, float]:
        """Train and validate once; returns the new entry of the history."""
        started, epoch = time.perf_counter(), len(self.history) + 1
        entry = {"epoch": float(epoch)} | learner.train_epoch(epoch) | learner.validate()
        entry["seconds"] = time.perf_counter() - started
        self.history.append(entry)
        watched = _watched_loss(self.history, parameters)
        if watched < self.best_loss:
            self.best_loss, self.best_epoch, self.best_weights = watched, epoch, learner.weights()
        best = f"best {self.best_loss:.4f} in epoch {self.best_epoch}"
        logger.info("epoch %d: validation loss %.4f, %s", epoch, watched, best)
        return entry

    def state(self, learner: Learner) -> State:
        tensors = {f"weights/{name}": value.cpu() for name, value in learner.weights().items()}
        tensors |= {f"best/{name}": value.cpu() for name, value in self.best_weights.items()}
        facts = {"history": self.history, "best_epoch": self.best_epoch, "best_loss": self.best_loss}
        return State(tensors | learner.state(), facts)

    def restore(self, state: State, learner: Learner) -> None:
        """Take over what `state` gave."""
        weights, best = (
            {name: state.tensors[f"{kind}/{name}"].to(learner.device) for name in self.best_weights}
            for kind in ("weights", "best")
        )
        learner.load(weights)
        learner.restore(state.tensors)
        self.best_weights, self.history = best, list(state.facts["history"])
        self.best_epoch, self.best_loss = state.facts["best_epoch"], state.facts["best_loss"]


def _watched_loss(history: list[dict[str, float]], parameters: AlignmentParameters) -> float:
    """The loss of the last epoch that decides on the best one and on stopping.

    Of a sparse modality an epoch's batches may hold no two cells; that epoch is never the best. If no epoch had any,
    there is nothing to train.
    """
    entry = history[-1]
    if not any("train_loss" in one for one in history):
        raise UserError(
            f"alignment: no two cells of one batch have both the anchor ({parameters.anchor}) and another modality. "
            "Set anchor to 'mobility', or use a larger batch_size or data that cover the region."
        )
    if "train_loss" not in entry:
        return math.inf
    watched = entry.get("validation_loss", entry["train_loss"])
    if not math.isfinite(watched):
        raise UserError(
            f"alignment: the loss is {watched} in epoch {entry['epoch']:.0f}. Use a lower learning_rate "
            f"(it is {parameters.learning_rate})."
        )
    return watched


@contextmanager
def _products_in(precision: str) -> Iterator[None]:
    """Let products of float32 matrices be computed in this precision, and as before afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRODUCTS[precision])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _check(adjacency: Adjacency, line_vectors: npt.NDArray[np.float32], modalities: Sequence[LoadedModality]) -> None:
    """Refuse what cannot be trained before anything long begins."""
    num_cells = adjacency.num_cells
    rows = {"line_vectors": len(line_vectors)} | {f"features of {one.name}": len(one.vectors) for one in modalities}
    rows |= {f"mask of {one.name}": len(one.present) for one in modalities}
    for name, count in rows.items():
        if count != num_cells:
            raise UserError(f"alignment: {name} have {count} rows, but the graph has {num_cells} cells.")
    for one in modalities:
        if not np.isfinite(one.vectors[one.present]).all():
            raise UserError(f"alignment: features of {one.name} hold NaN or infinity. Materialise them again.")
        if num_cells < 4 or one.present.sum() < 2:
            raise UserError(
                f"alignment: {one.name} is known for {int(one.present.sum())} of {num_cells} cells, too few to compare "
                "cells by it. Remove the modality from region.yaml or use data that cover the region."
            )
