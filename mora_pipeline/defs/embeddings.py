"""The embeddings: 128 numbers for every cell, un-normalised, in the order of `cells`.

Source: `graph`, `line_vectors` and the features of the modalities that region.yaml has now. Preset `paper`: LightGCN
over the mobility graph, aligned to each modality (MoRA); a run that was killed goes on where it was, from
`checkpoints/<region>` in the home, if neither inputs nor settings have changed. Preset `inductive`: a function of each
cell's features, flows and surroundings, from `edges`; it can be another region's (`encoder`). Without either in the
run config, `embeddings` of region.yaml says which, else it is `paper`. One MLflow run with parameters, loss curves and
weights.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.defs.checks import by_name, no_nan, not_collapsed, one_row_per_cell
from mora_pipeline.defs.inductive import Embedded, InductiveConfig, embedded_by, trained_here
from mora_pipeline.defs.metadata import column_schema, picture
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.region import RegionConfig

if TYPE_CHECKING:
    from mora_pipeline.presets.paper.checkpoint import Checkpoint

Vectors = npt.NDArray[np.float32]


class EmbeddingsConfig(AlignmentParameters, dg.Config):
    """How cells are embedded, as Dagster's run config; the keys beside the first three belong to the preset `paper`."""

    preset: Literal["declared", "paper", "inductive"] = Field(
        "declared",
        description="declared: as `embeddings` of region.yaml says, else paper; paper: MoRA's table of node vectors, "
        "trained by alignment; inductive: an encoder of features, flows and surroundings, which can embed other "
        "regions too.",
    )
    encoder: str | None = Field(
        None,
        description="Region whose inductive encoder embeds this one, in its vector space; the embeddings are not "
        "trained then.",
    )
    inductive: InductiveConfig = Field(InductiveConfig(), description="The encoder of the preset inductive.")


@dataclass(frozen=True)
class Choice:
    """What makes the vectors: a preset, the region of an encoder if it is another's, and who said so."""

    preset: str
    encoder: str | None
    why: str

    def __str__(self) -> str:
        return f"preset {self.preset}{f', encoder of {self.encoder}' if self.encoder else ''}: {self.why}"


def choice(preset: str, encoder: str | None, region: RegionConfig) -> Choice:
    """What a run config and a region.yaml come to; the run config wins, as a whole.

    Raises:
        UserError: if the run config wants preset paper and an encoder.
    """
    if preset == "paper" and encoder:
        raise UserError(
            f"embeddings.preset is 'paper' and embeddings.encoder is '{encoder}', but an encoder is of preset "
            "inductive. Set one of the two."
        )
    why = "the run config says so"
    if preset == "declared" and encoder is None:
        declared = region.embeddings
        preset, encoder = declared.preset or "paper", declared.encoder
        said = declared.preset or declared.encoder
        why = f"{region.file} says so" if said else f"neither the run config nor {region.file} says otherwise"
    return Choice("inductive" if encoder else preset, encoder, why)


@dg.asset(
    partitions_def=regions,
    deps=["cells", "edges", "graph", "line_vectors", "text_features", "image_features", "table_features"],
    group_name="embeddings",
    kinds={"pytorch", "mlflow"},
    pool="gpu",
    description=__doc__,
    metadata=column_schema(schemas.embeddings(schemas.DIMENSION)),
    check_specs=blocking("embeddings", "one_row_per_cell", "no_nan", "not_collapsed"),
)
def embeddings(
    context: dg.AssetExecutionContext, config: EmbeddingsConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    with step(context, lake) as work:
        chosen = choice(config.preset, config.encoder, work.config)
        context.log.info(f"Embeddings by {chosen}.")
        if chosen.encoder:
            return published(work, *embedded_by(work, chosen.encoder))
        if chosen.preset == "inductive":
            return published(work, *trained_here(work, config.inductive, tracking))
        parameters = AlignmentParameters(**config.model_dump(include=set(AlignmentParameters.model_fields)))
        made, checkpoint = aligned(work, parameters, tracking)
        finished = published(work, *made)
        if work.published:
            checkpoint.clear()
        return finished


def aligned(work: Step, parameters: AlignmentParameters, tracking: Tracking) -> tuple[Embedded, "Checkpoint"]:
    """Train the paper's table of node vectors; returns it, and where its state is kept until it is published."""
    from mora_pipeline.modalities import LoadedModality
    from mora_pipeline.plots import curve_png
    from mora_pipeline.presets.paper.checkpoint import Checkpoint, alignment_key
    from mora_pipeline.presets.paper.graph import load_adjacency
    from mora_pipeline.presets.paper.trainer import train_alignment

    table = work.read("cells").table()
    cells = table["cell"].to_numpy()
    adjacency = load_adjacency(work.read("graph").batches, cells)
    line = work.vectors("line_vectors", cells)
    chosen = parameters.chosen(list(work.config.modalities))
    modalities = [LoadedModality.read(work, name, cells) for name in work.config.modalities if name in chosen]
    key = alignment_key(adjacency, line, modalities, parameters)
    checkpoint = Checkpoint(work.home / "checkpoints" / work.region / "embeddings", key)

    def tell(epoch: dict[str, float]) -> None:
        run.epoch(epoch)
        work.context.log.info(", ".join(f"{name} {value:.6g}" for name, value in epoch.items()))

    told = {"preset": "paper", **parameters.model_dump()}
    with tracking.run(work, told, checkpoint.notes.get("mlflow_run")) as run:
        checkpoint.notes["mlflow_run"] = run.run_id
        found = train_alignment(adjacency, line, modalities, parameters, tell, checkpoint)
        run.weights("alignment", found.weights)
    metadata: dict[str, Any] = {
        "epochs": len(found.history),
        "best_epoch": found.best_epoch,
        "training_seconds": found.seconds,
        "mlflow": dg.MetadataValue.md(run.link()),
    }
    if found.history:
        metadata["loss"] = picture(curve_png(found.history), "loss")
    details = {"preset": "paper", "mlflow_run": run.run_id, "best_epoch": found.best_epoch}
    return (table, found.embeddings, metadata, details), checkpoint


def published(
    work: Step, table: pa.Table, vectors: Vectors, metadata: dict[str, Any], details: dict[str, Any]
) -> dg.MaterializeResult:
    """Check the vectors of all cells and publish them, with what was begun before."""
    from mora_pipeline.defs.arrays import embeddings_table
    from mora_pipeline.plots import region_map_png

    cells = table["cell"].to_numpy()
    work.begin("embeddings").write(embeddings_table(table, vectors))
    results = by_name(
        one_row_per_cell(CellVectors(cells, vectors), cells),
        no_nan({"embeddings": vectors}),
        not_collapsed(vectors),
    )
    shown = {"preset": details["preset"], "map": picture(region_map_png(table, vectors), "map")}
    return work.finish(results, {**metadata, **shown}, details)
