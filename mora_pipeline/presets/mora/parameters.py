"""Settings of the preset `mora`; without torch, so that Dagster's configuration can reuse them.

One configuration serves all regions. docs/training.md says which labels and folds the defaults were chosen on.
"""

from pydantic import Field

from mora_pipeline.presets.inductive.parameters import InductiveParameters, UnitsParameters
from mora_pipeline.presets.mora.aligned_parameters import AlignedParameters

FLOW_FIGURES = (
    "out_strength", "in_strength", "out_partners", "in_partners",
    "internal", "internal_share_out", "out_distance", "in_distance",
)  # fmt: skip


class MoraParameters(UnitsParameters):
    """How many numbers each part of a vector has, and what the parts are made from; 128 numbers by default."""

    gaussian_numbers: int = Field(
        48,
        ge=1,
        description="Numbers of the Gaussian units: what is alike in all evidence; those others lack are added.",
    )
    modality_numbers: int = Field(
        24, ge=0, description="Principal components of the modalities and their amounts, one by one."
    )
    surroundings_numbers: int = Field(
        16, ge=0, description="Principal components of the means over partners and over neighbours, half each."
    )
    factor_numbers: int = Field(16, ge=0, description="Factors of the logarithms of the flows.")
    aligned_numbers: int = Field(
        16, ge=0, description="Principal components of the LightGCN vectors aligned to the modalities."
    )
    sharpness: float = Field(0.4, gt=0, description="γ of the units exp(-γ |x - centre|²); the mean |x|² is about 1.")
    seed: int = Field(0, ge=0, description="Seed of the units' centres; `aligned` adds it to its own.")
    aligned: AlignedParameters = Field(AlignedParameters(), description="How the aligned LightGCN vectors are trained.")

    @property
    def transferable_numbers(self) -> int:
        """How many numbers of a vector mean the same in another region: those before the region's own."""
        return self.gaussian_numbers + len(FLOW_FIGURES) + self.modality_numbers + self.surroundings_numbers

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.transferable_numbers + self.factor_numbers + self.aligned_numbers

    def alignment(self) -> AlignedParameters:
        """The settings of the aligned vectors, with the seed and the device of all."""
        device = self.device if self.aligned.device == "auto" else self.aligned.device
        return self.aligned.model_copy(update={"seed": self.aligned.seed + self.seed, "device": device})

    def units_for(self, numbers: int) -> InductiveParameters:
        """The settings of states and Gaussian units whose readout has so many numbers."""
        shared = self.model_dump(include=set(UnitsParameters.model_fields))
        return InductiveParameters(**shared, dimension=numbers, length=1.0)
