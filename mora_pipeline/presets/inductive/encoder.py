"""The encoder, from a cell's state to its embedding: Gaussian units centred on cells, read out linearly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mora_pipeline.presets.encoders import SETTINGS, WEIGHTS, damaged
from mora_pipeline.presets.inductive.schema import FORMAT, Schema, read_settings
from mora_pipeline.presets.inductive.states import Block, Evidence, StateMap, Vectors
from mora_pipeline.presets.student import PARTS, Student

NAME = "inductive"
BLOCK_PARTS = ("mean", "matrix", "limit")
CHUNK = 8192  # cells at a time: with 1,024 units 32 MiB
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
        familiarity: float32 [N], in [0, 1]: the largest answer of a unit to the cell's state before it is bounded; how
            like a cell of the encoder's region it is.
        states: float32 [N, width], what the vectors were made from.
        warnings: sentences about evidence that the region has in another form than the encoder's own.
    """

    vectors: Vectors
    familiarity: Vectors
    states: Vectors
    warnings: tuple[str, ...] = ()


class RegionEncoder(Protocol):
    """A function of a cell's evidence that was fitted to one region and embeds others."""

    @property
    def schema(self) -> Schema: ...

    @property
    def states(self) -> StateMap: ...

    @property
    def student(self) -> Student | None: ...

    def encode(self, evidence: Evidence, without_flows: bool = False) -> EncodedCells:
        """Embed all cells of a region; without flows by the student."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, on the CPU, ready for safetensors."""
        ...

    def settings(self) -> dict[str, Any]:
        """What its JSON says."""
        ...


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
        answers = (gaussian_units(chunk, self.centres, self.sharpness) for chunk in states.split(CHUNK))
        return torch.cat([each @ self.readout - self.offset for each in answers])

    def largest_answers(self, states: Tensor) -> Tensor:
        """The largest answer of a unit to each of the states, float32 [n, width]: float32 [n], in [0, 1]."""
        answers = (gaussian_units(chunk, self.centres, self.sharpness) for chunk in states.split(CHUNK))
        return torch.cat([each.amax(1) for each in answers])

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
        """Embed all cells of a region in one forward pass, and say how like the encoder's region each of them is.

        A cell's vector depends on its own evidence and its related cells', not on the order of rows.

        Args:
            evidence: of N cells.
            without_flows: whether the flows are unknown, and the student answers.

        Returns:
            Vectors float32 [N, dimension].

        Raises:
            ValueError: if the evidence has other modalities or amounts than the schema, or no student can answer.
        """
        names = [one.name for one in evidence.modalities]
        if names != self.schema.names:
            raise ValueError(f"the encoder takes {self.schema.names}, not {names}")
        for wanted, own in zip(self.schema.modalities, evidence.modalities, strict=True):
            if wanted.amounts != own.amount_names:
                raise ValueError(
                    f"the encoder takes the amounts {wanted.amounts} of {own.name}, not {own.amount_names}"
                )
        if without_flows:
            return answered(self, evidence)
        states = self.states.apply(evidence)
        vectors = self.readout(torch.from_numpy(states))
        familiarity = self.readout.largest_answers(torch.from_numpy(self.states.apply(evidence, bounded=False)))
        return EncodedCells(vectors.numpy(), familiarity.numpy(), states)

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, on the CPU, ready for safetensors: a `GaussianReadout`, then blocks [d], [d, k], [k]."""
        tensors = {name: getattr(self.readout, name).cpu().contiguous() for name in ("centres", "readout", "offset")}
        for name, block in self.states.blocks.items():
            tensors |= {f"{name}/{part}": torch.from_numpy(getattr(block, part)) for part in BLOCK_PARTS}
        if self.student:
            tensors |= student_tensors(self.student)
        return tensors

    def settings(self) -> dict[str, Any]:
        """What its JSON says: the schema, the blocks' weights and γ."""
        return {
            "format": FORMAT,
            "preset": NAME,
            "schema": self.schema.as_json(),
            "weights": dict(self.states.weights),
            "sharpness": self.readout.sharpness,
            STUDENT: self.student is not None,
        }


def save_encoder(encoder: RegionEncoder, folder: Path) -> None:
    """Write ``encoder.safetensors`` and ``encoder.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(encoder.tensors(), folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(encoder.settings(), indent=2), encoding="utf-8")


def load_encoder(folder: Path) -> InductiveEncoder:
    """Read what `save_encoder` wrote; no code in the files is ever run.

    Raises:
        UserError: if a file is missing or damaged, or the two do not belong together.
    """
    settings = read_settings(folder, NAME)
    try:
        tensors = load_file(folder / WEIGHTS)
        encoder = assembled(settings, tensors)
        return replace(encoder, student=read_student(settings, tensors, encoder.states, len(encoder.readout.offset)))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error


def assembled(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> InductiveEncoder:
    """The encoder of `read_settings` and the tensors of `InductiveEncoder.tensors`, less its student.

    Raises:
        ValueError, KeyError, TypeError: if the two do not belong together.
    """
    weights = dict(settings["weights"])
    blocks = {name: Block(*(tensors[f"{name}/{part}"].numpy() for part in BLOCK_PARTS)) for name in weights}
    readout = GaussianReadout(tensors["centres"], tensors["readout"], tensors["offset"], settings["sharpness"])
    units, dimension = readout.readout.shape
    width = sum(block.matrix.shape[1] for block in blocks.values())
    if readout.centres.shape != (units, width) or readout.offset.shape != (dimension,):
        raise ValueError("its weights and its settings come from different encoders")
    states = StateMap(blocks, weights)
    return InductiveEncoder(settings["schema"], states, readout)


def answered(encoder: RegionEncoder, evidence: Evidence) -> EncodedCells:
    """What the student of an encoder gives for the cells of a region whose flows are unknown.

    Raises:
        ValueError: if there is no student.
    """
    if encoder.student is None:
        raise ValueError(f"the encoder of '{encoder.schema.region}' has no student")
    columns = encoder.states.columns_without_flows()
    states = encoder.states.apply(evidence)[:, columns]
    vectors, _ = encoder.student.with_largest(states)
    _, familiarity = encoder.student.with_largest(encoder.states.apply(evidence, bounded=False)[:, columns])
    return EncodedCells(vectors, familiarity, states)


def student_tensors(student: Student) -> dict[str, Tensor]:
    """The weights of a student by name, float32, as `read_student` takes them."""
    return {f"{STUDENT}/{part}": torch.from_numpy(array) for part, array in student.arrays().items()}


def read_student(
    settings: Mapping[str, Any], tensors: Mapping[str, Tensor], states: StateMap, dimension: int
) -> Student | None:
    """The student of an encoder whose vectors have so many numbers; None where it was not fitted.

    Raises:
        ValueError, KeyError: if it is of another encoder, or a part is missing.
    """
    if not settings[STUDENT]:
        return None
    student = Student.from_arrays({part: tensors[f"{STUDENT}/{part}"].numpy() for part in PARTS})
    if (len(student.mean), len(student.offset)) != (len(states.columns_without_flows()), dimension):
        raise ValueError("its student belongs to another encoder")
    return student
