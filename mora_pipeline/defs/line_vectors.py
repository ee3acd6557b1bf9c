"""LINE vectors of the cells, learned from all edges; alignment starts from them.

Source: `edges` (in full, not the sampled graph) and `cells`. One MLflow run.
"""

import dagster as dg
from pydantic import Field

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.defs.checks import by_name, no_nan, one_row_per_cell
from mora_pipeline.defs.metadata import VECTORS, column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.progress import log_progress
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import blocking, step
from mora_pipeline.presets.paper.parameters import LineParameters


class LineConfig(LineParameters, dg.Config):
    """LINE as Dagster's run config."""

    # Dagster knows no literals but text.
    order: int = Field(2, ge=1, le=2, description="Proximity that LINE keeps: 2 is the method's, 1 an option.")  # type: ignore[assignment]


@dg.asset(
    partitions_def=regions,
    deps=["edges", "cells"],
    group_name="embeddings",
    kinds={"pytorch", "mlflow"},
    pool="gpu",
    description=__doc__,
    metadata=column_schema(VECTORS),
    check_specs=blocking("line_vectors", "one_row_per_cell", "no_nan"),
)
def line_vectors(
    context: dg.AssetExecutionContext, config: LineConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.lake.reading import edge_rows
    from mora_pipeline.presets.paper.line import train_line

    with step(context, lake) as work:
        cells = work.cells()
        edges = edge_rows(work.read("edges"), cells)
        target = work.begin("line_vectors")
        log, history = log_progress(context, "edges drawn"), list[dict[str, float]]()

        def tell(done: int, total: int, loss: float) -> None:
            log(done, total, loss)
            history.append({"epoch": float(len(history)), "loss": loss})
            run.epoch(history[-1])

        with tracking.run(work, config.model_dump()) as run:
            vectors = CellVectors(
                cells, train_line(edges.origin, edges.destination, edges.flow, len(cells), config, tell)
            )
        target.write(vectors.to_table())
        results = by_name(one_row_per_cell(vectors, cells), no_nan({"line": vectors.vectors}))
        metadata = {
            "edges": len(edges.flow),
            "last_loss": history[-1]["loss"] if history else "none",
            "mlflow": dg.MetadataValue.md(run.link()),
        }
        return work.finish(results, metadata, {"mlflow_run": run.run_id})
