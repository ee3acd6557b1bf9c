"""Training of `mora` on one region: the encoder in closed form, then the part that belongs to the region."""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.devices import best_device
from mora_pipeline.presets.inductive.components import kernel_components
from mora_pipeline.presets.inductive.encoder import EncodedCells, InductiveEncoder
from mora_pipeline.presets.inductive.flows import flow_level
from mora_pipeline.presets.inductive.schema import Schema
from mora_pipeline.presets.inductive.states import Evidence, Vectors, fit_states
from mora_pipeline.presets.inductive.train import check_evidence
from mora_pipeline.presets.mora.axes import fit_axes
from mora_pipeline.presets.mora.encoder import MoraEncoder
from mora_pipeline.presets.mora.factors import aligned_part, factor_part
from mora_pipeline.presets.mora.parameters import MoraParameters


@dataclass(frozen=True)
class MoraResult:
    """What training gives.

    Attributes:
        encoder: on the CPU.
        encoded: the region it was trained on; vectors are the transferable numbers alone, float32 [N, k].
        scores: `explained`, the share of the kernel features' variance that the units' numbers hold, `width` of a
            state, `units` and `plain_numbers`.
        seconds: wall time.
    """

    encoder: MoraEncoder
    encoded: EncodedCells
    scores: dict[str, float]
    seconds: float


def train_encoder(evidence: Evidence, schema: Schema, parameters: MoraParameters) -> MoraResult:
    """Fit the transferable part to a region. Plain numbers that the region lacks go to the Gaussian units.

    Args:
        evidence: of all N cells.
        schema: what the encoder will ask of other regions, taken from the same region.

    Returns:
        Vectors float32 [N, transferable_numbers]; equal bytes for equal arguments on one machine.

    Raises:
        UserError: if there are fewer than 4 cells, a feature is not finite, or CUDA is asked for where there is none.
    """
    started = time.perf_counter()
    check_evidence(evidence)
    states = fit_states(evidence, parameters.units_for(parameters.gaussian_numbers))
    inputs = states.apply(evidence)
    axes = fit_axes(inputs, dict(zip(states.weights, states.columns(), strict=True)), schema.flow_features, parameters)
    plain = axes.matrix.shape[1]
    on_device = torch.from_numpy(inputs).to(best_device(parameters.device, "mora encoder"))
    settings = parameters.units_for(parameters.transferable_numbers - plain)
    readout, explained = kernel_components(on_device, states.columns(), settings)
    schema = replace(schema, flow_level=flow_level(evidence.flows))
    encoder = MoraEncoder(InductiveEncoder(schema, states, readout.to("cpu")), axes)
    scores = {"explained": explained, "width": float(inputs.shape[1]), "plain_numbers": float(plain)}
    scores["units"] = float(len(readout.centres))
    return MoraResult(encoder, encoder.encode(evidence), scores, time.perf_counter() - started)


def region_part(edges: Edges, aligned: Vectors | None, num_cells: int, parameters: MoraParameters) -> Vectors:
    """The numbers that mean something in their own region alone: factors of the flows, then aligned vectors.

    Args:
        edges: all flows of the region.
        aligned: LightGCN vectors, float32 [N, d]; None where there is nothing to align.
        num_cells: N.

    Returns:
        float32 [N, factor_numbers + aligned_numbers].
    """
    if aligned is None:  # more factors tell more than numbers that are all 0
        return factor_part(edges, num_cells, parameters.factor_numbers + parameters.aligned_numbers)
    factors = factor_part(edges, num_cells, parameters.factor_numbers)
    return np.concatenate([factors, aligned_part(aligned, parameters.aligned_numbers)], axis=1)
