"""LINE vectors of the cells, learned from all edges; the alignment of the preset `paper` starts from them.

The preset `mora` trains its own. Source: `edges` (in full, not the sampled graph) and `cells`. One MLflow run. Skipped
without mobility.
"""

from functools import partial

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.presets.paper.parameters import LineParameters
from mora_pipeline.region import NO_MOBILITY
from mora_pipeline.steps.checks import no_nan, one_row_per_cell
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import Markdown, StepResult


def run(region: RegionRun, settings: LineParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Train LINE on the region's edges; skipped where it has no mobility."""
    if region.config.mobility is None:
        return region.skip(NO_MOBILITY)
    from mora_pipeline.lake.reading import edge_rows
    from mora_pipeline.presets.paper.line import train_line

    cells = region.cells()
    edges = edge_rows(region.read("edges"), cells)
    target, history = region.begin("line_vectors"), list[dict[str, float]]()
    show = partial(progress, "edges drawn")

    def record(done: int, total: int, loss: float) -> None:
        show(done, total, loss)
        history.append({"epoch": float(len(history)), "loss": loss})
        tracked.epoch(history[-1])

    with tracker.run(settings.model_dump()) as tracked:
        line = train_line(edges.origin, edges.destination, edges.flow, len(cells), settings, record)
    vectors = CellVectors(cells, line)
    target.write(vectors.to_table())
    metadata = {
        "edges": len(edges.flow),
        "last_loss": history[-1]["loss"] if history else "none",
        "mlflow": Markdown(tracked.link()),
    }
    checks = [one_row_per_cell(vectors, cells), no_nan({"line": vectors.vectors})]
    return region.finish(checks, metadata, {"mlflow_run": tracked.run_id})


LINE_VECTORS = Step(
    "line_vectors",
    run,
    __doc__,
    inputs=("edges", "cells"),
    group="embeddings",
    kinds=frozenset({"pytorch", "mlflow"}),
    settings=LineParameters,
    columns=schemas.VECTORS,
    checks=("one_row_per_cell", "no_nan"),
    pool="gpu",
    code_version="1",
)
