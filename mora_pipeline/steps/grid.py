"""Raw records on the H3 grid: mobility as edges between cells, modalities by cell, and the cells themselves."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract import schemas
from mora_pipeline.modalities import ModalityKind, kinds
from mora_pipeline.region import NO_MOBILITY
from mora_pipeline.region.jobs import extent_of, mobility_job, places_source
from mora_pipeline.steps.checks import cells_known
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, Tracker, code_version
from mora_pipeline.steps.results import Check, StepResult
from mora_pipeline.steps.spark import SparkReport, merged_checks
from mora_pipeline.steps.tables import count_table, coverage_table

_step = partial(Step, group="grid", kinds=frozenset({"spark", "parquet"}), pool="spark")


def grid_mobility(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Flows between cells, every file with whole origins.

    Source: the region's mobility (od, trips or events). Written by the Spark job `grid_mobility`, together with
    `self_flow` (moves inside one cell), `rhythm` (how many moves arrive in a cell, leave it and stay in it by hour of
    the week; empty where mobility carries no times) and `quarantine/edges` (bad rows, with the reason). Without
    mobility the first three have no rows.
    """
    kept = region.home / "cache" / "mobility" / region.region
    if region.config.mobility is None:
        shutil.rmtree(kept, ignore_errors=True)
        return _no_flows(region)
    quarantine = region.begin("quarantine/edges", evidence=True)
    self_flow, rhythm, edges = region.begin("self_flow"), region.begin("rhythm"), region.begin("edges")
    parameters = mobility_job(region.config)
    if "weeks" in parameters:
        parameters["kept"] = kept
    else:  # the sums of a window may hold users' ids
        shutil.rmtree(kept, ignore_errors=True)
    output = {
        "edges": edges.path,
        "self_flow": self_flow.path,
        "rhythm": rhythm.path,
        "quarantine": quarantine.path,
    }
    report = region.spark.run("grid_mobility", {**parameters, "output": output})
    return region.finish(merged_checks({"": report}), spark_metadata({"": report}))


def _no_flows(region: RegionRun) -> StepResult:
    """`edges`, `self_flow` and `rhythm` without rows: what is known of the flows of a region without mobility."""
    for name, schema in (("self_flow", schemas.SELF_FLOW), ("rhythm", schemas.RHYTHM), ("edges", schemas.EDGES)):
        region.begin(name).write(schema.empty_table())
    checks = [Check(name, True, {"edges": 0, "reason": NO_MOBILITY}) for name in region.step.checks]
    return region.finish(checks, {"edges": f"none: {NO_MOBILITY}"}, {"reason": NO_MOBILITY})


def grid_rows(
    region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker, *, kind: ModalityKind[Any]
) -> StepResult:
    """Grid every modality of a kind by its Spark job; their bad rows are quarantined together."""
    quarantine, reports = region.begin(f"quarantine/{kind.name}_cells", evidence=True), {}
    for name, modality in region.modalities(kind.name).items():
        output = {key: region.begin(f"{dataset}/{name}").path for key, dataset in kind.job_outputs.items()}
        parameters = {
            **kind.job_parameters(region.config, name, modality),
            "bad_share_setting": f"modalities.{name}.maximum_bad_share",
            "output": {**output, "quarantine": quarantine.path / name},
        }
        reports[name] = region.spark.run(str(kind.job), parameters)
    none = [Check(name, True, {"modalities": 0}) for name in region.step.checks]  # they pass in a region without any
    return region.finish(merged_checks(reports) if reports else none, spark_metadata(reports))


def list_cells(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """The region's cells: those that mobility sees, ascending; `node` is the row of a cell.

    Source: `edges`, `self_flow`, and the cells of every kind of modality that a Spark job grids (`text_cells/*`,
    `table_cells/*`), which count where region.yaml states an `extent` or has no mobility; without mobility, the table
    of places as well, whose bad rows are in `quarantine/cells`. Written by the Spark job `cells`. Nothing else decides
    the row order of features and embeddings.
    """
    modalities = [(kind, *item) for kind in gridded_by_spark() for item in region.modalities(kind.name).items()]
    members = [region.read(f"{kind.name}_cells/{name}").path for kind, name, _ in modalities]
    weights = (kind.weights_dataset(name, modality) for kind, name, modality in modalities)
    population = next(filter(None, weights), None)  # the first that is declared
    parameters = {
        "edges": region.read("edges").path,
        "self_flow": region.read("self_flow").path,
        "members": members,
        "population": region.read(population).path if population else None,
        "resolution": region.config.resolution,
        "extent": extent_of(region.config),
    }
    output = {"cells": region.begin("cells").path}
    places = None if region.config.mobility else region.config.places
    if places:
        output["quarantine"] = region.begin("quarantine/cells", evidence=True).path
        parameters |= {"places": places_source(region.config), "maximum_bad_share": places.maximum_bad_share}
    report = region.spark.run("cells", {**parameters, "output": output})
    if not population:
        _count_people(region, output["cells"])
    return region.finish(merged_checks({"": report}), spark_metadata({"": report}))


def _count_people(region: RegionRun, folder: Path) -> None:
    """Write the population into the cells of a folder, from the first modality that counts it and has no weights."""
    counting = [(kind, *item) for kind in kinds() if not kind.job for item in region.modalities(kind.name).items()]
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        cells, column = table["cell"].to_numpy(), table.schema.get_field_index("population")
        counted = (kind.population(region, name, modality, cells) for kind, name, modality in counting)
        people = next((found for found in counted if found is not None), None)
        if people is not None:
            known = pa.array(people, mask=np.isnan(people))
            pq.write_table(table.set_column(column, table.field(column), known), file, compression="zstd")


def look_up_cells(
    region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker, *, kind: ModalityKind[Any]
) -> StepResult:
    """Find what every modality of a kind has in the region's cells, and write it as `<kind>_cells/<modality>`."""
    cells, by_modality, figures = region.cells(), {}, dict[str, Any]()
    for name, modality in region.modalities(kind.name).items():
        table = kind.grid(region, name, modality)
        region.begin(f"{kind.name}_cells/{name}").write(table)
        by_modality[name] = table["cell"].to_numpy()
        figures |= {f"{name}_{key}": value for key, value in kind.figures(table, modality).items()}
    coverage = coverage_table((name, len(own), len(cells), "") for name, own in by_modality.items())
    shown = {"modalities": len(by_modality), "coverage": coverage, **figures}
    return region.finish([cells_known(by_modality, cells)], shown)


def gridded_by_spark() -> list[ModalityKind[Any]]:
    """The kinds whose raw rows become cells; those cells are the region's."""
    return [kind for kind in kinds() if kind.job]


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
    checks=("edges_positive", "edges_clustered", "flow_conserved", "places_shares_sum_to_one", "bad_rows_within_limit"),
    code_version="1",
)


def grid_steps() -> list[Step]:
    """The step `edges`, that of each kind of modality, and `cells`."""
    spark = gridded_by_spark()
    rows = [
        _step(
            f"{kind.name}_cells",
            partial(grid_rows, kind=kind),
            kind.cells_about,
            inputs=("raw_files",),
            columns=kind.cells_schema,
            checks=kind.cells_checks,
            code_version=code_version("1", [kind]),
        )
        for kind in spark
    ]
    cells = _step(
        "cells",
        list_cells,
        list_cells.__doc__,
        inputs=("edges", *(f"{kind.name}_cells" for kind in spark)),
        columns=schemas.CELLS,
        checks=("cells_unique_and_sorted",),
        code_version=code_version("1", kinds()),
    )
    looked_up = [
        Step(
            f"{kind.name}_cells",
            partial(look_up_cells, kind=kind),
            kind.cells_about,
            inputs=("cells",),
            group="grid",
            kinds=frozenset({"python", "parquet"}),
            columns=kind.cells_schema,
            checks=("cells_known",),
            code_version=code_version("1", [kind]),
        )
        for kind in kinds()
        if not kind.job
    ]
    return [EDGES, *rows, cells, *looked_up]
