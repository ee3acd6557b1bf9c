"""Training of the inductive encoder on one region: its states, then its readout."""

import time
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from mora_pipeline.contract.errors import UserError
from mora_pipeline.devices import best_device
from mora_pipeline.presets.inductive.components import kernel_components
from mora_pipeline.presets.inductive.encoder import EncodedCells, InductiveEncoder, RegionEncoder, Schema
from mora_pipeline.presets.inductive.flows import flow_level
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.states import Evidence, Vectors, check_finite, fit_states
from mora_pipeline.presets.student import StudentParameters, fit_student

Encoder = TypeVar("Encoder", bound=RegionEncoder)  # a dataclass


@dataclass(frozen=True)
class InductiveResult:
    """What training gives.

    Attributes:
        encoder: on the CPU.
        encoded: the region it was trained on; vectors float32 [N, dimension], un-normalised.
        scores: `explained`, the share of the kernel features' variance that the embeddings hold, `width` of a state and
            `units`.
        seconds: wall time.
    """

    encoder: InductiveEncoder
    encoded: EncodedCells
    scores: dict[str, float]
    seconds: float

    @property
    def embeddings(self) -> Vectors:
        """float32 [N, dimension], un-normalised."""
        return self.encoded.vectors


def train_inductive(evidence: Evidence, schema: Schema, parameters: InductiveParameters) -> InductiveResult:
    """Fit an encoder to a region and embed the region with it.

    Args:
        evidence: of all N cells.
        schema: what the encoder will ask of other regions, taken from the same region.

    Returns:
        Embeddings float32 [N, dimension]; equal bytes for equal arguments on one machine.

    Raises:
        UserError: if there are fewer than 4 cells, a feature is not finite, or CUDA is asked for where there is none.
    """
    started = time.perf_counter()
    check_evidence(evidence)
    states = fit_states(evidence, parameters)
    inputs = torch.from_numpy(states.apply(evidence)).to(best_device(parameters.device, "inductive encoder"))
    readout, explained = kernel_components(inputs, states.columns(), parameters)
    encoder = InductiveEncoder(replace(schema, flow_level=flow_level(evidence.flows)), states, readout.to("cpu"))
    scores = {"explained": explained, "width": float(inputs.shape[1]), "units": float(len(readout.centres))}
    return InductiveResult(encoder, encoder.encode(evidence), scores, time.perf_counter() - started)


def with_student(encoder: Encoder, evidence: Evidence, embeddings: Vectors) -> tuple[Encoder, dict[str, float]]:
    """The encoder with a student, fitted to its vectors from all evidence but the flows.

    Args:
        evidence: of the N cells that the encoder was trained on.
        embeddings: of these cells, float32 [N, dimension].

    Returns:
        The encoder as it is, and no figure, where it sees nothing but flows. Else with `student_explained`: the share
        of the vectors' variance that the student foretells in groups of like cells that it did not see.
    """
    if not evidence.modalities:
        return encoder, {}
    states = encoder.states.apply(evidence)[:, encoder.states.columns_without_flows()]
    fitted = fit_student(states, embeddings, StudentParameters())
    taught: Encoder = replace(encoder, student=fitted.student)  # type: ignore[type-var]
    return taught, {"student_explained": fitted.explained}


def check_evidence(evidence: Evidence) -> None:
    """Refuse a region that has nothing to fit states to.

    Raises:
        UserError: if there are fewer than 4 cells, a modality is in none of them, or a feature is not finite.
    """
    if evidence.num_cells < 4:
        raise UserError(f"encoder: {evidence.num_cells} cells are too few to learn from; 4 are needed.")
    check_finite(evidence)
    for one in evidence.modalities:
        if not one.present.any():
            raise UserError(
                f"encoder: no cell has {one.name}. Remove the modality from region.yaml, or use data that "
                "cover the region."
            )
