"""The distilled encoder: a network from any coordinate to an embedding.

Source: `embeddings`. Spherical harmonics, then an MLP, fitted to the embeddings at the cells' centres; a tenth of the
cells is held out. The rows are its answers for every cell; `encoder.safetensors` and `encoder.json` are beside them,
and the model is registered with MLflow as `mora_<region>`.
"""

import math
from typing import Any

import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.distillation.parameters import DistillParameters
from mora_pipeline.steps.checks import no_nan, one_row_per_cell
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import Markdown, Picture, StepResult

HELD_OUT = pa.field("held_out", pa.bool_(), nullable=False)


def run(region: RegionRun, settings: DistillParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Fit the network to the region's embeddings, and register it if its checks pass."""
    from mora_pipeline.distillation.coordinate_encoder import save_encoder
    from mora_pipeline.distillation.distill import train_distilled
    from mora_pipeline.plots import curve_png
    from mora_pipeline.serving.pyfunc import register_encoder

    table = region.read("embeddings").table()
    teacher = CellVectors.from_table(table)
    target = region.begin("distilled_encoder")
    with tracker.run(settings.model_dump()) as tracked:
        latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
        fitted = train_distilled(latitude, longitude, teacher.vectors, settings, lambda epoch: tracked.epoch(epoch))
        student = CellVectors(teacher.cells, fitted.predicted)
        target.write(student.to_table().append_column(HELD_OUT, pa.array(fitted.held_out)))
        save_encoder(fitted.encoder, target.path)
        tracked.metrics(fitted.scores)
        checks = [one_row_per_cell(student, teacher.cells), no_nan({"distilled": student.vectors})]
        # A held-out set of equal embeddings has no R².
        scores = {name: value if math.isfinite(value) else None for name, value in fitted.scores.items()}
        details: dict[str, Any] = {"mlflow_run": tracked.run_id, "scores": scores}
        if region.passes(checks):
            details["model_version"] = register_encoder(target.path, f"mora_{region.region}")
    shown = {name: "none" if value is None else value for name, value in scores.items()}
    link, version = Markdown(tracked.link()), details.get("model_version", "none")
    metadata: dict[str, Any] = {**shown, "mlflow": link, "model_version": version}
    if fitted.history:
        metadata["scores"] = Picture(curve_png(fitted.history), "R² by epoch")
    return region.finish(checks, metadata, details)


DISTILLED_ENCODER = Step(
    "distilled_encoder",
    run,
    __doc__,
    inputs=("embeddings",),
    group="embeddings",
    kinds=frozenset({"pytorch", "mlflow"}),
    settings=DistillParameters,
    columns=schemas.VECTORS.append(HELD_OUT),
    checks=("one_row_per_cell", "no_nan"),
    code_version="1",
)
