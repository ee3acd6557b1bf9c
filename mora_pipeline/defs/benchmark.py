"""The benchmark: R² of the embeddings and of what they must beat, on the region's tasks.

Source: `embeddings`, `distilled_encoder`, `line_vectors`, features, `edges`, `cells` and the labels that region.yaml
names. Written as `benchmark` (rows), `intervals` (how sure), `predictions` and `report` (a page); one MLflow run.
Predictions are kept under $MORA_HOME/cache: a run that was stopped goes on, and one of the same data costs no fit.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.defs.checks import by_name, result
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.progress import log_progress
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.lake import Version

if TYPE_CHECKING:
    from mora_pipeline.evaluation.benchmark import BenchmarkResult
    from mora_pipeline.evaluation.methods.interface import MethodContext
    from mora_pipeline.evaluation.report.data import ReportData
    from mora_pipeline.tracking import TrackedRun


class BenchmarkConfig(BenchmarkParameters, dg.Config):
    """The benchmark's methods and protocols as Dagster's run config."""


@dg.asset(
    partitions_def=regions,
    deps=[
        *("edges", "cells", "text_features", "image_features", "table_features"),
        *("line_vectors", "embeddings", "distilled_encoder"),
    ],
    group_name="evaluation",
    pool="gpu",
    kinds={"lightgbm", "mlflow"},
    description=__doc__,
    metadata=column_schema(schemas.BENCHMARK),
    check_specs=blocking("benchmark", "every_method_scored"),
)
def benchmark(
    context: dg.AssetExecutionContext, config: BenchmarkConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.evaluation.benchmark import evaluate
    from mora_pipeline.evaluation.cache import ArrayCache
    from mora_pipeline.evaluation.labels.files import label_digests
    from mora_pipeline.evaluation.report.markdown import markdown_report
    from mora_pipeline.evaluation.report.page import write_report

    with step(context, lake) as work:
        inputs = inputs_of(work, config.raw_components)
        sources = {name: other_inputs(work, lake, name) for name in config.transfer_from}
        kept = ArrayCache(work.home / "cache" / "scores")
        labels = label_digests(work.config)
        for name, source in sources.items():
            labels |= {f"{name}/{path}": digest for path, digest in label_digests(source.reader.config).items()}
        found = evaluate(inputs, config, sources, log_progress(context, "fits"), kept)
        for cache in (kept, ArrayCache(inputs.cache)):
            cache.delete_unused()
        embeddings = work.read("embeddings")  # drawn as a map
        drafts = {name: work.begin(name) for name in ("predictions", "intervals", "report", "benchmark")}
        for name, table in (("predictions", found.predictions), ("intervals", found.intervals)):
            drafts[name].write(table)
        drafts["benchmark"].write(found.scores)
        told = found.parameters.model_dump(mode="json")
        data = report_data(work, found, facts_of(work, inputs, found, sources, labels), embeddings)
        with tracking.run(work, told) as run:
            page = write_report(drafts["report"].path, data)
            log_scores(run, found.scores)
            run.file(page)
        report = drafts["report"]
        metadata = {
            "table": dg.MetadataValue.md(markdown_report(data)),
            "tasks": len(found.tasks),
            "labels": {task.name: len(task.target) for task in found.tasks},
            "labels_dropped": {task.name: dict(task.reasons) for task in found.tasks if task.dropped},
            "refused": {task.name: task.refused for task in found.tasks if task.refused},
            "report": dg.MetadataValue.path(str(report.path.with_name(report.version) / page.name)),
            "mlflow": dg.MetadataValue.md(run.link()),
        }
        checks = by_name(every_method_scored(found.scores))
        details = {"mlflow_run": run.run_id, "parameters": told, "facts": data.details, "tasks": data.tasks}
        return work.finish(checks, metadata, details)


def inputs_of(work: Step, raw_components: int) -> "MethodContext":
    """What methods may look at, in the step's own region."""
    from mora_pipeline.evaluation.methods.interface import MethodContext

    return MethodContext(work, raw_components, work.home / "cache" / "vectors")


def other_inputs(work: Step, home: LakeResource, region: str) -> "MethodContext":
    """What methods may look at in another region, whose features stay as wide as they are: both must be alike.

    Raises:
        UserError: if there is no such region.
    """
    from mora_pipeline.evaluation.methods.interface import MethodContext
    from mora_pipeline.lake.reading import RegionReader

    reader = RegionReader(home.region(region), work.lake)
    return MethodContext(reader, 0, work.home / "cache" / "vectors")


def report_data(work: Step, found: "BenchmarkResult", facts: Mapping[str, Any], embeddings: Version) -> "ReportData":
    """What the report shows: tables, pictures, and what it was made from."""
    from mora_pipeline.evaluation.report.data import ReportData
    from mora_pipeline.evaluation.report.data import ablations_of, map_of
    from mora_pipeline.evaluation.report.tables import task_facts

    return ReportData(
        region=work.region,
        scores=found.scores,
        intervals=found.intervals,
        predictions=found.predictions,
        tasks=task_facts(work.config, found.tasks),
        parameters=found.parameters,
        reported_scores=work.config.published,
        details=facts,
        pictures=map_of(embeddings),
        **ablations_of(work.lake, work.region),
    )


def facts_of(
    work: Step, own: "MethodContext", found: "BenchmarkResult", sources: Mapping[str, "MethodContext"], labels: Mapping[str, str]
) -> dict[str, Any]:
    """What a reader must know to repeat the benchmark, by label: data, versions, code and libraries that judged.

    Args:
        labels: digest of each task's labels, read before they were judged.
    """
    from mora_pipeline.evaluation.methods.flows import pieces
    from mora_pipeline.evaluation.report.data import provenance

    encoder, (count, largest) = work.lineage.get("distilled_encoder"), pieces(own.edges, len(own.cells))
    regions = {"": work.lineage, **{name: source.reader.lineage for name, source in sources.items()}}
    versions = {
        f"{region}/{name}" if region else name: version.version
        for region, inputs in regions.items()
        for name, version in inputs.items()
    }
    return {
        "preset": work.lineage["embeddings"].details.get("preset"),
        "resolution": work.config.resolution,
        "cells": len(own.cells),
        "flows": {"unconnected pieces": count, "share of cells in the largest": largest},
        "modalities": {name: item.kind for name, item in work.config.modalities.items()} or "none",
        "distilled encoder": encoder.details.get("scores", {}) if encoder else {},
        "versions": versions,
        "labels, first 16 digits of SHA-256": dict(labels),
        **({"not transferred from": found.not_transferred} if found.not_transferred else {}),
        **provenance(),
    }


def every_method_scored(table: pa.Table) -> dg.AssetCheckResult:
    """All methods have a finite score for the same trials within the region: none is favoured by being asked less."""
    from mora_pipeline.evaluation.protocol.scores import scored_trials

    scored = scored_trials(table, "method")
    numbers = {f"{name}_scores": len(trials) for name, trials in scored.items()}
    finite = all(map(math.isfinite, table["r2"].drop_null().to_pylist()))
    alike = len({frozenset(trials) for trials in scored.values()}) <= 1
    return result("every_method_scored", alike and finite, **numbers)


def log_scores(run: "TrackedRun", table: pa.Table) -> None:
    """R² of every method, by task, split and model, averaged over seeds."""
    from mora_pipeline.evaluation.protocol.scores import mean_scores

    for method in dict.fromkeys(table["method"].to_pylist()):
        scores = mean_scores(table, method)
        name = method.replace(":", "_")
        run.metrics({f"r2/{name}/{what.replace('|', '/')}": value for what, value in scores.items()})
