"""MLflow runs through a real SQLite store, and the promotion of models."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.promotion import CHAMPION, SCORES, compare, promote
from mora_pipeline.evaluation.protocol.scores import mean_scores
from mora_pipeline.tracking import TrackedRun, TrackingSettings, connect, tracked_run


@pytest.fixture
def settings(tmp_path: Path) -> TrackingSettings:
    return TrackingSettings.of(tmp_path)


def finished(settings: TrackingSettings, run: TrackedRun):
    return connect(settings).get_run(run.run_id)


def test_a_run_keeps_parameters_curves_tags_and_weights(settings, tmp_path) -> None:
    with tracked_run(settings, "tiny", "embeddings", {"seed": 3, "temperatures": {}}, {"graph": "v1"}) as run:
        for epoch in range(1, 4):
            run.epoch({"epoch": float(epoch), "train_loss": 1 / epoch})
        run.weights("alignment", {"table": torch.arange(6.0).reshape(2, 3).t()})
    kept = finished(settings, run)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"seed": "3", "temperatures": "{}"}
    assert {name: kept.data.tags[name] for name in ("region", "step", "input.graph")} == {
        "region": "tiny",
        "step": "embeddings",
        "input.graph": "v1",
    }
    curve = connect(settings).get_metric_history(run.run_id, "train_loss")
    assert [(item.step, item.value) for item in curve] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    (file,) = tmp_path.glob("mlartifacts/tiny/**/alignment.safetensors")
    assert load_file(file)["table"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert run.run_id in run.link()
    assert str(tmp_path) in run.link()


def test_a_run_whose_body_raises_ends_as_failed_with_what_it_had_said(settings) -> None:
    opened: list[TrackedRun] = []

    def diverging() -> None:
        with tracked_run(settings, "tiny", "embeddings", {}, {}) as run:
            opened.append(run)
            run.epoch({"epoch": 1.0, "train_loss": 9.9})
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        diverging()
    kept = finished(settings, opened[0])
    assert kept.info.status == "FAILED"
    assert kept.data.metrics == {"train_loss": 9.9}


def test_the_run_of_a_killed_process_goes_on_and_no_epoch_is_recorded_twice(settings, tmp_path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from mora_pipeline.tracking import *\n"
        f"with tracked_run(TrackingSettings.of(Path({str(tmp_path)!r})), 'tiny', 'x', {{'seed': 3}}, {{}}) as run:\n"
        "    for epoch in (1, 2): run.epoch({'epoch': epoch, 'loss': 1 / epoch})\n"
        "    run.flush(); print(run.run_id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    left = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240).stdout.strip()
    with tracked_run(settings, "tiny", "x", {"seed": 3}, {}, resume=left) as run:
        for epoch in (1, 2, 3):
            run.epoch({"epoch": float(epoch), "loss": 1 / epoch})
    assert run.run_id == left
    kept = finished(settings, run)
    assert (kept.info.status, kept.data.tags["resumed"]) == ("FINISHED", "true")
    curve = connect(settings).get_metric_history(left, "loss")
    assert [item.step for item in curve] == [1, 2, 3]


def test_where_the_killed_run_is_gone_a_new_one_names_it(settings) -> None:
    with tracked_run(settings, "tiny", "x", {}, {}, resume="0" * 32) as run:
        run.epoch({"epoch": 1.0, "loss": 0.5})
    kept = finished(settings, run)
    assert (kept.data.tags["resumes"], kept.data.metrics) == ("0" * 32, {"loss": 0.5})


def test_many_metrics_go_in_batches(settings) -> None:
    with tracked_run(settings, "tiny", "line_vectors", {}, {}) as run:
        for epoch in range(1300):
            run.epoch({"epoch": float(epoch), "loss": float(epoch)})
    assert len(connect(settings).get_metric_history(run.run_id, "loss")) == 1300


def test_two_processes_may_meet_an_empty_home(tmp_path) -> None:
    script = (
        "from pathlib import Path; from mora_pipeline.tracking import *\n"
        f"with tracked_run(TrackingSettings.of(Path({str(tmp_path)!r})), 'tiny', 'x', {{}}, {{}}) as run: pass"
    )
    children = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) for _ in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors.decode()
    client = connect(TrackingSettings.of(tmp_path))
    (experiment,) = [item for item in client.search_experiments() if item.name == "mora/tiny"]
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_server_decides_on_artifacts_and_is_linked(tmp_path) -> None:
    server = TrackingSettings.of(tmp_path, "http://mlflow:5000/", "http://localhost:5000")
    assert server.artifacts is None
    assert server.link == "http://localhost:5000"
    assert TrackingSettings.of(tmp_path, "https://mlflow.example").link == "https://mlflow.example"


def test_a_server_that_does_not_answer_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9 does not answer"):
        connect(TrackingSettings.of(tmp_path, "http://127.0.0.1:9"))


def test_scores_are_means_over_seeds_of_what_was_scored() -> None:
    import pyarrow as pa

    rows = [
        {"method": "distilled", "task": "a", "split": "random", "seed": 1, "model": "linear_probe", "n": 9, "r2": 0.2},
        {"method": "distilled", "task": "a", "split": "random", "seed": 2, "model": "linear_probe", "n": 9, "r2": 0.4},
        {"method": "distilled", "task": "b", "split": "random", "seed": 1, "model": "linear_probe", "n": 9, "r2": None},
        {"method": "mora", "task": "a", "split": "random", "seed": 1, "model": "linear_probe", "n": 9, "r2": 0.9},
    ]
    table = pa.Table.from_pylist([{**row, "rmse": None} for row in rows], schema=schemas.BENCHMARK)
    assert mean_scores(table, "distilled") == {"a|random|linear_probe": pytest.approx(0.3)}
    assert mean_scores(table, "distilled", leaks={"a"}) == {}


@pytest.mark.parametrize(
    ("candidate", "champion", "promoted"),
    [
        ({"a": 0.5}, None, True),
        ({}, None, True),
        ({"a": 0.5}, {"a": 0.5}, True),
        ({"a": 0.4}, {"a": 0.5}, False),
        ({"a": 0.6, "new": 0.0}, {"a": 0.5, "gone": 0.9}, True),
        ({"new": 0.9}, {"gone": 0.1}, False),
        ({"a": 0.9, "b": 0.0}, {"a": 0.5, "b": 0.5}, False),
    ],
)
def test_the_mean_over_common_scores_decides(candidate, champion, promoted) -> None:
    assert compare(candidate, champion).promoted is promoted


def test_a_tolerance_lets_a_slightly_worse_model_serve() -> None:
    assert compare({"a": 0.49}, {"a": 0.5}, tolerance=0.02).promoted


def test_the_alias_moves_only_to_a_model_that_is_not_worse(settings) -> None:
    client = connect(settings)
    client.create_registered_model("mora_tiny")
    for score, expected in ((0.5, "1"), (0.4, "1"), (0.6, "3")):
        version = client.create_model_version("mora_tiny", "file:///nowhere").version
        verdict = promote(client, "mora_tiny", str(version), {"a|random|linear_probe": score})
        assert str(client.get_model_version_by_alias("mora_tiny", CHAMPION).version) == expected
        assert verdict.promoted is (str(version) == expected)
    with pytest.raises(UserError, match="version 9 of the model mora_tiny"):
        promote(client, "mora_tiny", "9", {"a|random|linear_probe": 0.7})
    again = promote(client, "mora_tiny", "3", {"a|random|linear_probe": 0.6})
    assert again.promoted


def test_a_champion_that_was_never_compared_stays_and_one_of_a_region_without_tasks_does_not(settings) -> None:
    client = connect(settings)
    for name, by_hand in (("mora_hand", True), ("mora_bare", False)):
        client.create_registered_model(name)
        first, second = (str(client.create_model_version(name, "file:///nowhere").version) for _ in range(2))
        if by_hand:
            client.set_registered_model_alias(name, CHAMPION, first)
        else:
            assert promote(client, name, first, {}).promoted
            assert client.get_model_version(name, first).tags[SCORES] == "{}"
        decision = promote(client, name, second, {"a|random|linear_probe": 0.7})
        assert decision.promoted is not by_hand
        assert str(client.get_model_version_by_alias(name, CHAMPION).version) == (first if by_hand else second)
        assert ("version 1, was never compared" in decision.reason) is by_hand


def test_a_benchmark_without_the_model_leaves_the_champions_scores_to_compare_with(settings) -> None:
    client = connect(settings)
    client.create_registered_model("mora_tiny")
    for score in (0.5, 0.6):
        version = str(client.create_model_version("mora_tiny", "file:///nowhere").version)
        promote(client, "mora_tiny", version, {"a|random|linear_probe": score})
        unjudged = promote(client, "mora_tiny", version, {})
        assert not unjudged.promoted
        assert "has no score of the model" in unjudged.reason
    assert str(client.get_model_version_by_alias("mora_tiny", CHAMPION).version) == "2"
