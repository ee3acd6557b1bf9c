"""Raw records on the H3 grid: mobility as edges between cells, texts and tables by cell, and the cells themselves."""

import shutil
from functools import partial
from typing import Any

from mora_pipeline.contract import schemas
from mora_pipeline.lake import Draft
from mora_pipeline.region import TableModality, TextModality
from mora_pipeline.steps.interface import Check, NoSettings, Progress, RegionRun, Step, StepResult, Tracker
from mora_pipeline.steps.spark import SparkReport, merged_checks
from mora_pipeline.steps.tables import count_table

_step = partial(Step, group="grid", kinds=frozenset({"spark", "parquet"}), pool="spark")


def grid_mobility(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Flows between cells, every file with whole origins.

    Source: the region's mobility (od, trips or events). Written by the Spark job `grid_mobility`, together with
    `self_flow` (moves inside one cell) and `quarantine/edges` (bad rows, with the reason).
    """
    quarantine = region.begin("quarantine/edges", evidence=True)
    self_flow, edges = region.begin("self_flow"), region.begin("edges")
    parameters = region.config.mobility_job()
    kept = region.home / "cache" / "mobility" / region.region
    if "weeks" in parameters:
        parameters["kept"] = kept
    else:  # the sums of a window may hold users' ids
        shutil.rmtree(kept, ignore_errors=True)
    output = {"edges": edges.path, "self_flow": self_flow.path, "quarantine": quarantine.path}
    report = region.spark.run("grid_mobility", {**parameters, "output": output})
    return region.finish(merged_checks({"": report}), spark_metadata({"": report}))


def grid_texts(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """How often each distinct text occurs in each cell, for every text modality.

    Source: the region's text modalities. Written by the Spark job `grid_text` into `texts/<modality>` and
    `text_cells/<modality>`; bad rows into `quarantine/text_cells`.
    """
    quarantine, reports = region.begin("quarantine/text_cells", evidence=True), {}
    for name in region.modalities(TextModality):
        texts, cells = region.begin(f"texts/{name}"), region.begin(f"text_cells/{name}")
        output = {"texts": texts.path, "text_cells": cells.path}
        reports[name] = grid_modality(region, "grid_text", name, region.config.text_job(name), output, quarantine)
    return region.finish(checks_of(region, reports), spark_metadata(reports))


def grid_tables(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Histogram shares by cell, one column a bin, for every table modality; each group of columns sums to 1.

    Source: the region's table modalities. Written by the Spark job `grid_table` into `table_cells/<modality>` and
    `table_weights/<modality>` (what the places of a cell weigh together); bad rows into `quarantine/table_cells`.
    """
    quarantine, reports = region.begin("quarantine/table_cells", evidence=True), {}
    for name in region.modalities(TableModality):
        weights, cells = region.begin(f"table_weights/{name}"), region.begin(f"table_cells/{name}")
        output = {"weights": weights.path, "table_cells": cells.path}
        reports[name] = grid_modality(region, "grid_table", name, region.config.table_job(name), output, quarantine)
    return region.finish(checks_of(region, reports), spark_metadata(reports))


def list_cells(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """The region's cells: all that mobility, texts or tables have seen, ascending; `node` is the row of a cell.

    Source: `edges`, `self_flow`, `text_cells/*`, `table_cells/*`. Written by the Spark job `cells`. Nothing else
    decides the row order of features and embeddings.
    """
    members = [region.read(f"text_cells/{name}").path for name in region.modalities(TextModality)]
    members += [region.read(f"table_cells/{name}").path for name in region.modalities(TableModality)]
    parameters = {
        "edges": region.read("edges").path,
        "self_flow": region.read("self_flow").path,
        "members": members,
        "population": population(region),
        "resolution": region.config.resolution,
    }
    target = region.begin("cells")
    report = region.spark.run("cells", {**parameters, "output": {"cells": target.path}})
    return region.finish(merged_checks({"": report}), spark_metadata({"": report}))


def population(region: RegionRun) -> Any:
    """The weights of the first table modality that declares some: they count people."""
    for name, modality in region.modalities(TableModality).items():
        if modality.weight:
            return region.read(f"table_weights/{name}").path
    return None


def grid_modality(
    region: RegionRun, job: str, name: str, parameters: dict[str, Any], output: dict[str, Any], quarantine: Draft
) -> SparkReport:
    """Grid one modality; its bad rows join those of the step's other modalities."""
    setting = {"bad_share_setting": f"modalities.{name}.maximum_bad_share"}
    return region.spark.run(job, {**parameters, **setting, "output": {**output, "quarantine": quarantine.path / name}})


def checks_of(region: RegionRun, reports: dict[str, SparkReport]) -> list[Check]:
    """The step's checks over all its modalities; they pass in a region that has none of the kind."""
    if not reports:
        return [Check(name, True, {"modalities": 0}) for name in region.step.checks]
    return merged_checks(reports)


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
        "bad_rows": count_table("reason", reasons),
        **figures,
    }


EDGES = _step(
    "edges",
    grid_mobility,
    grid_mobility.__doc__,
    inputs=("raw_files",),
    columns=schemas.EDGES,
    checks=("edges_positive", "edges_clustered", "bad_rows_within_limit"),
)
TEXT_CELLS = _step(
    "text_cells",
    grid_texts,
    grid_texts.__doc__,
    inputs=("raw_files",),
    columns=schemas.TEXT_CELLS,
    checks=("bad_rows_within_limit",),
)
TABLE_CELLS = _step(
    "table_cells",
    grid_tables,
    grid_tables.__doc__,
    inputs=("raw_files",),
    columns=schemas.table_cells([]),
    checks=("shares_sum_to_one", "bad_rows_within_limit"),
)
CELLS = _step(
    "cells",
    list_cells,
    list_cells.__doc__,
    inputs=("edges", "text_cells", "table_cells"),
    columns=schemas.CELLS,
    checks=("cells_unique_and_sorted",),
)
