"""The part of `mora` that every region can have: Gaussian units of a cell's state, and plain numbers of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mora_pipeline.presets.encoders import WEIGHTS, damaged
from mora_pipeline.presets.inductive.encoder import (
    STUDENT,
    EncodedCells,
    InductiveEncoder,
    answered,
    assembled,
    read_student,
    student_tensors,
)
from mora_pipeline.presets.inductive.schema import Schema, read_settings
from mora_pipeline.presets.inductive.states import Evidence, StateMap
from mora_pipeline.presets.mora.axes import Axes
from mora_pipeline.presets.student import Student

NAME = "mora"


@dataclass(frozen=True)
class MoraEncoder:
    """Evidence in; the transferable numbers of a vector out: those of the units, then the plain ones.

    Attributes:
        units: states and Gaussian units.
        axes: of the same states.
        student: gives all these numbers of cells whose flows nobody knows; None where it was not fitted.
    """

    units: InductiveEncoder
    axes: Axes
    student: Student | None = None

    @property
    def schema(self) -> Schema:
        return self.units.schema

    @property
    def states(self) -> StateMap:
        return self.units.states

    def encode(self, evidence: Evidence, without_flows: bool = False) -> EncodedCells:
        """Embed all cells of a region; see `InductiveEncoder.encode`. Vectors are float32 [N, numbers of both]."""
        if without_flows:
            return answered(self, evidence)
        encoded = self.units.encode(evidence)
        vectors = np.concatenate([encoded.vectors, self.axes(encoded.states)], axis=1)
        return EncodedCells(vectors, encoded.familiarity, encoded.states)

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, on the CPU: those of the units, axes [width, k] and [k], and those of the student."""
        axes = {f"axes/{part}": torch.from_numpy(getattr(self.axes, part)) for part in ("matrix", "offset")}
        return self.units.tensors() | axes | (student_tensors(self.student) if self.student else {})

    def settings(self) -> dict[str, Any]:
        """What its JSON says."""
        return {**self.units.settings(), "preset": NAME, STUDENT: self.student is not None}


def load_encoder(folder: Path) -> MoraEncoder:
    """Read what `inductive.encoder.save_encoder` wrote; no code in the files is ever run.

    Raises:
        UserError: if a file is missing or damaged, the two do not belong together, or it is of another preset.
    """
    settings = read_settings(folder, NAME)
    try:
        return _assembled(settings, load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error


def _assembled(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MoraEncoder:
    units = assembled(settings, tensors)
    axes = Axes(*(tensors[f"axes/{part}"].numpy() for part in ("matrix", "offset")))
    width = units.readout.centres.shape[1]
    if axes.matrix.ndim != 2 or len(axes.matrix) != width or axes.offset.shape != axes.matrix.shape[1:]:
        raise ValueError("its axes and its units come from different encoders")
    numbers = len(units.readout.offset) + len(axes.offset)
    return MoraEncoder(units, axes, read_student(settings, tensors, units.states, numbers))
