"""The benchmark: R² of the embeddings and of what they must beat, on the region's tasks.

Source: `embeddings`, `distilled_encoder`, `line_vectors`, features, `edges`, `cells` and the labels that region.yaml
names. Written as `benchmark` (rows), `intervals` (how sure), `predictions` and `report` (a page); one MLflow run.
Predictions are kept under $MORA_HOME/cache: a run that was stopped goes on, and one of the same data costs no fit.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.lake import Version
from mora_pipeline.steps.features import features_names
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import Check, Markdown, StepResult

if TYPE_CHECKING:
    from mora_pipeline.evaluation.benchmark import Judged
    from mora_pipeline.evaluation.methods import Inputs
    from mora_pipeline.evaluation.report import ReportData
    from mora_pipeline.tracking import TrackedRun


def run(region: RegionRun, settings: BenchmarkParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Judge the region's vectors on its tasks and write the scores, intervals, predictions and the report."""
    from mora_pipeline.evaluation.benchmark import judge
    from mora_pipeline.evaluation.labels.files import label_digests
    from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays
    from mora_pipeline.evaluation.report import markdown_report, write_report

    inputs = inputs_of(region, settings.raw_components)
    sources = {name: other_inputs(region, name) for name in settings.transfer_from}
    kept = KeptArrays(region.home / "cache" / "scores")
    labels = label_digests(region.config)
    for name, source in sources.items():
        labels |= {f"{name}/{path}": digest for path, digest in label_digests(source.reader.config).items()}
    found = judge(inputs, settings, sources, partial(progress, "fits"), kept)
    for cache in (kept, KeptArrays(inputs.cache)):
        cache.forget()
    embeddings = region.read("embeddings")  # drawn as a map
    drafts = {name: region.begin(name) for name in ("predictions", "intervals", "report", "benchmark")}
    for name, table in (("predictions", found.predictions), ("intervals", found.intervals)):
        drafts[name].write(table)
    drafts["benchmark"].write(found.scores)
    told = found.parameters.model_dump(mode="json")
    data = report_data(region, found, facts_of(region, inputs, found, sources, labels), embeddings)
    with tracker.run(told) as tracked:
        page = write_report(drafts["report"].path, data)
        log_scores(tracked, found.scores)
        tracked.file(page)
    report = drafts["report"]
    metadata = {
        "table": Markdown(markdown_report(data)),
        "tasks": len(found.tasks),
        "labels": {task.name: len(task.target) for task in found.tasks},
        "labels_dropped": {task.name: dict(task.reasons) for task in found.tasks if task.dropped},
        "refused": {task.name: task.refused for task in found.tasks if task.refused},
        "report": report.path.with_name(report.version) / page.name,
        "mlflow": Markdown(tracked.link()),
    }
    details = {"mlflow_run": tracked.run_id, "parameters": told, "facts": data.details, "tasks": data.tasks}
    return region.finish([every_method_scored(found.scores)], metadata, details)


def inputs_of(region: RegionRun, raw_components: int) -> "Inputs":
    """What methods may look at, in the step's own region."""
    from mora_pipeline.evaluation.methods import Inputs

    return Inputs(region, raw_components, region.home / "cache" / "vectors")


def other_inputs(region: RegionRun, name: str) -> "Inputs":
    """What methods may look at in another region, whose features stay as wide as they are: both must be alike.

    Raises:
        UserError: if there is no such region.
    """
    from mora_pipeline.evaluation.methods import Inputs
    from mora_pipeline.lake.reading import RegionReader

    reader = RegionReader(region.session.region(name), region.lake)
    return Inputs(reader, 0, region.home / "cache" / "vectors")


def report_data(region: RegionRun, found: "Judged", facts: Mapping[str, Any], embeddings: Version) -> "ReportData":
    """What the report shows: tables, pictures, and what it was made from."""
    from mora_pipeline.evaluation.report import ReportData
    from mora_pipeline.evaluation.report.data import ablations_of, map_of
    from mora_pipeline.evaluation.report.task_part import task_facts

    return ReportData(
        region=region.region,
        scores=found.scores,
        intervals=found.intervals,
        predictions=found.predictions,
        tasks=task_facts(region.config, found.tasks),
        parameters=found.parameters,
        published=region.config.published,
        details=facts,
        pictures=map_of(embeddings),
        **ablations_of(region.lake, region.region),
    )


def facts_of(
    region: RegionRun, own: "Inputs", found: "Judged", sources: Mapping[str, "Inputs"], labels: Mapping[str, str]
) -> dict[str, Any]:
    """What a reader must know to repeat the benchmark, by label: data, versions, code and libraries that judged.

    Args:
        labels: digest of each task's labels, read before they were judged.
    """
    from mora_pipeline.evaluation.ablation.graphs import pieces
    from mora_pipeline.evaluation.report.provenance import provenance

    encoder, (count, largest) = region.inputs.get("distilled_encoder"), pieces(own.edges, len(own.cells))
    regions = {"": region.inputs, **{name: source.reader.inputs for name, source in sources.items()}}
    versions = {
        f"{region}/{name}" if region else name: version.version
        for region, inputs in regions.items()
        for name, version in inputs.items()
    }
    return {
        "preset": region.inputs["embeddings"].details.get("preset"),
        "resolution": region.config.resolution,
        "cells": len(own.cells),
        "flows": {"unconnected pieces": count, "share of cells in the largest": largest},
        "modalities": {name: item.kind for name, item in region.config.modalities.items()} or "none",
        "distilled encoder": encoder.details.get("scores", {}) if encoder else {},
        "versions": versions,
        "labels, first 16 digits of SHA-256": dict(labels),
        **({"not transferred from": found.not_transferred} if found.not_transferred else {}),
        **provenance(),
    }


def every_method_scored(table: pa.Table) -> Check:
    """All methods have a finite score for the same trials within the region: none is favoured by being asked less."""
    scored = scored_trials(table, "method")
    numbers = {f"{name}_scores": len(trials) for name, trials in scored.items()}
    finite = all(map(math.isfinite, table["r2"].drop_null().to_pylist()))
    alike = len({frozenset(trials) for trials in scored.values()}) <= 1
    return Check("every_method_scored", alike and finite, numbers)


def scored_trials(table: pa.Table, column: str) -> dict[str, set[tuple[Any, ...]]]:
    """Task, split, seed and model of what has a score within the region, by the value of a column."""
    scored: dict[str, set[tuple[Any, ...]]] = {}
    for row in table.to_pylist():
        trials = scored.setdefault(row[column], set())
        if row["r2"] is not None and not row["split"].startswith("from_"):  # not every method can be transferred
            trials.add((row["task"], row["split"], row["seed"], row["model"]))
    return scored


def log_scores(run: "TrackedRun", table: pa.Table) -> None:
    """R² of every method, by task, split and model, averaged over seeds."""
    from mora_pipeline.evaluation.promotion import mean_scores

    for method in dict.fromkeys(table["method"].to_pylist()):
        scores = mean_scores(table, method)
        name = method.replace(":", "_")
        run.metrics({f"r2/{name}/{what.replace('|', '/')}": value for what, value in scores.items()})


def benchmark_step() -> Step:
    """The step `benchmark`, which reads the features of every kind of modality."""
    return Step(
        "benchmark",
        run,
        __doc__,
        inputs=("edges", "cells", *features_names(), "line_vectors", "embeddings", "distilled_encoder"),
        group="evaluation",
        kinds=frozenset({"lightgbm", "mlflow"}),
        settings=BenchmarkParameters,
        columns=schemas.BENCHMARK,
        checks=("every_method_scored",),
        pool="gpu",
    )
