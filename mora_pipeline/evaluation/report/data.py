"""What a report is made from: tables of the lake, and what is to be known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.report.task_part import Facts, leaking, task_facts
from mora_pipeline.lake import Lake, Version
from mora_pipeline.region import MEAN, RegionConfig, ReportedScores


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        region: its name.
        scores, intervals, predictions: `schemas.BENCHMARK`, `schemas.INTERVALS`, `schemas.PREDICTIONS`.
        parameters: of the benchmark.
        tasks: what is known of each, from `task_facts`.
        published: scores of others, from region.yaml.
        ablations: `schemas.ABLATIONS`; no rows if none were made.
        ablation_facts: their version, what they were made from and their settings.
        details: what else the reader should know, by label: numbers, texts, or mappings of these.
        pictures: PNG by caption.
    """

    region: str
    scores: pa.Table
    intervals: pa.Table
    predictions: pa.Table = field(default_factory=schemas.PREDICTIONS.empty_table)
    tasks: Facts = field(default_factory=dict)
    parameters: BenchmarkParameters = field(default_factory=BenchmarkParameters)
    published: ReportedScores | None = None
    ablations: pa.Table = field(default_factory=schemas.ABLATIONS.empty_table)
    ablation_facts: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def leaks(self) -> frozenset[str]:
        """Tasks whose label may leak: they count in no mean."""
        return leaking(self.tasks)

    @property
    def ablation_kinds(self) -> Mapping[str, str]:
        """Kind of each modality when the ablations were made."""
        return self.ablation_facts.get("modalities", {})


def published_scores(lake: Lake, config: RegionConfig) -> tuple[Version, Version, BenchmarkParameters]:
    """`benchmark` and `intervals` of a region as published, of one run, and what that run was told.

    Raises:
        UserError: if there is no benchmark, it is of an earlier form, or it holds no trial.
    """
    region = config.region
    benchmark = lake.read("benchmark", region)
    if not benchmark.rows and not config.tasks:
        raise UserError(f"region.yaml of '{region}' has no tasks, so there is no benchmark: add some under 'tasks'.")
    if not benchmark.rows:
        told = benchmark.details.get("parameters", {})
        raise UserError(
            f"region.yaml of '{region}' has tasks, but `benchmark` holds no trial: they were added later, or its "
            f"protocols ({', '.join(told.get('protocols', []))}) or methods ({', '.join(told.get('methods', []))}) "
            f"have nothing to judge here. Judge again, with others if need be: mora benchmark {region} --run"
        )
    try:
        parameters = BenchmarkParameters.model_validate(benchmark.details["parameters"])
    except (KeyError, ValidationError) as error:
        raise UserError(
            f"`benchmark` of '{region}' is from another version of the benchmark. Make it again: "
            f"mora benchmark {region} --run"
        ) from error
    return benchmark, _of_the_same_run(lake, "intervals", benchmark), parameters


def from_lake(lake: Lake, config: RegionConfig) -> ReportData:
    """The published benchmark of a region, with the ablations if there are any.

    Raises:
        UserError: as `published_scores` does.
    """
    tables, benchmark = tables_from_lake(lake, config), lake.read("benchmark", config.region)
    embeddings = _judged_embeddings(lake, benchmark)
    return replace(
        tables,
        predictions=_of_the_same_run(lake, "predictions", benchmark).table(),
        pictures=map_of(embeddings) if embeddings else {},
        **ablations_of(lake, config.region),
    )


def tables_from_lake(lake: Lake, config: RegionConfig) -> ReportData:
    """The published benchmark of a region without predictions, pictures and ablations: what the terminal shows.

    A benchmark of before, which did not tell preset and tasks, is completed from the embeddings and region.yaml.

    Raises:
        UserError: as `published_scores` does.
    """
    benchmark, intervals, parameters = published_scores(lake, config)
    scores, embeddings = benchmark.table(), _judged_embeddings(lake, benchmark)
    judged = set(scores["task"].to_pylist())
    declared = {name: task for name, task in task_facts(config).items() if name in judged}
    tasks = benchmark.details.get("tasks", declared)
    return ReportData(
        region=config.region,
        scores=scores,
        intervals=_completed(intervals.table(), leaking(tasks)),
        tasks=tasks,
        parameters=parameters,
        published=config.published,
        details={"preset": embeddings and embeddings.details.get("preset"), **benchmark.details.get("facts", {})},
    )


def _judged_embeddings(lake: Lake, benchmark: Version) -> Version | None:
    """The embeddings that were judged; None if others were published since."""
    embeddings = lake.read("embeddings", benchmark.region)
    return embeddings if benchmark.inputs.get("embeddings") == embeddings.version else None


def _completed(intervals: pa.Table, leaks: frozenset[str]) -> pa.Table:
    """`schemas.INTERVALS` of a table that may lack its later columns; a mean of then held labels that may leak."""
    missing = [column for column in schemas.INTERVALS if column.name not in intervals.column_names]
    for column in missing:
        intervals = intervals.append_column(column, pa.nulls(len(intervals), column.type))
    return intervals.filter(pc.field("task") != MEAN) if missing and leaks else intervals


def _of_the_same_run(lake: Lake, dataset: str, benchmark: Version) -> Version:
    """What was published beside a benchmark.

    Raises:
        UserError: if one of the two was restored or made again without the other.
    """
    found = lake.read(dataset, benchmark.region)
    if found.details.get("mlflow_run") != benchmark.details.get("mlflow_run"):
        raise UserError(
            f"`{dataset}` ({found.version}) and `benchmark` ({benchmark.version}) of '{benchmark.region}' are of "
            f"different runs. Restore one of them, or judge again: mora benchmark {benchmark.region} --run"
        )
    return found


def ablations_of(lake: Lake, region: str) -> dict[str, Any]:
    """`ablations` and `ablation_facts` of a `ReportData`: the region's as published; nothing if none were made."""
    if not lake.has("ablations", region):
        return {}
    found = lake.read("ablations", region)
    settings, kinds = found.details.get("parameters", {}), found.details.get("modalities", {})
    facts = {"version": found.version, "versions": found.inputs, "modalities": kinds, **settings}
    return {"ablations": found.table(), "ablation_facts": facts}


def map_of(embeddings: Version) -> dict[str, bytes]:
    """A picture of the vectors on the map, by caption."""
    from mora_pipeline.plots import region_map_png

    table = embeddings.table(["cell", "vector"])
    return {"similar colours mean similar vectors": region_map_png(table, CellVectors.from_table(table).vectors)}
