"""The distilled encoder: a network from any coordinate to an embedding.

Source: `embeddings`. Spherical harmonics, then an MLP, fitted to the embeddings at the cells' centres; a tenth of the
cells is held out. The rows are its answers for every cell; `encoder.safetensors` and `encoder.json` lie beside them,
and the model is registered with MLflow as `mora_<region>`.
"""

import math
from typing import Any

import dagster as dg
import pyarrow as pa

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.defs.checks import by_name, no_nan, one_row_per_cell
from mora_pipeline.defs.metadata import VECTORS, column_schema, picture
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import blocking, step
from mora_pipeline.presets.paper.parameters import DistillParameters

HELD_OUT = pa.field("held_out", pa.bool_(), nullable=False)


class DistillConfig(DistillParameters, dg.Config):
    """Distillation as Dagster's run config."""


@dg.asset(
    partitions_def=regions,
    deps=["embeddings"],
    group_name="embeddings",
    kinds={"pytorch", "mlflow"},
    pool="gpu",
    description=__doc__,
    metadata=column_schema(VECTORS.append(HELD_OUT)),
    check_specs=blocking("distilled_encoder", "one_row_per_cell", "no_nan"),
)
def distilled_encoder(
    context: dg.AssetExecutionContext, config: DistillConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.distillation.distill import save_encoder, train_distilled
    from mora_pipeline.plots import curve_png
    from mora_pipeline.serving.pyfunc import register_encoder

    with step(context, lake) as work:
        table = work.read("embeddings").table()
        teacher = CellVectors.from_table(table)
        target = work.begin("distilled_encoder")
        with tracking.run(work, config.model_dump()) as run:
            latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
            found = train_distilled(latitude, longitude, teacher.vectors, config, lambda epoch: run.epoch(epoch))
            student = CellVectors(teacher.cells, found.predicted)
            target.write(student.to_table().append_column(HELD_OUT, pa.array(found.held_out)))
            save_encoder(found.encoder, target.path)
            run.metrics(found.scores)
            results = by_name(one_row_per_cell(student, teacher.cells), no_nan({"distilled": student.vectors}))
            # A held-out set of equal embeddings has no R².
            scores = {name: value if math.isfinite(value) else None for name, value in found.scores.items()}
            details: dict[str, Any] = {"mlflow_run": run.run_id, "scores": scores}
            if work.sound(results):
                details["model_version"] = register_encoder(target.path, f"mora_{work.region}")
        shown = {name: "none" if value is None else value for name, value in scores.items()}
        link, version = dg.MetadataValue.md(run.link()), details.get("model_version", "none")
        metadata: dict[str, Any] = {**shown, "mlflow": link, "model_version": version}
        if found.history:
            metadata["scores"] = picture(curve_png(found.history), "R² by epoch")
        return work.finish(results, metadata, details)
