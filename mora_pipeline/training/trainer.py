"""Training of the embeddings: LightGCN over the mobility graph, aligned to the modalities."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mora_pipeline.errors import UserError
from mora_pipeline.training.alignment import Alignment, Modality, total_loss
from mora_pipeline.training.graph import Adjacency
from mora_pipeline.training.lightgcn import LightGCN
from mora_pipeline.training.parameters import AlignmentParameters
from mora_pipeline.training.propagation import Propagation

__all__ = ["AlignmentResult", "Modality", "train_alignment"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlignmentResult:
    """What training gives.

    Attributes:
        embeddings: E, un-normalised, float32 [N, d], of the best epoch, for every cell.
        weights: `table` (E0) and the heads' as `<modality>.<layer>.<weight|bias>`; on the CPU, ready for safetensors.
        history: an entry an epoch: `epoch`, `seconds`, `train_loss`, `validation_loss`, and both by modality as
            `train_loss/<modality>`, `validation_loss/<modality>`. Empty if there was nothing to train.
        best_epoch: counted from 1; 0 if there was nothing to train.
        seconds: wall time of the training.
    """

    embeddings: npt.NDArray[np.float32]
    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float


def train_alignment(
    adjacency: Adjacency,
    line_vectors: npt.NDArray[np.float32],
    modalities: Sequence[Modality],
    parameters: AlignmentParameters,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> AlignmentResult:
    """Train the node table and the heads, and embed every cell.

    A tenth of the cells is held out of the loss, though not out of the graph; training stops when the loss on them has
    not improved for `patience` epochs, and the best epoch's weights are kept. Where no two held-out cells share a
    modality (regions of a few cells), the training loss takes the validation loss's place. Without modalities nothing
    can be aligned: E is the LINE vectors, propagated and untrained.

    Args:
        adjacency: Ã of the N cells.
        line_vectors: float32 [N, d], the start of the node table.
        modalities: those beside mobility, in the row order of the cells.
        on_epoch: called with each entry of the history.

    Returns:
        Equal bytes for equal arguments on one machine.

    Raises:
        UserError: if shapes disagree, no two cells share a modality, or the loss is no longer finite.
    """
    started = time.perf_counter()
    _check(adjacency, line_vectors, modalities)
    trainer = _Trainer(adjacency, line_vectors, modalities, parameters)
    history: list[dict[str, float]] = []
    best_loss, best_epoch, best_weights = math.inf, 0, trainer.weights()
    for epoch in range(1, parameters.maximum_epochs + 1 if modalities else 0):
        epoch_started = time.perf_counter()
        entry = {"epoch": float(epoch)} | trainer.train_epoch() | trainer.validate()
        entry["seconds"] = time.perf_counter() - epoch_started
        history.append(entry)
        watched = _watched_loss(entry, parameters)
        if watched < best_loss:
            best_loss, best_epoch, best_weights = watched, epoch, trainer.weights()
        logger.info("epoch %d: validation loss %.4f, best %.4f in epoch %d", epoch, watched, best_loss, best_epoch)
        if on_epoch:
            on_epoch(entry)
        if epoch - best_epoch >= parameters.patience:
            break
    trainer.load(best_weights)
    weights = {name.removeprefix("heads.").replace("_head.", "."): value.cpu() for name, value in best_weights.items()}
    return AlignmentResult(trainer.embed(), weights, history, best_epoch, time.perf_counter() - started)


def split_cells(num_cells: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the cells that training sees and those it is validated on.

    Returns:
        Two ascending int64 tensors of rows; round(share · N) rows in the second, at least two, at most half.
    """
    order = torch.randperm(num_cells, generator=torch.Generator().manual_seed(seed))
    num_validation = min(max(2, round(share * num_cells)), num_cells // 2)
    return order[num_validation:].sort().values, order[:num_validation].sort().values


def _watched_loss(entry: dict[str, float], parameters: AlignmentParameters) -> float:
    """The loss that decides on the best epoch and on stopping."""
    if "train_loss" not in entry:
        raise UserError(
            f"alignment: no two cells of one batch have both the anchor ({parameters.anchor}) and another modality. "
            "Set anchor to 'mobility', or use a larger batch_size or data that cover the region."
        )
    watched = entry.get("validation_loss", entry["train_loss"])
    if not math.isfinite(watched):
        raise UserError(
            f"alignment: the loss is {watched} in epoch {entry['epoch']:.0f}. Use a lower learning_rate "
            f"(it is {parameters.learning_rate})."
        )
    return watched


class _Trainer:
    """What changes while training: weights, optimiser and the order of the cells."""

    def __init__(
        self,
        adjacency: Adjacency,
        line_vectors: npt.NDArray[np.float32],
        modalities: Sequence[Modality],
        parameters: AlignmentParameters,
    ) -> None:
        self.parameters = parameters
        self.device = _device(parameters.device)
        self.propagation = Propagation(adjacency.to(self.device), parameters.backend)
        with torch.random.fork_rng():
            torch.manual_seed(parameters.seed)
            self.alignment = Alignment(modalities, line_vectors.shape[1], parameters.anchor, parameters.temperatures)
        self.encoder = LightGCN(_tensor(line_vectors), parameters.layers)
        self.alignment.to(self.device)
        self.encoder.to(self.device)
        self.vectors = {one.name: _tensor(one.vectors).to(self.device) for one in modalities}
        self.present = {one.name: _tensor(one.present).to(self.device) for one in modalities}
        self.optimiser = _optimiser([self.encoder, self.alignment], parameters)
        self.generator = torch.Generator().manual_seed(parameters.seed)
        self.training_cells, self.validation_cells = split_cells(
            len(line_vectors), parameters.validation_share, parameters.seed
        )

    def train_epoch(self) -> dict[str, float]:
        """One step a batch over the shuffled training cells; returns the losses, averaged over the cells."""
        shuffled = self.training_cells[torch.randperm(len(self.training_cells), generator=self.generator)]
        mean = _Mean("train_loss")
        for batch in shuffled.split(self.parameters.batch_size):
            terms = self._terms(self.encoder(self.propagation), batch)
            if not terms:
                continue
            self.optimiser.zero_grad(set_to_none=True)
            total_loss(terms).backward()
            self.optimiser.step()
            mean.add(terms)
        return mean.result()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        embeddings, mean = self.encoder(self.propagation), _Mean("validation_loss")
        for batch in self.validation_cells.split(self.parameters.batch_size):
            mean.add(self._terms(embeddings, batch))
        return mean.result()

    def _terms(self, embeddings: Tensor, batch: Tensor) -> dict[str, tuple[Tensor, int]]:
        batch = batch.to(self.device)
        vectors = {name: vectors[batch] for name, vectors in self.vectors.items()}
        present = {name: present[batch] for name, present in self.present.items()}
        terms: dict[str, tuple[Tensor, int]] = self.alignment(embeddings[batch], vectors, present)
        return terms

    def weights(self) -> dict[str, Tensor]:
        """A copy of all weights, on the device."""
        return {name: value.detach().clone() for module in self._modules() for name, value in module.named_parameters()}

    def load(self, weights: dict[str, Tensor]) -> None:
        for module in self._modules():
            module.load_state_dict({name: weights[name] for name, _ in module.named_parameters()})

    @torch.no_grad()
    def embed(self) -> npt.NDArray[np.float32]:
        embeddings: npt.NDArray[np.float32] = self.encoder(self.propagation).float().cpu().numpy()
        return embeddings

    def _modules(self) -> Iterator[nn.Module]:
        yield from (self.encoder, self.alignment)


class _Mean:
    """Losses of several batches, each modality's weighted by the cells that took part."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, terms: dict[str, tuple[Tensor, int]]) -> None:
        for other, (loss, count) in terms.items():
            total, seen = self.sums.get(other, (0.0, 0))
            self.sums[other] = (total + loss.item() * count, seen + count)

    def result(self) -> dict[str, float]:
        """The mean over modalities under the name, and each modality's under `name/modality`; empty without batches."""
        means = {f"{self.name}/{other}": total / seen for other, (total, seen) in self.sums.items()}
        return {self.name: sum(means.values()) / len(means), **means} if means else {}


def _optimiser(modules: Sequence[nn.Module], parameters: AlignmentParameters) -> torch.optim.AdamW:
    """AdamW with no decay on biases and other 1-d parameters (MoRA's released core)."""
    weights = [weight for module in modules for weight in module.parameters()]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": parameters.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=parameters.learning_rate, fused=True)


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """The array as a tensor, copied only where torch could not write to it (Arrow's memory)."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("alignment: device is 'cuda', but torch sees no CUDA device here. Set device to 'auto'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _check(adjacency: Adjacency, line_vectors: npt.NDArray[np.float32], modalities: Sequence[Modality]) -> None:
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
