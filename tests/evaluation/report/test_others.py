"""Reported scores and the optimistic row stand beside ours, and change nothing of ours."""

import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.report.tables import ScoreTable, score_tables
from mora_pipeline.region import ReportedScores

CHOSEN = "best epoch of each task, chosen on the tested labels"
REPORTED = ReportedScores(
    source="their papers",
    scores={"HREP": {"a": 0.7, "b": 0.6}, "CURE": {"a": 0.9}},
    epochs={"HREP": CHOSEN},
)
BEST = {"preset": "toy", "seeds": 10, "scores": {"a": 0.95, "b": 0.8}}


@pytest.fixture
def benchmark() -> pa.Table:
    rows = [
        {"method": method, "task": task, "split": "region_papers", "seed": 1, "model": "clipped_ridge", "n": 9,
         "r2": r2, "rmse": 1.0}
        for method, values in {"coordinates": (0.1, 0.0), "paper": (0.5, 0.3), "raw": (0.2, 0.1), "mora": (0.6, 0.5),
                               "inputs_surroundings": (0.5, 0.45), "inputs": (0.4, 0.3)}.items()
        for task, r2 in zip("ab", values, strict=True)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)


def table(benchmark: pa.Table, reported: ReportedScores | None = REPORTED, best: dict | None = None) -> ScoreTable:
    (found,) = score_tables(benchmark, reported, best_of_seeds=best)
    return found


def test_what_a_reader_looks_for_comes_first_by_the_names_people_read(benchmark: pa.Table) -> None:
    names = [row[0] for row in table(benchmark, None).body]
    assert names == ["mora", "inputs", "raw", "paper", "coordinates", "inputs + surroundings"]


def test_a_paper_that_lacks_a_task_has_no_mean_and_takes_none_from_ours(benchmark: pa.Table) -> None:
    found = table(benchmark)
    rows = {row[0]: row[1:] for row in found.body}
    assert found.head == ["method", "a", "b", "mean", "epoch chosen"]
    assert rows["mora"] == ["0.600", "0.500", "0.550", "no label seen"]
    assert rows["HREP †"] == ["0.700", "0.600", "0.650", CHOSEN]
    assert rows["CURE †"] == ["0.900", "–", "–", "not said"]
    assert table(benchmark, REPORTED.model_copy(update={"epochs": {}})).head[-1] == "mean"


def test_the_optimistic_row_is_below_ours_marked_and_never_the_best(benchmark: pa.Table) -> None:
    found = table(benchmark, best=BEST)
    assert [row[0] for row in found.body][:3] == ["mora", "mora, best of ten seeds a task, as theirs ¶", "inputs"]
    assert found.body[1][1:] == [
        "0.950", "0.800", "0.875", "best seed of each task, chosen on the tested labels"
    ]  # fmt: skip
    assert found.best[1] == set()
    assert {row[0]: best for row, best in zip(found.body, found.best, strict=True)}["HREP †"] == {1, 2}
    assert (
        "¶ Optimistic, and not comparable with the other rows: the preset toy was trained from 10 seeds" in found.note
    )
    without = {row[0]: row[1:4] for row in table(benchmark).body}
    assert all(without[row[0]] == row[1:4] for row in found.body if "¶" not in row[0])


def test_other_tables_than_the_papers_have_neither(benchmark: pa.Table) -> None:
    frame = benchmark.to_pandas().assign(split="random", model="linear_probe")
    (found,) = score_tables(pa.Table.from_pandas(frame, schema=schemas.BENCHMARK), REPORTED, best_of_seeds=BEST)
    assert len(found.body) == 6
    assert found.head[-1] == "mean"
