"""The embeddings: 128 numbers for every cell, un-normalised, in the order of `cells`.

Source: `graph`, `line_vectors` and the features of the modalities that region.yaml has now. LightGCN over the mobility
graph, aligned to each modality (MoRA). One MLflow run with parameters, loss curves and weights. A run that was killed
goes on where it was, from `checkpoints/<region>` in the home, if neither inputs nor settings have changed.
"""

import dagster as dg

from mora_pipeline import schemas
from mora_pipeline.defs.checks import by_name, no_nan, not_collapsed, one_row_per_cell
from mora_pipeline.defs.metadata import column_schema, picture
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import blocking, step
from mora_pipeline.schemas import CellVectors
from mora_pipeline.training.parameters import AlignmentParameters


class AlignmentConfig(AlignmentParameters, dg.Config):
    """Alignment as Dagster's run config."""


@dg.asset(
    partitions_def=regions,
    deps=["cells", "graph", "line_vectors", "text_features", "image_features", "table_features"],
    group_name="embeddings",
    kinds={"pytorch", "mlflow"},
    pool="gpu",
    description=__doc__,
    metadata=column_schema(schemas.embeddings(schemas.DIMENSION)),
    check_specs=blocking("embeddings", "one_row_per_cell", "no_nan", "not_collapsed"),
)
def embeddings(
    context: dg.AssetExecutionContext, config: AlignmentConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.defs.arrays import embeddings_table
    from mora_pipeline.serving.map import curve_png, region_map_png
    from mora_pipeline.training.checkpoint import Checkpoint, alignment_key
    from mora_pipeline.training.graph import load_adjacency
    from mora_pipeline.training.trainer import Modality, train_alignment

    with step(context, lake) as work:
        table = work.read("cells").table()
        cells = table["cell"].to_numpy()
        adjacency = load_adjacency(work.read("graph").batches, cells)
        line = work.vectors("line_vectors", cells)
        modalities = [
            Modality(name, modality.kind, *work.features(name).on(cells), modality.temperature)
            for name, modality in work.config.modalities.items()
            if name in config.chosen(list(work.config.modalities))
        ]
        key = alignment_key(adjacency, line, modalities, config)
        checkpoint = Checkpoint(work.home / "checkpoints" / work.region / "embeddings", key)
        target = work.begin("embeddings")

        def tell(epoch: dict[str, float]) -> None:
            run.epoch(epoch)
            context.log.info(", ".join(f"{name} {value:.6g}" for name, value in epoch.items()))

        with tracking.run(work, config.model_dump(), checkpoint.notes.get("mlflow_run")) as run:
            checkpoint.notes["mlflow_run"] = run.run_id
            found = train_alignment(adjacency, line, modalities, config, tell, checkpoint)
            run.weights("alignment", found.weights)
        target.write(embeddings_table(table, found.embeddings))
        results = by_name(
            one_row_per_cell(CellVectors(cells, found.embeddings), cells),
            no_nan({"embeddings": found.embeddings}),
            not_collapsed(found.embeddings),
        )
        metadata = {
            "epochs": len(found.history),
            "best_epoch": found.best_epoch,
            "training_seconds": found.seconds,
            "mlflow": dg.MetadataValue.md(run.link()),
            "map": picture(region_map_png(table, found.embeddings), "map"),
        }
        if found.history:
            metadata["loss"] = picture(curve_png(found.history), "loss")
        finished = work.finish(results, metadata, {"mlflow_run": run.run_id, "best_epoch": found.best_epoch})
        checkpoint.clear()
        return finished
