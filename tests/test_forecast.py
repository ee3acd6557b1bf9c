"""How far a run is, and for how long: in a terminal of any width, and in the log of each asset."""

import io
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from mora_pipeline.commands.forecast import Forecast, bar, duration
from mora_pipeline.commands.hints import downstream, hint_after
from mora_pipeline.commands.progress import LiveProgress, RunState
from mora_pipeline.defs.estimates import so_far, told, usual_seconds
from mora_pipeline.defs.partitions import regions

USUAL = Forecast({"edges": 60.0, "graph": 20.0, "embeddings": 20.0}, pace=0.5)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions(str(regions.name), ["tiny"])
        yield found


def test_the_share_counts_seconds_not_steps_and_the_rest_goes_side_by_side() -> None:
    states = {"edges": "done", "graph": "running", "embeddings": "waiting"}
    assert USUAL.progress(states, {"graph": 10.0}) == (pytest.approx(0.7), pytest.approx(20.0))
    assert USUAL.progress(states, {"graph": 500.0}) == (pytest.approx(0.8), pytest.approx(20.0))
    assert USUAL.progress(dict.fromkeys(states, "done"), {}) == (1.0, 0.0)


def test_without_earlier_runs_steps_are_counted_and_nobody_promises_a_time() -> None:
    assert Forecast().progress({"a": "done", "b": "running", "c": "waiting", "d": "skipped"}, {"b": 3.0}) == (0.5, None)
    assert Forecast().progress({}, {}) == (0, None)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("left", [None, 7.0, 4000.0, 400_000.0])
def test_the_bar_fits_from_60_columns_up(width: int, left: float | None) -> None:
    for share in (0.0, 0.333, 1.0):
        line = bar(share, left, width)
        assert len(line) <= width
        assert f"{share:.0%}" in line
        assert line.count("#") == round(share * (line.index("]") - 1))
        assert left is None or f"about {duration(left)} left" in line


def test_durations_read_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 89, 90, 5400, 11100)] == [
        "0 s",
        "89 s",
        "2 min",
        "1 h 30 min",
        "3 h 5 min",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_terminal_shows_every_step_on_a_line_and_the_bar_below(width: int) -> None:
    state = RunState.of(["edges", "graph", "embeddings"], USUAL)
    state.steps["edges"].state, state.steps["edges"].seconds = "done", 61.0
    state.steps["graph"].state, state.steps["graph"].started = "running", time.time() - 10
    state.steps["graph"].note = "a note that is far longer than any terminal is wide " * 4
    drawn = io.StringIO()
    console = Console(file=drawn, width=width, force_terminal=False)
    console.print(LiveProgress(state, console)._table())
    lines = drawn.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["edges", "graph", "embeddings"]
    assert len(lines) == 4
    assert all(len(line) <= width for line in lines)
    assert "70%  about 20 s left" in lines[3]


def test_earlier_runs_tell_what_steps_take(instance: dg.DagsterInstance) -> None:
    @dg.op
    def wait() -> None:
        time.sleep(0.05)

    @dg.job(partitions_def=regions)
    def waiting() -> None:
        wait()

    assert Forecast.of(instance, "waiting", "tiny") == Forecast()
    assert waiting.execute_in_process(instance=instance, partition_key="tiny").success
    found = Forecast.of(instance, "waiting", "tiny")
    assert 0.05 <= found.usual["wait"] < 5
    assert found.pace >= 1
    assert Forecast.of(instance, "waiting", "other") == Forecast()


def test_an_asset_says_in_its_log_how_far_it_is_by_what_it_took_before(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[float | None] = []

    @dg.asset(partitions_def=regions)
    def slow(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        seen.append(usual_seconds(context.instance, "slow", context.partition_key))
        with told(context, "slow", every=0.05):
            time.sleep(0.3)
        return dg.MaterializeResult(metadata={"seconds": 100.0})

    for _ in range(2):
        assert dg.materialize([slow], instance=instance, partition_key="tiny").success
    assert seen == [None, 100.0]
    told_lines = capfd.readouterr().err
    assert "made for the first time" in told_lines
    assert "slow: 0 s so far, about 0%; about 100 s left, as it took before." in told_lines


def test_an_asset_that_takes_longer_than_before_says_so() -> None:
    assert so_far("edges", 45.0, 60.0) == "edges: 45 s so far, about 75%; about 15 s left, as it took before."
    assert so_far("edges", 70.0, 60.0) == "edges: 70 s so far, longer than before (60 s)."


def step(name: str, *inputs: str) -> Any:
    return SimpleNamespace(name=name, inputs=inputs, in_chain=True, code_version="1", settings=lambda: None)


def test_what_is_made_from_a_step_is_found_in_order() -> None:
    chain = [step("edges"), step("cells"), step("graph", "edges"), step("embeddings", "graph", "cells")]
    assert downstream(chain, {"graph"}) == ["graph", "embeddings"]
    assert downstream(chain, set()) == []


def test_after_a_part_the_command_names_what_is_out_of_date_and_what_brings_it_up(
    mora_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`line_vectors` was made from the graph before; `embeddings` from these; `distilled_encoder` was never made."""

    def judged(of: Any, *_: object) -> Any:
        made = of.name not in ("distilled_encoder",)
        return SimpleNamespace(memo={} if made else None, unchanged=made and of.name not in stale)

    monkeypatch.setattr("mora_pipeline.steps.memoised.judged", judged)
    monkeypatch.setattr("mora_pipeline.lake.registry.Registry.load", lambda *_: None)
    stale = {"line_vectors"}
    assert "to date, and nothing else: mora materialize tiny" in hint_after("tiny", "graph")
    assert "what there is now: line_vectors, embeddings, benchmark" in hint_after("tiny", "graph")
    stale = set()
    assert hint_after("tiny", "graph") == hint_after("tiny", None)
