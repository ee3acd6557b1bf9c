"""Settings of the inductive encoder; without torch, so that Dagster's configuration can reuse them.

One configuration serves all regions. The defaults were chosen on other folds than the reported scores have, but on some
of the same labels; docs/training_inductive.md says which.
"""

from typing import Literal

from pydantic import Field

from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.parameters import Parameters


class UnitsParameters(Parameters):
    """The states of cells and the Gaussian units on them, of all presets that have them."""

    components: int = Field(64, ge=1, description="Principal components that a wider text or image vector keeps.")
    neighbours: int = Field(24, ge=0, description="Nearest cells whose mean describes a cell's surroundings; 0: none.")
    modality_weight: float = Field(
        0.3, ge=0, description="Weight of each modality: of its features and amounts together."
    )
    flow_weight: float = Field(1.0, ge=0, description="Weight of the description of a cell's own flows.")
    partner_weight: float = Field(0.7, ge=0, description="Weight of the mean over the cells it exchanges people with.")
    neighbour_weight: float = Field(0.5, ge=0, description="Weight of the mean over the nearest cells.")
    units: int = Field(1024, ge=2, description="Gaussian units, each centred on a cell of the region; at most all.")
    sharpness: float = Field(0.15, gt=0, description="γ of the units exp(-γ |x - centre|²); the mean |x|² is about 1.")
    seed: int = Field(0, ge=0, description="Seed that chooses the cells which units are centred on.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train; auto takes CUDA when there.")


class InductiveParameters(UnitsParameters):
    """Cells described by features, flows and surroundings, and encoded by Gaussian units."""

    dimension: int = Field(DIMENSION, ge=1, description="Length of an embedding; the method's is 128.")
    length: float = Field(3.0, gt=0, description="Root mean square length of an embedding, which is not normalised.")
