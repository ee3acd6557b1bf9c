"""Raw files in the shapes that people have: each gives what it should, or a message that names what is wrong.

The folders of ``../shared/data/cases`` are read as their region.yaml says, checked as `mora region add` does, and
gridded by the real jobs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CELLS
from mora_pipeline.evaluation.labels.tasks import load_tasks
from mora_pipeline.modalities import kind_of
from mora_pipeline.raw.places import cells_at
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.jobs import mobility_job
from mora_pipeline.region.understanding import understand
from spark_jobs import grid_mobility, grid_table, grid_text

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
JOBS = {"text": grid_text, "table": grid_table}
READ = [
    "02-csv-semicolon", "03-csv-pipe-decimal-comma", "05-thousands-flow", "14-newline-in-quotes", "16-preamble",
    "23-backslash-quotes", "25-csv-gz-upper", "35-dense-zeros", "40-null-island", "44-overture-structs",
    "5a-compact-long-gaps",
    "69-window-int-date", "73-brotli", "83-latest-link", "84-delta-table", "9a-table-wider-area",
]  # fmt: skip
REFUSED = {
    "12-latin1-late": r"pois\.csv, line 5502: not in utf-8.*csv: \{encoding: latin-1\}",
    "19-twin-columns": r"flows\.csv has several columns named 'flow'",
    "33-letters-in-numbers": r"3 bad rows carry an estimated 5\.6% of its flow.*\"flow\": \"99a\"",
    "53-time-dayfirst": r"mobility\.columns\.time.*Add mobility\.time_format: '%d/%m/%Y %H:%M'",
    "99-table-two-years": r"modalities\.ages: place 'P00' has 2 rows.*where.*aggregate",
    "i2-tms": r"counted from the south: write \{-y\}",
}
MENDED: dict[str, dict[str, Any]] = {  # what the message asks for
    "12-latin1-late": {"modalities.poi.csv": {"encoding": "latin-1"}},
    "33-letters-in-numbers": {"mobility.maximum_bad_share": 0.1},
    "53-time-dayfirst": {"mobility.time_format": "%d/%m/%Y %H:%M", "mobility.time_zone": "UTC"},
    "99-table-two-years": {"modalities.ages.where": "year = 2019"},
}


def folder_of(case: str) -> Path:
    if not (CASES / case).exists():
        pytest.skip("the cases are not here")
    return CASES / case


@pytest.fixture
def mended(tmp_path: Path) -> Callable[[str, dict[str, Any]], RegionConfig]:
    """A case's region with keys set, beside its files."""

    def write(case: str, keys: dict[str, Any]) -> RegionConfig:
        folder = folder_of(case)
        content = yaml.safe_load((folder / "region.yaml").read_text())
        for path, value in keys.items():
            *above, last = path.split(".")
            part = content
            for name in above:
                part = part[name]
            part[last] = value
        content["root"] = str(folder)
        (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
        return RegionConfig.load(tmp_path / "region.yaml")

    return write


def gridded(spark: SparkSession, config: RegionConfig, folder: Path) -> dict[str, Any]:
    """Flows by pair of cells, flow by cell, and what each modality has, as the jobs write them."""
    job = json.loads(json.dumps(mobility_job(config), default=str))
    output = {name: str(folder / name) for name in ("edges", "self_flow", "rhythm", "quarantine")}
    kept = {"kept": str(folder / "kept")} if "weeks" in job else {}
    outcome = grid_mobility.run(spark, {**job, **kept, "output": output})
    edges, inside = (pq.read_table(folder / name).to_pylist() for name in ("edges", "self_flow"))
    found: dict[str, Any] = {
        "edges": {(str(row["origin"]), str(row["destination"])): row["flow"] for row in edges},
        "self": {str(row["cell"]): row["internal_flow"] for row in inside},
        "outcome": outcome,
    }
    for name, modality in config.modalities.items():
        kind = kind_of(modality.kind)
        if kind.job is None:
            continue
        output = {key: str(folder / name / key) for key in (*kind.job_outputs, "quarantine")}
        JOBS[modality.kind].run(spark, {**kind.job_parameters(config, name, modality), "output": output})
        if modality.kind == "text":
            texts = {row["text_id"]: row["text"] for row in pq.read_table(output["texts"]).to_pylist()}
            rows = pq.read_table(output["text_cells"]).to_pylist()
            found["text"] = {(str(row["cell"]), texts[row["text_id"]]): row["count"] for row in rows}
        else:
            found["table"] = {str(row.pop("cell")): row for row in pq.read_table(output["table_cells"]).to_pylist()}
    return found


def assert_right(found: dict[str, Any], folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    assert found["edges"] == {(origin, destination): flow for origin, destination, flow in expected["edges"]}
    assert found["self"] == {cell: flow for cell, flow in expected["self"]}  # noqa: C416 - a row is a list
    if "text" in expected:
        assert found["text"] == {(cell, text): count for cell, text, count in expected["text"]}


@pytest.mark.parametrize("case", READ)
def test_a_case_gives_what_it_should(spark: SparkSession, case: str, tmp_path: Path) -> None:
    config = RegionConfig.load(folder_of(case))
    understand(config)
    assert_right(gridded(spark, config, tmp_path), CASES / case)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_before_a_run(case: str) -> None:
    with pytest.raises(UserError, match=REFUSED[case]):
        understand(RegionConfig.load(folder_of(case)))


@pytest.mark.parametrize("case", MENDED)
def test_what_the_message_asks_for_mends_it(
    spark: SparkSession, mended: Callable[[str, dict[str, Any]], RegionConfig], case: str, tmp_path: Path
) -> None:
    config = mended(case, MENDED[case])
    understand(config)
    assert_right(gridded(spark, config, tmp_path / "out"), CASES / case)


def test_swapped_axes_are_told() -> None:
    warnings = understand(RegionConfig.load(folder_of("37-swapped"))).warnings
    assert any("latitude and longitude are swapped" in warning for warning in warnings)


def test_h3_cells_need_no_table_of_places(spark: SparkSession, tmp_path: Path) -> None:
    folder = folder_of("46-h3-strings")
    config = RegionConfig.load(folder)
    understand(config)
    rows = [line.split(",") for line in (folder / "flows.csv").read_text().splitlines()]
    at = {name: rows[0].index(name) for name in ("origin", "destination", "flow")}
    truth: dict[tuple[str, str], float] = {}
    for row in rows[1:]:
        ends = str(int(row[at["origin"]], 16)), str(int(row[at["destination"]], 16))
        truth[ends] = truth.get(ends, 0.0) + float(row[at["flow"]])
    found = gridded(spark, config, tmp_path)
    assert found["edges"] == {ends: flow for ends, flow in truth.items() if ends[0] != ends[1]}
    assert found["self"] == {ends[0]: flow for ends, flow in truth.items() if ends[0] == ends[1]}


def test_the_day_may_be_in_the_folder(spark: SparkSession, tmp_path: Path) -> None:
    found = gridded(spark, RegionConfig.load(folder_of("70-window-hive")), tmp_path)
    files = sorted((CASES / "70-window-hive" / "trips").glob("date=*/*.parquet"))
    newest = sorted({file.parent.name for file in files})[-14:]
    rows = sum(pq.read_metadata(file).num_rows for file in files if file.parent.name in newest)
    assert found["outcome"].metadata["files"] == 14
    assert sum(found["edges"].values()) + sum(found["self"].values()) == rows


@pytest.mark.parametrize(("case", "labels"), [("l1-acs-sentinel", 147), ("l2-thousands", 150)])
def test_labels_are_read_or_told(case: str, labels: int) -> None:
    config = RegionConfig.load(folder_of(case))
    places = pa.concat_tables(
        [pa.table({"latitude": [float(row.split(",")[1])], "longitude": [float(row.split(",")[2])]}) for row in
         (CASES / case / "places.csv").read_text().splitlines()[1:]]
    )  # fmt: skip
    cells = cells_at(places["latitude"].combine_chunks(), places["longitude"].combine_chunks(), config.resolution)
    distinct = np.unique(cells.to_numpy())
    zeros = np.zeros(len(distinct))
    columns = [distinct, np.arange(len(distinct)), zeros, zeros, zeros, zeros]
    (task,) = load_tasks(config, pa.table(columns, schema=CELLS))
    lines = [line.split(",", 1)[1].strip('"\r') for line in (CASES / case / "labels.csv").read_text().splitlines()[1:]]
    numbers = [float(text.replace(",", "")) for text in lines if text]
    assert task.reasons.get("no label", 0) == len(lines) - labels
    assert task.target.max() <= max(numbers)
    assert task.target.min() >= min(number for number in numbers if number > -600_000_000)


def test_tiles_from_the_south_are_read_by_minus_y(mended: Callable[[str, dict[str, Any]], RegionConfig]) -> None:
    path = RegionConfig.load(folder_of("i2-tms")).modalities["img"].path.replace("{y}", "{-y}")
    matches = {match.key: match for match in understand(mended("i2-tms", {"modalities.img.path": path})).matches}
    assert matches["modalities.img"].matched == matches["modalities.img"].of
