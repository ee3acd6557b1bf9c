"""What a report shows: tables of the lake, and facts about them."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.benchmark import BenchmarkResult
from mora_pipeline.evaluation.labels.leaks import leaking
from mora_pipeline.evaluation.methods.flows import pieces
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.protocol.metrics import METRICS, Metric
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.report.tables import Facts, task_facts
from mora_pipeline.lake import Lake, Version
from mora_pipeline.region import RegionConfig, ReportedScores

LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "scipy", "torch")


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        region: its name.
        scores, intervals, predictions: `schemas.BENCHMARK`, `schemas.INTERVALS`, `schemas.PREDICTIONS`.
        parameters: of the benchmark.
        tasks: what is known of each, from `task_facts`.
        reported_scores: of papers, from region.yaml.
        best_of_seeds: `BestOfSeeds.facts`, if there are any.
        ablations: `schemas.ABLATIONS`; no rows if there are none.
        ablation_facts: their version, inputs and settings.
        details: what else the reader should know, by label: numbers, texts, or mappings of these.
        pictures: PNG by caption.
        metrics: of the scores; the intervals are of the first.
    """

    region: str
    scores: pa.Table
    intervals: pa.Table
    predictions: pa.Table = field(default_factory=schemas.PREDICTIONS.empty_table)
    tasks: Facts = field(default_factory=dict)
    parameters: BenchmarkParameters = field(default_factory=BenchmarkParameters)
    reported_scores: ReportedScores | None = None
    ablations: pa.Table = field(default_factory=schemas.ABLATIONS.empty_table)
    ablation_facts: Mapping[str, Any] = field(default_factory=dict)
    best_of_seeds: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Sequence[Metric] = METRICS

    @property
    def leaks(self) -> frozenset[str]:
        """Tasks whose label may leak: they count in no mean."""
        return leaking(self.tasks)

    @property
    def ablation_kinds(self) -> Mapping[str, str]:
        """Kind of each modality when the ablations ran."""
        return self.ablation_facts.get("modalities", {})


def report_data(
    context: MethodContext, result: BenchmarkResult, facts: Mapping[str, Any], embeddings: Version
) -> ReportData:
    """What the report of a benchmark shows, with the region's ablations.

    Args:
        facts: from `benchmark_facts`.
        embeddings: those that were scored; drawn as a map.
    """
    config = context.reader.config
    return ReportData(
        region=config.region,
        scores=result.scores,
        intervals=result.intervals,
        predictions=result.predictions,
        tasks=task_facts(config, result.tasks),
        parameters=result.parameters,
        reported_scores=config.published,
        best_of_seeds=result.best_of_seeds.facts() if result.best_of_seeds else None,
        details=facts,
        pictures=map_of(embeddings),
        **ablations_of(context.reader.lake, config.region),
    )


def benchmark_facts(
    context: MethodContext, result: BenchmarkResult, sources: Mapping[str, MethodContext], labels: Mapping[str, str]
) -> dict[str, Any]:
    """What a reader must know to repeat the benchmark, by label: data, versions, code and libraries.

    Args:
        sources: the regions that `transfer` fitted on, by name.
        labels: digest of each task's labels, from before they were read.
    """
    lineage, config = context.reader.lineage, context.reader.config
    encoder: Version | None = lineage.get("distilled_encoder")
    flows: dict[str, Any] | str = "none"
    if config.mobility:
        count, largest = pieces(context.edges, len(context.cells))
        flows = {"unconnected pieces": count, "share of cells in the largest": largest}
    versions = {name: version.version for name, version in lineage.items()}
    for region, source in sources.items():
        versions |= {f"{region}/{name}": version.version for name, version in source.reader.lineage.items()}
    return {
        "preset": lineage["embeddings"].details.get("preset"),
        "resolution": config.resolution,
        "cells": len(context.cells),
        "flows": flows,
        "modalities": {name: item.kind for name, item in config.modalities.items()} or "none",
        "distilled encoder": encoder.details.get("scores", {}) if encoder else {},
        "versions": versions,
        "labels, first 16 digits of SHA-256": dict(labels),
        **({"left out": result.left_out} if result.left_out else {}),
        **({"not transferred from": result.not_transferred} if result.not_transferred else {}),
        **provenance(),
    }


def from_lake(lake: Lake, config: RegionConfig) -> ReportData:
    """The benchmark of a region, with the ablations if there are any.

    Raises:
        UserError: as `tables_from_lake` does.
    """
    tables, benchmark = tables_from_lake(lake, config), lake.read("benchmark", config.region)
    embeddings = lake.read("embeddings", config.region)
    return replace(
        tables,
        predictions=_of_the_same_run(lake, "predictions", benchmark).table(),
        # No map of other embeddings than those that were tested.
        pictures=map_of(embeddings) if benchmark.inputs.get("embeddings") == embeddings.version else {},
        **ablations_of(lake, config.region),
    )


def tables_from_lake(lake: Lake, config: RegionConfig) -> ReportData:
    """The benchmark of a region without predictions, pictures and ablations: what the terminal shows.

    Raises:
        UserError: if there is no benchmark, it is of an earlier form, or it holds no trial.
    """
    region = config.region
    benchmark = lake.read("benchmark", region)
    if not benchmark.rows and not config.tasks:
        raise UserError(f"region.yaml of '{region}' has no tasks, so there is no benchmark: add some under 'tasks'.")
    if not benchmark.rows:
        settings = benchmark.details.get("parameters", {})
        raise UserError(
            f"region.yaml of '{region}' has tasks, but `benchmark` holds no trial: they were added later, or its "
            f"protocols ({', '.join(settings.get('protocols', []))}) or methods "
            f"({', '.join(settings.get('methods', []))}) have nothing to test here. Run it again, with others if need "
            f"be: mora benchmark {region} --run"
        )
    try:
        parameters = BenchmarkParameters.model_validate(benchmark.details["parameters"])
        tasks, details = benchmark.details["tasks"], benchmark.details["facts"]
    except (KeyError, ValidationError) as error:
        raise UserError(
            f"`benchmark` of '{region}' is from another version of the benchmark. Make it again: "
            f"mora benchmark {region} --run"
        ) from error
    return ReportData(
        region=region,
        scores=benchmark.table(),
        intervals=_of_the_same_run(lake, "intervals", benchmark).table(),
        tasks=tasks,
        parameters=parameters,
        reported_scores=config.published,
        best_of_seeds=benchmark.details.get("best_of_seeds"),
        details=details,
    )


def _of_the_same_run(lake: Lake, dataset: str, benchmark: Version) -> Version:
    """What was committed beside a benchmark.

    Raises:
        UserError: if one of the two was restored or made again without the other.
    """
    other = lake.read(dataset, benchmark.region)
    if other.details.get("mlflow_run") != benchmark.details.get("mlflow_run"):
        raise UserError(
            f"`{dataset}` ({other.version}) and `benchmark` ({benchmark.version}) of '{benchmark.region}' are of "
            f"different runs. Restore one of them, or run it again: mora benchmark {benchmark.region} --run"
        )
    return other


def ablations_of(lake: Lake, region: str) -> dict[str, Any]:
    """`ablations` and `ablation_facts` of a `ReportData`: the region's; empty if there are none."""
    if not lake.has("ablations", region):
        return {}
    ablations = lake.read("ablations", region)
    facts = {"version": ablations.version, "versions": ablations.inputs, "modalities": ablations.details["modalities"]}
    return {"ablations": ablations.table(), "ablation_facts": {**facts, **ablations.details["parameters"]}}


def map_of(embeddings: Version) -> dict[str, bytes]:
    """A picture of the vectors on the map, by caption."""
    from mora_pipeline.plots import region_map_png

    table = embeddings.table(["cell", "vector"])
    return {"similar colours mean similar vectors": region_map_png(table, CellVectors.from_table(table).vectors)}


def provenance() -> dict[str, Any]:
    """Version, commit (of a checkout; with a star where it was changed) and libraries, by label."""
    return {
        "mora-pipeline": _version("mora-pipeline"),
        "commit": _commit(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return "not a checkout"
    try:
        name, changed = (
            subprocess.run(
                ["git", "-C", str(checkout), *command], capture_output=True, text=True, check=True, timeout=30
            )
            for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name.stdout.strip() + ("*" if changed.stdout.strip() else "")
