"""Settings of the aligned part of `mora`; without torch, so that Dagster's configuration can reuse them.

The same model and loss as the preset `paper`, in fewer and better steps. An epoch of batches of B cells costs O(N · B)
in the loss, so that a small batch makes more steps for less; docs/training.md has what was measured.
"""

import math
from fractions import Fraction
from typing import Literal

from pydantic import Field

from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters

VALIDATION_SHARE = 0.1
# Training ends where the last three tenths of its epochs at most had no better validation loss.
PATIENCE = Fraction(3, 10)


class AlignedParameters(Parameters):
    """LINE, the sampled graph and LightGCN, all made from the edges of a region."""

    dimension: int = Field(DIMENSION, ge=1, description="Length of an aligned vector.")
    share: float = Field(0.1, gt=0, le=1, description="Share of each origin's flows, the strongest, that are kept.")
    learning_rate: float = Field(5e-3, gt=0, description="Step size of AdamW at the start; it falls to 0 as a cosine.")
    batch_size: int = Field(1024, ge=2, description="Cells in one step, at most; batches of a region are of one size.")
    epochs: int = Field(10, ge=1, description="Times that each cell is seen; more where steps would be too few.")
    minimum_steps: int = Field(200, ge=1, description="Steps at least, so that a region of few cells is trained too.")
    seed: int = Field(0, ge=0, description="Seed of LINE, the split, the heads' weights and the order of the cells.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train; auto takes CUDA when there.")

    def line(self) -> LineParameters:
        """The settings of LINE."""
        return LineParameters(dimension=self.dimension, seed=self.seed, device=self.device)

    def alignment(self, num_cells: int) -> AlignmentParameters:
        """The settings of the alignment of a region of `num_cells`, at least 4.

        Batches are of one size: the few cells that a largest batch leaves over would weigh as much as all of its own.
        """
        training = num_cells - round(VALIDATION_SHARE * num_cells)
        batches = math.ceil(training / self.batch_size)
        epochs = max(self.epochs, math.ceil(self.minimum_steps / batches))
        return AlignmentParameters(
            learning_rate=self.learning_rate,
            schedule="cosine",
            batch_size=max(2, math.ceil(training / batches)),
            maximum_epochs=epochs,
            patience=math.ceil(PATIENCE * epochs),
            validation_share=VALIDATION_SHARE,
            seed=self.seed,
            device=self.device,
        )
