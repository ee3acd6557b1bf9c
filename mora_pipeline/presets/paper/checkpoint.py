"""The state of a training that may be killed: one file, replaced in one step, named by the training's inputs."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mora_pipeline.contract.digests import digest
from mora_pipeline.contract.files import replacing
from mora_pipeline.devices import best_device
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.graph import Adjacency
from mora_pipeline.presets.paper.parameters import TRAINING_FORMAT, AlignmentParameters

EVERY_SECONDS = 20.0  # a state holds the node table four times: writing it after every short epoch would cost most

logger = logging.getLogger(__name__)
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class State:
    """What training goes on from: ``tensors`` by name, and ``facts``, which JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Checkpoint:
    """The file of one training's state: ``<folder>/<key>.safetensors``, the facts as JSON in its metadata.

    Args:
        folder: of all states of one asset of one region.
        key: of everything that the training was given (`alignment_key`), so that no other training finds the state.
        every_seconds: the least time between two states.

    ``notes`` are words of the caller that are saved with the state; a killed process' own are read from it at once.
    """

    def __init__(self, folder: Path, key: str, every_seconds: float = EVERY_SECONDS) -> None:
        self.file = folder / f"{key}.safetensors"
        self.every_seconds = every_seconds
        self.notes = self._read(lambda stream, saved: dict[str, str](saved["notes"])) or {}
        self._saved = time.monotonic()

    def load(self) -> State | None:
        """The state that a killed process left, if any."""
        return self._read(
            lambda stream, saved: State({name: stream.get_tensor(name) for name in stream.keys()}, saved["facts"])  # noqa: SIM118
        )

    def _read(self, take: Callable[[Any, Any], Kind]) -> Kind | None:
        """What `take` makes of the open file and of the JSON in it; None without a file that can be read."""
        try:
            with safe_open(self.file, "pt") as stream:
                return take(stream, json.loads(stream.metadata()["state"]))
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s cannot be read (%s): training starts anew.", self.file, error)
            return None

    def is_due(self) -> bool:
        """Whether the last state is old enough for another."""
        return time.monotonic() - self._saved >= self.every_seconds

    def save(self, state: State) -> None:
        """Keep a state in place of the one before; a process killed meanwhile leaves the one before."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"facts": state.facts, "notes": self.notes})
        with replacing(self.file) as partial:
            save_file(
                {name: tensor.contiguous() for name, tensor in state.tensors.items()}, partial, {"state": content}
            )
        self._saved = time.monotonic()

    def clear(self) -> None:
        """Remove the state, and what trainings of other inputs or dead processes left in the folder."""
        for file in self.file.parent.glob("*.safetensors*"):
            file.unlink(missing_ok=True)


def alignment_key(
    adjacency: Adjacency,
    initial: npt.NDArray[np.float32],
    modalities: Sequence[LoadedModality],
    parameters: AlignmentParameters,
) -> str:
    """A digest of all that `train_alignment`'s bytes depend on: its arguments' content, its format and where it runs.

    Args:
        adjacency: Ã of the N cells.
        initial: float32 [N, d], the start of the node table.
        modalities: in any order.

    Raises:
        UserError: if CUDA is asked for where there is none.
    """
    modalities = sorted(modalities, key=lambda one: one.name)
    facts = {
        "format": TRAINING_FORMAT,
        "torch": torch.__version__,
        "device": best_device(parameters.device, "alignment"),
        "threads": torch.get_num_threads(),  # sums over threads round differently with their number
        # A subclass may have keys that training does not read.
        "parameters": parameters.model_dump(mode="json", include=set(AlignmentParameters.model_fields)),
        "modalities": [(one.name, one.kind, one.temperature) for one in modalities],
    }
    arrays: dict[str, npt.NDArray[Any]] = {"initial": initial}
    arrays |= {name: getattr(adjacency, name).cpu().numpy() for name in ("indptr", "indices", "values")}
    for one in modalities:
        arrays |= {f"vectors of {one.name}": one.vectors, f"mask of {one.name}": one.present}
        arrays |= {f"amounts of {one.name}": one.amounts, f"known amounts of {one.name}": one.amounts_present}
    return digest(facts, arrays)[:32]
