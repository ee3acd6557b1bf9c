"""Settings of the aligned part of `mora`; without torch, so that Dagster's configuration can reuse them.

The model and the loss are those of the preset `paper`; the steps are fewer and cost less. In the loss an epoch costs
O(N · batch), so that small batches make more steps for less. How far training goes is set by how far the node table
moves, not by epochs: AdamW moves an entry by about the learning rate η a step, and by η / √b a step where only one of b
batches has its cell. S steps of a cosine therefore reach η S / (2 √b), and the method's 100 epochs of one batch at
η = 0.001 reach 0.1. Here η follows from that reach, whatever the region's size (docs/training.md).
"""

import math
from fractions import Fraction
from typing import Literal

from pydantic import Field

from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters

VALIDATION_SHARE = 0.1
# Training ends where the last three tenths of all its epochs had no better validation loss.
PATIENCE = Fraction(3, 10)


class AlignedParameters(Parameters):
    """LINE, the sampled graph and LightGCN, all made from the edges of a region."""

    dimension: int = Field(DIMENSION, ge=1, description="Length of an aligned vector.")
    share: float = Field(0.1, gt=0, le=1, description="Share of each origin's flows, the strongest, that are kept.")
    reach: float = Field(0.1, gt=0, description="How far an entry of the node table moves, about; the method's is 0.1.")
    batch_size: int = Field(1024, ge=2, description="Cells in one step, at most; batches of a region are of one size.")
    steps: int = Field(100, ge=1, description="Steps at least; whole epochs are trained.")
    minimum_epochs: int = Field(3, ge=1, description="Times that each cell is seen at least; large regions step more.")
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
        epochs = max(self.minimum_epochs, math.ceil(self.steps / batches))
        return AlignmentParameters(
            learning_rate=2 * self.reach / (epochs * math.sqrt(batches)),
            schedule="cosine",
            batch_size=max(2, math.ceil(training / batches)),
            maximum_epochs=epochs,
            patience=math.ceil(PATIENCE * epochs),
            validation_share=VALIDATION_SHARE,
            seed=self.seed,
            device=self.device,
        )
