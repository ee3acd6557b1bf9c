"""The settings of ablations: a pydantic model without torch, so that Dagster's configuration can reuse it."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters, known_protocols
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters

FAMILIES = (
    "anchor", "modalities", "graph", "sampling", "start", "layers", "dimension", "temperature", "scaling", "seed",
)  # fmt: skip


class AblationParameters(BaseModel):
    """Which variants are trained, and how they are scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    families: list[str] = Field(default=[], description=f"Of {', '.join(FAMILIES)}; none given: all.")
    variants: list[str] = Field(
        default=[], description="Variants of the families by name, beside the base; none given: all."
    )
    alignment_epochs: int = Field(100, ge=1, description="Epochs of every variant, at most.")
    dimensions: list[int] = Field(
        default=[32, 64, 256, 512], description="Dimensions beside 128; all of them train LINE anew, and so does 128."
    )
    layers: list[int] = Field(default=[0, 1, 3, 4], description="Propagation steps beside 2.")
    shares: list[float] = Field(
        default=[0.01, 0.03, 0.3, 1.0],
        description="Shares of each origin's strongest flows beside 0.1; the one of the region's graph is the base.",
    )
    temperatures: list[float] = Field(
        default=[0.1, 0.3, 1.0], description="Temperatures of all modalities, instead of their own."
    )
    cell_shares: list[float] = Field(
        default=[0.02, 0.15, 0.5], description="Shares of the cells whose modalities training sees (scaling)."
    )
    seeds: list[int] = Field(default=[42, 43, 44], min_length=1, description="Seeds of the splits.")
    training_seed: int = Field(0, ge=0, description="Seed of every training, and of random graphs and starts.")
    training_seeds: list[int] = Field(
        default=[1, 2], description="Further seeds that the base is trained with (seed): how far chance moves it."
    )
    protocols: list[str] = Field(default=["random", "blocked"], min_length=1, description="How variants are scored.")

    @field_validator("families")
    @classmethod
    def _known_families(cls, families: list[str]) -> list[str]:
        if unknown := sorted(set(families) - set(FAMILIES)):
            raise ValueError(f"there is no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
        return families

    @field_validator("protocols")
    @classmethod
    def _known_protocols(cls, protocols: list[str]) -> list[str]:
        if "transfer" in protocols:
            raise ValueError("variants are not scored by transfer: their vectors mean something in their region alone")
        return known_protocols(protocols)

    @field_validator("shares", "cell_shares")
    @classmethod
    def _are_shares(cls, shares: list[float]) -> list[float]:
        if wrong := [share for share in shares if not 0 < share <= 1]:
            raise ValueError(f"{wrong[0]:g} is not a share: write numbers above 0 and at most 1")
        return shares

    @field_validator("dimensions", "temperatures")
    @classmethod
    def _are_positive(cls, values: list[float]) -> list[float]:
        if wrong := [value for value in values if value <= 0]:
            raise ValueError(f"{wrong[0]:g} is not above 0")
        return values

    @field_validator("layers", "training_seeds")
    @classmethod
    def _are_counts(cls, values: list[int]) -> list[int]:
        if wrong := [count for count in values if count < 0]:
            raise ValueError(f"{wrong[0]} is less than 0")
        return values

    def alignment(self) -> AlignmentParameters:
        """What all variants share."""
        return AlignmentParameters(maximum_epochs=self.alignment_epochs, seed=self.training_seed)

    def line(self) -> LineParameters:
        """What all variants share that train their own LINE, or start from chance."""
        return LineParameters(seed=self.training_seed)

    def benchmark(self) -> BenchmarkParameters:
        """How all variants are scored."""
        return BenchmarkParameters(protocols=self.protocols, seeds=self.seeds)
