"""Settings of distillation; without torch, so that Dagster's configuration can reuse them."""

from typing import Literal

from pydantic import Field

from mora_pipeline.parameters import Parameters


class DistillParameters(Parameters):
    """The network from a coordinate to an embedding; its shape is the method's, its training is ours."""

    degree: int = Field(32, ge=1, le=64, description="Degrees of the spherical harmonics: degree² features.")
    hidden: int = Field(512, ge=1, description="Width of the hidden layers.")
    hidden_layers: int = Field(8, ge=1, description="Number of hidden layers of that width.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest step size of AdamW; it rises, then falls.")
    weight_decay: float = Field(0.01, ge=0, description="Decay of AdamW.")
    batch_size: int = Field(512, ge=1, description="Cells in one step, at most.")
    epochs: int = Field(40, ge=1, description="Times that every cell is seen.")
    precision: Literal["float32", "float64"] = Field(
        "float32", description="Precision of the training; harmonics, stored weights and answers are float64 always."
    )
    smallest_component: float = Field(
        1e-6, gt=0, lt=1, description="Components of the harmonics below this share of the strongest's variance drop."
    )
    held_out_share: float = Field(0.1, gt=0, lt=1, description="Share of the cells never fitted, for the scores.")
    seed: int = Field(0, ge=0, description="Seed of the held-out cells, the weights and the order of the cells.")
