"""The benchmark: R² of MoRA and of what it must beat, on the region's tasks.

Source: `embeddings`, `distilled_encoder`, `line_vectors`, features, `cells` and the labels that region.yaml names.
Published protocol and folds of whole blocks. Written as `benchmark` (rows) and `report` (a page); one MLflow run.
Scores are kept under $MORA_HOME/cache/scores: a run that was stopped goes on, and one of the same data costs no fit.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from mora_pipeline import schemas
from mora_pipeline.defs.checks import Vectors, by_name, result
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.progress import log_progress
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.evaluation.parameters import BenchmarkParameters

if TYPE_CHECKING:
    from mora_pipeline.tracking import TrackedRun


class BenchmarkConfig(BenchmarkParameters, dg.Config):
    """The benchmark's protocol as Dagster's run config."""


@dg.asset(
    partitions_def=regions,
    deps=["embeddings", "distilled_encoder", "line_vectors", *("text_features", "image_features", "table_features")],
    group_name="evaluation",
    kinds={"lightgbm", "mlflow"},
    description=__doc__,
    metadata=column_schema(schemas.BENCHMARK),
    check_specs=blocking("benchmark", "every_method_scored"),
)
def benchmark(
    context: dg.AssetExecutionContext, config: BenchmarkConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.evaluation.kept_scores import KeptScores
    from mora_pipeline.evaluation.protocol import run_benchmark
    from mora_pipeline.evaluation.report import markdown_table
    from mora_pipeline.evaluation.tasks import load_tasks

    with step(context, lake) as work:
        cells = work.read("cells").table()
        tasks = load_tasks(work.config, cells)
        methods = vectors_by_method(work, cells, config.raw_components)
        report, target = work.begin("report"), work.begin("benchmark")
        with tracking.run(work, config.model_dump()) as run:
            kept = KeptScores(work.home / "cache" / "scores")
            table = run_benchmark(methods, tasks, config, log_progress(context, "fits"), kept)
            kept.forget()
            target.write(table)
            page = write_page(work, table, cells, methods["mora"], report.path)
            log_scores(run, table)
            run.file(page)
        metadata = {
            "table": dg.MetadataValue.md(markdown_table(table)),
            "tasks": len(tasks),
            "labels": {task.name: len(task.target) for task in tasks},
            "labels_dropped": {task.name: dict(task.reasons) for task in tasks if task.dropped},
            "report": dg.MetadataValue.path(str(report.path.with_name(report.version) / page.name)),
            "mlflow": dg.MetadataValue.md(run.link()),
        }
        return work.finish(by_name(every_method_scored(table, list(methods))), metadata, {"mlflow_run": run.run_id})


def vectors_by_method(work: Step, cells: pa.Table, raw_components: int) -> dict[str, Any]:
    """What is compared, [N, d] each in the order of `cells`; `raw` only where there is a modality beside mobility."""
    from mora_pipeline.evaluation.baselines import coordinate_features, raw_features

    order = cells["cell"].to_numpy()
    datasets = {"mora": "embeddings", "distilled": "distilled_encoder", "line": "line_vectors"}
    methods: dict[str, Any] = {name: work.vectors(dataset, order) for name, dataset in datasets.items()}
    if work.config.modalities:
        features = [work.features(name).on(order) for name in work.config.modalities]
        methods["raw"] = raw_features(features, raw_components)
    methods["coordinates"] = coordinate_features(cells)
    return methods


def write_page(work: Step, table: pa.Table, cells: pa.Table, embeddings: Vectors, folder: Path) -> Path:
    """The report: the table, a map, and what it was made from; returns the path of its page."""
    from mora_pipeline.evaluation.report import write_report
    from mora_pipeline.serving.map import region_map_png

    details = {
        "resolution": work.config.resolution,
        "cells": len(cells),
        "modalities": {name: item.kind for name, item in work.config.modalities.items()} or "none",
        "distilled encoder": work.inputs["distilled_encoder"].details.get("scores", {}),
        "versions": {name: version.version for name, version in work.inputs.items()},
    }
    return write_report(folder, work.region, table, details, {"map": region_map_png(cells, embeddings)})


def every_method_scored(table: pa.Table, methods: list[str]) -> dg.AssetCheckResult:
    """All methods have a score for the same trials: none is favoured by what it was not asked."""
    scored: dict[str, set[tuple[Any, ...]]] = {name: set() for name in methods}
    for row in table.to_pylist():
        if row["r2"] is not None:
            scored[row["method"]].add((row["task"], row["split"], row["seed"], row["model"]))
    numbers = {f"{name}_scores": len(trials) for name, trials in scored.items()}
    return result("every_method_scored", len({frozenset(trials) for trials in scored.values()}) <= 1, **numbers)


def log_scores(run: "TrackedRun", table: pa.Table) -> None:
    """R² of every method, by task, split and model, averaged over seeds."""
    from mora_pipeline.promotion import mean_scores

    for method in dict.fromkeys(table["method"].to_pylist()):
        scores = mean_scores(table, method)
        run.metrics({f"r2/{method}/{name.replace('|', '/')}": value for name, value in scores.items()})
