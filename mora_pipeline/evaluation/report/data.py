"""What a report is made from: tables of the lake, and what is to be known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from mora_pipeline import schemas
from mora_pipeline.errors import UserError
from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.lake import Lake, Version
from mora_pipeline.region import Published, RegionConfig
from mora_pipeline.schemas import CellVectors


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        region: its name.
        scores, intervals, predictions: `schemas.BENCHMARK`, `schemas.INTERVALS`, `schemas.PREDICTIONS`.
        parameters: of the benchmark.
        published: scores of others, from region.yaml.
        ablations: `schemas.ABLATIONS`; no rows if none were made.
        ablation_facts: their version, what they were made from and their settings.
        details: what else the reader should know, by label: numbers, texts, or mappings of these.
        pictures: PNG by caption.
    """

    region: str
    scores: pa.Table
    intervals: pa.Table
    predictions: pa.Table
    parameters: BenchmarkParameters = field(default_factory=BenchmarkParameters)
    published: Published | None = None
    ablations: pa.Table = field(default_factory=schemas.ABLATIONS.empty_table)
    ablation_facts: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)

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
    benchmark, intervals, parameters = published_scores(lake, config)
    embeddings = lake.read("embeddings", config.region)
    judged = benchmark.inputs.get("embeddings") == embeddings.version  # else the map would show other vectors
    return ReportData(
        region=config.region,
        scores=benchmark.table(),
        intervals=intervals.table(),
        predictions=_of_the_same_run(lake, "predictions", benchmark).table(),
        parameters=parameters,
        published=config.published,
        details=benchmark.details.get("facts", {}),
        pictures=map_of(embeddings) if judged else {},
        **ablations_of(lake, config.region),
    )


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
    from mora_pipeline.serving.map import region_map_png

    table = embeddings.table(["cell", "vector"])
    return {"similar colours mean similar vectors": region_map_png(table, CellVectors.from_table(table).vectors)}
