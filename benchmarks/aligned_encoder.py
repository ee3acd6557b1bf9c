"""What the inductive encoder is compared with: an MLP of the same states, trained by the method's alignment loss."""

import numpy as np
import torch
from torch import Tensor, nn

from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.presets.inductive.states import Evidence, Vectors
from mora_pipeline.presets.paper.alignment import Alignment, total_loss

HIDDEN, STEPS, BATCH, LEARNING_RATE, TEMPERATURE = 256, 400, 1024, 2e-3, 0.1


def aligned_vectors(states: Vectors, evidence: Evidence, seed: int = 0) -> Vectors:
    """Embeddings of the cells, float32 [N, 128]: mobility (the MLP's answer) is the anchor, as in the method.

    Args:
        states: float32 [N, width].
        evidence: of the same cells; each of its modalities has a head.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(states.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIMENSION))
        temperatures = dict.fromkeys([one.name for one in evidence.modalities], TEMPERATURE)
        alignment = Alignment(evidence.modalities, DIMENSION, temperatures=temperatures)
    inputs = torch.from_numpy(states)
    vectors = {one.name: torch.from_numpy(np.array(one.vectors)) for one in evidence.modalities}
    present = {one.name: torch.from_numpy(np.array(one.present)) for one in evidence.modalities}
    weights = [*network.parameters(), *alignment.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        rows = torch.randperm(len(inputs), generator=generator)[:BATCH]
        terms = alignment(network(inputs[rows]), _rows(vectors, rows), _rows(present, rows))
        optimiser.zero_grad(set_to_none=True)
        total_loss(terms).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return np.asarray(network(inputs).numpy())


def _rows(tensors: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: tensor[rows] for name, tensor in tensors.items()}
