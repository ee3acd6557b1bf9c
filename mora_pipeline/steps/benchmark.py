"""The benchmark: R² of the embeddings and of what they must beat, on the region's tasks.

Source: `embeddings`, `distilled_encoder`, `line_vectors`, features, `edges`, `cells` and the labels that region.yaml
names. Written as `benchmark` (rows), `intervals` (how sure), `predictions` and `report` (a page); one MLflow run.
Predictions are cached under $MORA_HOME/cache: a run that was stopped goes on, and one of the same data costs no fit.
"""

import math
from functools import partial

import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.protocol.metrics import METRICS, Metric
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.modalities import kinds
from mora_pipeline.presets.registry import presets
from mora_pipeline.steps.features import features_names
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker, code_version
from mora_pipeline.steps.results import Check, Markdown, StepResult


def run(region: RegionRun, settings: BenchmarkParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Score the region's vectors on its tasks and write the scores, intervals, predictions and the report."""
    from mora_pipeline.evaluation.benchmark import evaluate
    from mora_pipeline.evaluation.cache import ArrayCache
    from mora_pipeline.evaluation.labels.files import label_digests
    from mora_pipeline.evaluation.methods.interface import MethodContext
    from mora_pipeline.evaluation.protocol.scores import metrics_by_name
    from mora_pipeline.evaluation.report.data import benchmark_facts, report_data
    from mora_pipeline.evaluation.report.markdown import markdown_report
    from mora_pipeline.evaluation.report.page import write_report

    vectors = ArrayCache(region.home / "cache" / "vectors" / region.region)
    context = MethodContext(region, settings.raw_components, vectors.folder)
    sources = {  # their features stay as wide as they are, so that both regions have the same numbers
        name: MethodContext(region.other(name), 0, vectors.folder) for name in settings.transfer_from
    }
    scores = ArrayCache(region.home / "cache" / "scores" / region.region)
    labels = label_digests(region.config)  # before the labels are read
    for name, source in sources.items():
        labels |= {f"{name}/{path}": digest for path, digest in label_digests(source.reader.config).items()}
    result = evaluate(context, settings, sources, partial(progress, "fits"), scores)
    for cache in (scores, vectors):
        cache.delete_unused()
    embeddings = region.read("embeddings")  # drawn as a map
    drafts = {name: region.begin(name) for name in ("predictions", "intervals", "report", "benchmark")}
    for name, table in (("predictions", result.predictions), ("intervals", result.intervals)):
        drafts[name].write(table)
    drafts["benchmark"].write(result.scores)
    parameters = result.parameters.model_dump(mode="json")
    data = report_data(context, result, benchmark_facts(context, result, sources, labels), embeddings)
    with tracker.run(parameters) as tracked:
        page = write_report(drafts["report"].path, data)
        tracked.metrics(metrics_by_name(result.scores, METRICS[0]))
        tracked.file(page)
    report = drafts["report"]
    metadata = {
        "table": Markdown(markdown_report(data)),
        "tasks": len(result.tasks),
        "labels": {task.name: len(task.target) for task in result.tasks},
        "labels_dropped": {task.name: dict(task.reasons) for task in result.tasks if task.dropped},
        "refused": {task.name: task.refused for task in result.tasks if task.refused},
        "report": report.path.with_name(report.version) / page.name,
        "mlflow": Markdown(tracked.link()),
    }
    details = {
        "mlflow_run": tracked.run_id, "parameters": parameters, "facts": data.details, "tasks": data.tasks,
        "best_of_seeds": data.best_of_seeds,
    }  # fmt: skip
    return region.finish([every_method_scored(result.scores)], metadata, details)


def every_method_scored(table: pa.Table, metric: Metric = METRICS[0]) -> Check:
    """All methods have a finite score for the same trials within the region: none is favoured by being asked less.

    Without any score the check passes only if every trial was skipped for a reason, or there was none.

    Args:
        table: of `scores_table`, with the reasons in its schema's metadata.
        metric: whose scores count.
    """
    from mora_pipeline.evaluation.protocol.scores import scored_trials, skipped_trials
    from mora_pipeline.evaluation.protocol.trials import FROM

    scored = scored_trials(table, "method", metric)
    figures = {f"{name}_scores": len(trials) for name, trials in scored.items()}
    finite = all(map(math.isfinite, table[metric.name].drop_null().to_pylist()))
    alike = len({frozenset(trials) for trials in scored.values()}) <= 1
    skipped = {(trial["task"], trial["split"], trial["model"]) for trial in skipped_trials(table)}
    tried = {tuple(row.values()) for row in table.select(["task", "split", "model"]).to_pylist()} - skipped
    some = any(scored.values()) or all(split.startswith(FROM) for _, split, _ in tried)
    return Check("every_method_scored", alike and finite and some, figures)


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
        code_version=code_version("1", kinds(), presets().values()),
    )
