"""Settings of the preset `paper`: pydantic models without torch, so that Dagster's configuration can reuse them.

The defaults are the method's; where the paper and its code are silent, the comment says so (method.md).
"""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, PositiveFloat, field_validator, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.parameters import Parameters

MOBILITY = "mobility"  # the graph's own modality: the anchor by default
# Raise it when a change of LINE, of alignment or of its states gives other bytes for the same inputs and settings:
# resume states and cached vectors of ablations from before are then not taken up.
TRAINING_FORMAT = 2


class LineParameters(Parameters):
    """LINE on the full mobility graph; its vectors initialise the node table."""

    dimension: int = Field(
        DIMENSION, ge=1, description="Length of a LINE vector, and of the embeddings trained from it."
    )
    method: Literal["sampled", "closed_form"] = Field(
        "sampled",
        description="sampled: LINE's own way, by drawn edges; closed_form: the matrix that LINE factorises implicitly, "
        "factorised outright (second order alone; draws, steps and learning rate then have no meaning).",
    )
    order: int = Field(2, ge=1, le=2, description="Proximity that LINE keeps: 2 is the method's, 1 an option.")
    negatives: int = Field(5, ge=1, description="Noise cells drawn for each edge.")  # silent in MoRA; LINE's own
    shift: float = Field(
        1.0, gt=0, description="closed_form: flows below shift × what chance gives count as none; NetMF's is 1."
    )
    noise_power: float = Field(0.75, ge=0, le=1, description="Noise cells are drawn in proportion to strength^power.")
    samples_per_edge: float = Field(20.0, gt=0, description="Edges to draw in all, at least this often each.")
    samples_per_cell: float = Field(1000.0, ge=0, description="Edges to draw in all, at least so many for each cell.")
    maximum_samples: int = Field(300_000_000, ge=1, description="Edges to draw in all, at most; about 1 M take 1 s.")
    # Silent in MoRA; the original's is 0.025. With a shared pool of noise, twice that tells held-out flows better and
    # has the higher R² on us_east and us_counties (benchmarks/line.py).
    learning_rate: float = Field(0.05, gt=0, description="Step size at the start; it falls linearly to zero.")
    batch_size: int = Field(16384, ge=1, description="Edges in one step, at most; never more than there are cells.")
    directed: bool = Field(False, description="Read edges from origin to destination only, not in both directions.")
    normalise: bool = Field(False, description="Give every vector the length 1; the original leaves them as they are.")
    seed: int = Field(0, ge=0, description="Seed of initial vectors, drawn edges and noise.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where `sampled` takes its steps; edges are drawn on the CPU. auto takes CUDA when there."
    )

    @model_validator(mode="after")
    def _closed_form_is_of_second_order(self) -> Self:
        if self.method == "closed_form" and self.order == 1:
            raise ValueError("there is no closed form of first order: set method to 'sampled' or order to 2")
        return self


class AlignmentParameters(Parameters):
    """LightGCN over the mobility graph, aligned to the modalities; defaults as in MoRA's released core."""

    layers: int = Field(2, ge=0, le=16, description="Propagation steps; the embedding is the sum of all of them.")
    learning_rate: float = Field(1e-3, gt=0, description="Step size of AdamW.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant",
        description="constant: one step size throughout, the method's; cosine: it falls to zero with the last epoch.",
    )
    weight_decay: float = Field(1e-3, ge=0, description="Decay of the node table and head weights; biases have none.")
    batch_size: int = Field(20480, ge=2, description="Cells in one step, at most; a smaller region is one batch.")
    maximum_epochs: int = Field(100, ge=1, description="Epochs at most.")
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before training stops.")
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the cells held out of the loss (they stay in the graph)."
    )
    seed: int = Field(0, ge=0, description="Seed of the split, the heads' weights and the order of the cells.")
    anchor: str = Field(MOBILITY, description="Modality that all others are aligned to; mobility is the method's.")
    backend: Literal["auto", "dgl", "torch"] = Field(
        "auto", description="What multiplies graph and vectors: auto is the faster of the two, torch."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train; auto takes CUDA when there.")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="What matrix products are computed in; the method's is float32. Lower ones are faster where the "
        "hardware has them: bfloat16 on CPUs with such units; on CUDA torch computes it as tf32.",
    )
    temperatures: dict[str, PositiveFloat] = Field(
        default={}, description="Temperatures by modality name, instead of those in region.yaml."
    )
    learn_temperatures: bool = Field(
        False, description="Learn each modality's temperature, between 0.01 and 1 as CLIP does; the method's are fixed."
    )
    modalities: list[str] | None = Field(
        default=None, description="Modalities to align, by name; null: all of region.yaml, []: none."
    )

    @field_validator("temperatures")
    @classmethod
    def _no_temperature_for_mobility(cls, temperatures: dict[str, float]) -> dict[str, float]:
        if MOBILITY in temperatures:
            raise ValueError("temperatures belong to the modalities beside mobility; remove the key 'mobility'")
        return temperatures

    def chosen(self, known: Sequence[str]) -> list[str]:
        """The modalities to align, of those that the region has.

        Raises:
            UserError: if `modalities` names another.
        """
        unknown = [name for name in self.modalities or [] if name not in known]
        if unknown:
            raise UserError(
                f"alignment: embeddings.paper.modalities names '{unknown[0]}', but region.yaml has "
                f"{', '.join(known) or 'none'} (mobility is always there)."
            )
        return [name for name in known if self.modalities is None or name in self.modalities]
