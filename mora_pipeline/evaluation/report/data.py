"""What a report is made from: tables of the lake, and what is to be known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from mora_pipeline import schemas
from mora_pipeline.errors import UserError
from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.lake import Lake
from mora_pipeline.region import Published, RegionConfig


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        region: its name.
        scores, intervals, predictions: `schemas.BENCHMARK`, `schemas.INTERVALS`, `schemas.PREDICTIONS`.
        parameters: of the benchmark.
        published: scores of others, from region.yaml.
        ablations: `schemas.ABLATIONS`; no rows if none were made.
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
    details: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def from_lake(lake: Lake, config: RegionConfig) -> ReportData:
    """The published benchmark of a region, with the ablations if there are any.

    Raises:
        UserError: if there is no benchmark, it is of an earlier form, or region.yaml names no task.
    """
    region = config.region
    benchmark = lake.read("benchmark", region)
    if not benchmark.rows:
        raise UserError(f"region.yaml of '{region}' has no tasks, so there is no benchmark: add some under 'tasks'.")
    try:
        parameters = BenchmarkParameters.model_validate(benchmark.details["parameters"])
    except (KeyError, ValidationError) as error:
        raise UserError(
            f"`benchmark` of '{region}' is from another version of the benchmark. Make it again: "
            f"mora benchmark {region} --run"
        ) from error
    return ReportData(
        region=region,
        scores=benchmark.table(),
        intervals=lake.read("intervals", region).table(),
        predictions=lake.read("predictions", region).table(),
        parameters=parameters,
        published=config.published,
        ablations=ablations_of(lake, region),
        details={"resolution": config.resolution, "versions": {**benchmark.inputs, "benchmark": benchmark.version}},
    )


def ablations_of(lake: Lake, region: str) -> pa.Table:
    """`schemas.ABLATIONS` of a region as published; no rows if none were made."""
    if lake.has("ablations", region):
        return lake.read("ablations", region).table()
    return schemas.ABLATIONS.empty_table()
