"""Trains with a checkpoint and kills itself by SIGKILL; a process of its own for `test_checkpoint`.

Usage: python train_and_die.py FOLDER WHERE. WHERE is where the third epoch ends: in `training`, in `writing` (the new
state is written and not yet in place) or in `telling` (it is in place).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.checkpoint import Checkpoint, alignment_key
from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.learner import Learner
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.presets.paper.trainer import AlignmentResult, train_alignment

PARAMETERS = AlignmentParameters(maximum_epochs=6, batch_size=40, learn_temperatures=True)
NUM_CELLS = 90


def arguments() -> tuple[Adjacency, np.ndarray, list[LoadedModality], AlignmentParameters]:
    """A small region of random flows and features."""
    random = np.random.default_rng(4)
    ends = random.integers(0, NUM_CELLS, (2, 400))
    adjacency = Adjacency.from_matrix(symmetrise_and_normalise(*ends, random.exponential(1, 400), NUM_CELLS))
    line, features = (random.normal(size=(NUM_CELLS, width)).astype(np.float32) for width in (8, 5))
    modalities = [
        LoadedModality("poi", "text", features, random.random(NUM_CELLS) < 0.8, 0.5),
        LoadedModality("people", "table", features[:, :3].copy(), np.ones(NUM_CELLS, bool), 0.7),
    ]
    return adjacency, line, modalities, PARAMETERS


def checkpoint_in(folder: Path) -> Checkpoint:
    return Checkpoint(folder, alignment_key(*arguments()), every_seconds=0)


def train(folder: Path, on_epoch: Callable[[dict[str, float]], None] | None = None) -> AlignmentResult:
    return train_alignment(*arguments(), on_epoch, checkpoint_in(folder))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(call: int, owner: type, name: str) -> None:
    """Kill this process just before a call of a method, counted from 1."""
    whole, calls = getattr(owner, name), 0

    def counted(*given: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            die()
        return whole(*given)

    setattr(owner, name, counted)


def main(folder: Path, where: str) -> None:
    if where == "training":
        die_at(3, Learner, "validate")
    elif where == "writing":
        die_at(4, Path, "replace")  # the first is of the state before any epoch
    train(folder, lambda entry: die() if where == "telling" and entry["epoch"] == 3 else None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
