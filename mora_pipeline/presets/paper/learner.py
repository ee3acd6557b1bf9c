"""What changes while the embeddings are trained: weights, optimiser and the order of the cells."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mora_pipeline.devices import best_device
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.alignment import Alignment, total_loss
from mora_pipeline.presets.paper.graph import Adjacency
from mora_pipeline.presets.paper.lightgcn import LightGCN
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.presets.paper.propagation import Propagation


class Learner:
    """Trains and validates epoch by epoch.

    Args:
        adjacency: Ã of the N cells.
        initial: float32 [N, d], the start of the node table.
        modalities: those beside mobility, in the row order of the cells.
    """

    def __init__(
        self,
        adjacency: Adjacency,
        initial: npt.NDArray[np.float32],
        modalities: Sequence[LoadedModality],
        parameters: AlignmentParameters,
    ) -> None:
        self.parameters = parameters
        self.device = best_device(parameters.device, "alignment")
        self.propagation = Propagation(adjacency.to(self.device), parameters.backend)
        with torch.random.fork_rng():
            torch.manual_seed(parameters.seed)
            self.alignment = Alignment(
                modalities, initial.shape[1], parameters.anchor, parameters.temperatures, parameters.learn_temperatures
            )
        self.encoder = LightGCN(_tensor(initial), parameters.layers)
        self.alignment.to(self.device)
        self.encoder.to(self.device)
        self.vectors = {one.name: _tensor(one.vectors).to(self.device) for one in modalities}
        self.present = {one.name: _tensor(one.present).to(self.device) for one in modalities}
        self.optimiser = make_optimiser([self.encoder, self.alignment], parameters)
        self.generator = torch.Generator().manual_seed(parameters.seed)
        self.training_cells, self.validation_cells = split_cells(
            len(initial), parameters.validation_share, parameters.seed
        )

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One step a batch over the shuffled training cells.

        Args:
            epoch: its number, from 1, which the step size depends on where it has a schedule.

        Returns:
            The losses, averaged over the cells, and the temperatures that are learnt.
        """
        shuffled = self.training_cells[torch.randperm(len(self.training_cells), generator=self.generator)]
        mean = _Mean("train_loss")
        batches = shuffled.split(self.parameters.batch_size)
        for number, batch in enumerate(batches):
            set_learning_rate(self.optimiser, self.parameters, epoch - 1 + number / len(batches))
            terms = self._terms(self.encoder(self.propagation), batch)
            if not terms:
                continue
            self.optimiser.zero_grad(set_to_none=True)
            total_loss(terms).backward()
            self.optimiser.step()
            self.alignment.clamp()
            mean.add(terms)
        return mean.result() | self.alignment.learnt_temperatures()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The losses of the held-out cells."""
        embeddings, mean = self.encoder(self.propagation), _Mean("validation_loss")
        for batch in self.validation_cells.split(self.parameters.batch_size):
            mean.add(self._terms(embeddings, batch))
        return mean.result()

    def _terms(self, embeddings: Tensor, batch: Tensor) -> dict[str, tuple[Tensor, int]]:
        """The terms of a batch, int64 [b] rows of the embeddings, float32 [N, d]."""
        batch = batch.to(self.device)
        vectors = {name: vectors[batch] for name, vectors in self.vectors.items()}
        present = {name: present[batch] for name, present in self.present.items()}
        terms: dict[str, tuple[Tensor, int]] = self.alignment(embeddings[batch], vectors, present)
        return terms

    def weights(self) -> dict[str, Tensor]:
        """A copy of all weights by name, float32 [shape of the parameter], on the device."""
        return {name: value.detach().clone() for name, value in self._parameters()}

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take over what `weights` gave, float32 [shape of the parameter]."""
        for module in (self.encoder, self.alignment):
            module.load_state_dict({name: weights[name] for name, _ in module.named_parameters()})

    def state(self) -> dict[str, Tensor]:
        """What training goes on from beside the weights, on the CPU.

        The optimiser's moments, float32 [shape of the parameter], its steps, and the generator, uint8 [bytes].
        """
        moments = {
            f"{key}/{name}": value.cpu()
            for name, parameter in self._parameters()
            for key, value in self.optimiser.state[parameter].items()
        }
        return {"generator": self.generator.get_state(), **moments}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave; moments are float32 [shape of the parameter]."""
        self.generator.set_state(state["generator"])
        for name, parameter in self._parameters():
            moments = {key: state.get(f"{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            known = {key: value.to(self.device) for key, value in moments.items() if value is not None}
            self.optimiser.state[parameter].update(known)

    @torch.no_grad()
    def embed(self) -> npt.NDArray[np.float32]:
        """E of every cell, float32 [N, d]."""
        embeddings: npt.NDArray[np.float32] = self.encoder(self.propagation).float().cpu().numpy()
        return embeddings

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for module in (self.encoder, self.alignment):
            yield from module.named_parameters()


def split_cells(num_cells: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the cells that training sees and those it is validated on.

    Returns:
        Two ascending tensors of rows, int64 [N - n] and [n]: n = round(share · N), at least two, at most half.
    """
    order = torch.randperm(num_cells, generator=torch.Generator().manual_seed(seed))
    num_validation = min(max(2, round(share * num_cells)), num_cells // 2)
    return order[num_validation:].sort().values, order[:num_validation].sort().values


def make_optimiser(modules: Sequence[nn.Module], parameters: AlignmentParameters) -> torch.optim.AdamW:
    """AdamW with no decay on biases and other parameters of at most one dimension (MoRA's released core)."""
    weights = [weight for module in modules for weight in module.parameters()]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": parameters.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=parameters.learning_rate, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, parameters: AlignmentParameters, epochs: float) -> None:
    """Give the optimiser the step size that the schedule has after so many epochs, a fraction included."""
    if parameters.schedule == "cosine":
        share = min(epochs / parameters.maximum_epochs, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = parameters.learning_rate * (1 + math.cos(math.pi * share)) / 2


class _Mean:
    """Losses of several batches, each modality's weighted by the cells that took part."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, terms: dict[str, tuple[Tensor, int]]) -> None:
        """Take in the terms of a batch, as `Alignment` returns them: a loss, scalar, and its number of cells."""
        for other, (loss, count) in terms.items():
            total, seen = self.sums.get(other, (0.0, 0))
            self.sums[other] = (total + loss.item() * count, seen + count)

    def result(self) -> dict[str, float]:
        """The mean over modalities under the name, and each modality's under `name/modality`; empty without batches."""
        means = {f"{self.name}/{other}": total / seen for other, (total, seen) in self.sums.items()}
        return {self.name: sum(means.values()) / len(means), **means} if means else {}


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """The array [...] as a tensor, copied only where torch could not write to it (Arrow's memory)."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
