"""Raw records on the H3 grid: mobility as edges between cells, texts and tables by cell, and the cells themselves."""

import shutil
from typing import Any

import dagster as dg

from mora_pipeline.contract import schemas
from mora_pipeline.defs.metadata import column_schema, count_table
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.spark import SparkReport, SparkSubmit, merged_checks, none_to_check
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.lake import Draft
from mora_pipeline.modalities import kind_of
from mora_pipeline.modalities.table.config import TableModality
from mora_pipeline.modalities.text.config import TextModality
from mora_pipeline.region.jobs import mobility_job

SPARK: dict[str, Any] = {
    "partitions_def": regions,
    "group_name": "grid",
    "kinds": {"spark", "parquet"},
    "pool": "spark",
}


@dg.asset(
    deps=["raw_files"],
    metadata=column_schema(schemas.EDGES),
    check_specs=blocking("edges", "edges_positive", "edges_clustered", "bad_rows_within_limit"),
    **SPARK,
)
def edges(context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit) -> dg.MaterializeResult:
    """Flows between cells, every file with whole origins.

    Source: the region's mobility (od, trips or events). Written by the Spark job `grid_mobility`, together with
    `self_flow` (moves inside one cell) and `quarantine/edges` (bad rows, with the reason).
    """
    with step(context, lake) as work:
        quarantine = work.begin("quarantine/edges", evidence=True)
        self_flow, target = work.begin("self_flow"), work.begin("edges")
        output = {"edges": target.path, "self_flow": self_flow.path, "quarantine": quarantine.path}
        parameters = mobility_job(work.config)
        kept = work.home / "cache" / "mobility" / work.region
        if "weeks" in parameters:
            parameters["kept"] = kept
        else:  # what a window kept may hold users' ids
            shutil.rmtree(kept, ignore_errors=True)
        report = spark.run(context, "grid_mobility", {**parameters, "output": output})
        return work.finish(report.results(), spark_metadata({"": report}))


@dg.asset(
    deps=["raw_files"],
    metadata=column_schema(schemas.TEXT_CELLS),
    check_specs=blocking("text_cells", "bad_rows_within_limit"),
    **SPARK,
)
def text_cells(context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit) -> dg.MaterializeResult:
    """How often each distinct text stands in each cell, for every text modality.

    Source: the region's text modalities. Written by the Spark job `grid_text` into `texts/<modality>` and
    `text_cells/<modality>`; bad rows into `quarantine/text_cells`.
    """
    with step(context, lake) as work:
        quarantine, reports = work.begin("quarantine/text_cells", evidence=True), {}
        for name in work.modalities(TextModality):
            texts, target = work.begin(f"texts/{name}"), work.begin(f"text_cells/{name}")
            output = {"texts": texts.path, "text_cells": target.path}
            reports[name] = grid_modality(work, spark, "grid_text", name, job_of(work, name), output, quarantine)
        return work.finish(checks_of(work, reports), spark_metadata(reports))


@dg.asset(
    deps=["raw_files"],
    metadata=column_schema(schemas.table_cells([])),
    check_specs=blocking("table_cells", "shares_sum_to_one", "bad_rows_within_limit"),
    **SPARK,
)
def table_cells(context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit) -> dg.MaterializeResult:
    """Histogram shares by cell, one column a bin, for every table modality; each group of columns sums to 1.

    Source: the region's table modalities. Written by the Spark job `grid_table` into `table_cells/<modality>` and
    `table_weights/<modality>` (what the places of a cell weigh together); bad rows into `quarantine/table_cells`.
    """
    with step(context, lake) as work:
        quarantine, reports = work.begin("quarantine/table_cells", evidence=True), {}
        for name in work.modalities(TableModality):
            weights, target = work.begin(f"table_weights/{name}"), work.begin(f"table_cells/{name}")
            output = {"weights": weights.path, "table_cells": target.path}
            parameters = job_of(work, name)
            reports[name] = grid_modality(work, spark, "grid_table", name, parameters, output, quarantine)
        return work.finish(checks_of(work, reports), spark_metadata(reports))


@dg.asset(
    deps=["edges", "text_cells", "table_cells"],
    metadata=column_schema(schemas.CELLS),
    check_specs=blocking("cells", "cells_unique_and_sorted"),
    **SPARK,
)
def cells(context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit) -> dg.MaterializeResult:
    """The region's cells: all that mobility, texts or tables have seen, ascending; `node` is the row of a cell.

    Source: `edges`, `self_flow`, `text_cells/*`, `table_cells/*`. Written by the Spark job `cells`. Nothing else
    decides the row order of features and embeddings.
    """
    with step(context, lake) as work:
        members = [work.read(f"text_cells/{name}").path for name in work.modalities(TextModality)]
        members += [work.read(f"table_cells/{name}").path for name in work.modalities(TableModality)]
        parameters = {
            "edges": work.read("edges").path,
            "self_flow": work.read("self_flow").path,
            "members": members,
            "population": population(work),
            "resolution": work.config.resolution,
        }
        target = work.begin("cells")
        report = spark.run(context, "cells", {**parameters, "output": {"cells": target.path}})
        return work.finish(report.results(), spark_metadata({"": report}))


def population(work: Step) -> Any:
    """The weights of the first table modality that declares some: they count people."""
    for name, modality in work.modalities(TableModality).items():
        if modality.weight:
            return work.read(f"table_weights/{name}").path
    return None


def grid_modality(
    work: Step,
    spark: SparkSubmit,
    job: str,
    name: str,
    parameters: dict[str, Any],
    output: dict[str, Any],
    quarantine: Draft,
) -> SparkReport:
    """Grid one modality; its bad rows join those of the asset's other modalities."""
    setting = {"bad_share_setting": f"modalities.{name}.maximum_bad_share"}
    folders = {**output, "quarantine": quarantine.path / name}
    return spark.run(work.context, job, {**parameters, **setting, "output": folders})


def checks_of(work: Step, reports: dict[str, SparkReport]) -> dict[str, dg.AssetCheckResult]:
    """The asset's checks over all its modalities."""
    specs = work.context.assets_def.check_specs
    return merged_checks(reports) if reports else none_to_check(spec.name for spec in specs)


def spark_metadata(reports: dict[str, SparkReport]) -> dict[str, Any]:
    """What the jobs read, wrote and refused, by modality; the name is empty where there is only one job."""
    reasons: dict[str, int] = {}
    for report in reports.values():
        for reason, count in report.quarantined.items():
            reasons[reason] = reasons.get(reason, 0) + count
    figures = {
        f"{name}_{key}".lstrip("_"): value for name, report in reports.items() for key, value in report.metadata.items()
    }
    return {
        **({} if "" in reports else {"modalities": ", ".join(reports) or "none"}),
        "rows_read": sum(report.read for report in reports.values()),
        "bad_rows": count_table("reason", reasons) if reasons else "none",
        **figures,
    }


def job_of(work: Step, name: str) -> dict[str, Any]:
    """The parameters of the job that grids a modality, less its output."""
    config = work.config.modalities[name]
    return kind_of(config.kind).job_parameters(work.config, name, config)
