"""The encoder, from a cell's state to its embedding: Gaussian units centred on cells, read out linearly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mora_pipeline.presets.inductive.schema import FORMAT, SETTINGS, WEIGHTS, Schema, damaged, read_settings
from mora_pipeline.presets.inductive.states import Block, Evidence, StateMap, Vectors
from mora_pipeline.presets.student import PARTS, Student

CHUNK = 8192  # cells at a time: with 1,024 units 32 MiB
# A cell whose largest unit answers less is unlike all cells of the encoder's region: its vector nears one point.
SMALLEST_ANSWER = 0.1
STUDENT = "student"  # in the names of its weights


def gaussian_units(states: Tensor, centres: Tensor, sharpness: float) -> Tensor:
    """exp(-γ |x - centre|²) for all pairs, in [0, 1].

    Args:
        states: float32 [n, width].
        centres: float32 [units, width].
        sharpness: γ.

    Returns:
        float32 [n, units].
    """
    squares = states.square().sum(1, keepdim=True) + centres.square().sum(1)
    squares = torch.addmm(squares, states, centres.T, alpha=-2).clamp_min_(0)
    return squares.mul_(-sharpness).exp_()


@dataclass(frozen=True)
class EncodedCells:
    """What an encoder gives for the cells of a region.

    Attributes:
        vectors: float32 [N, dimension], un-normalised.
        share_far: share of the cells whose largest unit answers less than `SMALLEST_ANSWER`.
    """

    vectors: Vectors
    share_far: float


@dataclass(frozen=True)
class GaussianReadout:
    """E(x) = Σ_k exp(-γ |x - centre_k|²) readout_k - offset.

    Attributes:
        centres: states of some cells of the region it was fitted to, float32 [units, width].
        readout: float32 [units, dimension].
        offset: float32 [dimension]: the fitted region's embeddings have mean 0.
        sharpness: γ.
    """

    centres: Tensor
    readout: Tensor
    offset: Tensor
    sharpness: float

    def __call__(self, states: Tensor) -> Tensor:
        """Embeddings of states, float32 [n, width]: float32 [n, dimension], un-normalised; `CHUNK` at a time."""
        return self.with_largest(states)[0]

    def with_largest(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings, float32 [n, dimension], and each cell's largest answer of a unit, float32 [n], in [0, 1]."""
        embeddings, largest = [], []
        for chunk in states.split(CHUNK):
            answers = gaussian_units(chunk, self.centres, self.sharpness)
            embeddings.append(answers @ self.readout - self.offset)
            largest.append(answers.amax(1))
        return torch.cat(embeddings), torch.cat(largest)

    def to(self, device: torch.device | str) -> "GaussianReadout":
        return GaussianReadout(self.centres.to(device), self.readout.to(device), self.offset.to(device), self.sharpness)


@dataclass(frozen=True)
class InductiveEncoder:
    """Evidence in, embeddings out; the same function for every region.

    `student` gives its vectors of cells whose flows nobody knows; None where it was not fitted.
    """

    schema: Schema
    states: StateMap
    readout: GaussianReadout
    student: Student | None = None

    def embed(self, evidence: Evidence) -> Vectors:
        """The vectors of `encode` alone, float32 [N, dimension]."""
        return self.encode(evidence).vectors

    @torch.no_grad()
    def encode(self, evidence: Evidence, without_flows: bool = False) -> EncodedCells:
        """Embed all cells of a region in one forward pass, and count those unlike all cells of the encoder's region.

        A cell's vector depends on its own evidence and its related cells', not on the order of rows.

        Args:
            evidence: of N cells.
            without_flows: whether the flows are unknown, and the student answers.

        Returns:
            Vectors float32 [N, dimension].

        Raises:
            ValueError: if the evidence has other modalities than the schema, or there is no student to answer.
        """
        names = [one.name for one in evidence.modalities]
        if names != self.schema.names:
            raise ValueError(f"the encoder takes {self.schema.names}, not {names}")
        states = self.states.apply(evidence)
        if without_flows:
            if self.student is None:
                raise ValueError(f"the encoder of '{self.schema.region}' has no student")
            guessed, answers = self.student.with_largest(states[:, self.states.columns_without_flows()])
            return EncodedCells(guessed, float((answers < SMALLEST_ANSWER).mean()))
        vectors, largest = self.readout.with_largest(torch.from_numpy(states))
        return EncodedCells(vectors.numpy(), float((largest < SMALLEST_ANSWER).double().mean()))

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, on the CPU, ready for safetensors: a `GaussianReadout`, and [d] and [d, k] of blocks."""
        tensors = {name: getattr(self.readout, name).cpu().contiguous() for name in ("centres", "readout", "offset")}
        for name, block in self.states.blocks.items():
            tensors |= {f"{name}/{part}": torch.from_numpy(getattr(block, part)) for part in ("mean", "matrix")}
        if self.student:
            tensors |= {f"{STUDENT}/{part}": torch.from_numpy(array) for part, array in self.student.arrays().items()}
        return tensors

    def settings(self) -> dict[str, Any]:
        """What its JSON says: the schema, the blocks' weights and γ."""
        return {
            "format": FORMAT,
            "schema": self.schema.as_json(),
            "weights": dict(self.states.weights),
            "sharpness": self.readout.sharpness,
            STUDENT: self.student is not None,
        }


def save_encoder(encoder: InductiveEncoder, folder: Path) -> None:
    """Write ``encoder.safetensors`` and ``encoder.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(encoder.tensors(), folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(encoder.settings(), indent=2), encoding="utf-8")


def load_encoder(folder: Path) -> InductiveEncoder:
    """Read what `save_encoder` wrote; no code in the files is ever run.

    Raises:
        UserError: if a file is missing or damaged, or the two do not belong together.
    """
    settings = read_settings(folder)
    try:
        return _assembled(settings, load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error


def _assembled(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> InductiveEncoder:
    weights = dict(settings["weights"])
    blocks = {name: Block(*(tensors[f"{name}/{part}"].numpy() for part in ("mean", "matrix"))) for name in weights}
    readout = GaussianReadout(tensors["centres"], tensors["readout"], tensors["offset"], settings["sharpness"])
    units, dimension = readout.readout.shape
    width = sum(block.matrix.shape[1] for block in blocks.values())
    if readout.centres.shape != (units, width) or readout.offset.shape != (dimension,):
        raise ValueError("its weights and its settings come from different encoders")
    states = StateMap(blocks, weights)
    return InductiveEncoder(settings["schema"], states, readout, _student(settings, tensors, states, dimension))


def _student(
    settings: Mapping[str, Any], tensors: Mapping[str, Tensor], states: StateMap, dimension: int
) -> Student | None:
    if not settings[STUDENT]:
        return None
    student = Student.from_arrays({part: tensors[f"{STUDENT}/{part}"].numpy() for part in PARTS})
    if (len(student.mean), len(student.offset)) != (len(states.columns_without_flows()), dimension):
        raise ValueError("its student belongs to another encoder")
    return student
