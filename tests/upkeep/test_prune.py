"""Pruning keeps what readers see and what the UI shows, and bounds the rest."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from mora_pipeline.commands.instance import dagster_instance
from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake
from mora_pipeline.runs import PARTITION_TAG
from mora_pipeline.tracking import TrackingSettings, connect
from mora_pipeline.upkeep.limits import Limits
from mora_pipeline.upkeep.prune import prune
from mora_pipeline.upkeep.space import size_of

OLD = time.time() - 400 * 86_400


def aged(path: Path, text: str = "old") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (OLD, OLD))
    return path


def test_runs_beyond_the_limits_go_and_what_the_ui_shows_stays(lived_in_home: Path, lived_in) -> None:
    with dagster_instance() as instance:
        made = [lived_in.run_in(instance, "town", lived_in_home) for _ in range(4)]
        settings = TrackingSettings.of(lived_in_home)
        dry = prune(lived_in_home, instance, settings, Limits(runs=2), dry=True)
        assert len(runs_of(instance, "town")) == 5
        done = prune(lived_in_home, instance, settings, Limits(runs=2))
        assert dry[0].number == done[0].number == 3
        assert runs_of(instance, "town") == {made[-1], made[-2]}
        assert len(runs_of(instance, "city")) == 1
        shown = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("edges"), asset_partitions=["town"]), 1
        )
        assert shown.records[0].run_id == made[-1]
        databases = {file.name.split(".")[0] for file in lived_in_home.glob("dagster/history/runs/*-*.db")}
        assert databases == {run.run_id for run in instance.get_runs()}


def test_a_run_that_made_what_the_ui_shows_stays_however_old_it_is(lived_in_home: Path) -> None:
    with dagster_instance() as instance, closing(sqlite3.connect(lived_in_home / "dagster/history/runs.db")) as runs:
        with runs:
            runs.execute("UPDATE runs SET create_timestamp = '2020-01-01 00:00:00'")
        prune(lived_in_home, instance, TrackingSettings.of(lived_in_home), Limits())
        assert len(runs_of(instance, "town")) == 1


def runs_of(instance: dg.DagsterInstance, region: str) -> set[str]:
    return {run.run_id for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: region}))}


def test_old_models_go_for_good_and_the_champion_stays(lived_in_home: Path) -> None:
    """The champion is the older of two versions, and one is kept besides."""
    settings = TrackingSettings.of(lived_in_home)
    client = connect(settings)
    experiment = client.get_experiment_by_name("mora/town").experiment_id
    for number in range(3):
        run = client.create_run(experiment, tags={"step": "distilled_encoder"})
        client.log_artifact(run.info.run_id, str(aged(lived_in_home / "weights.json", str(number) * 1000)))
        client.set_terminated(run.info.run_id)
        client.create_model_version("mora_town", run.info.artifact_uri, run.info.run_id)
    before = size_of(lived_in_home / "mlartifacts")
    with dagster_instance() as instance:
        prune(lived_in_home, instance, settings, Limits(tracked_runs=1, models=1))
    versions = {version.version: version for version in client.search_model_versions("name = 'mora_town'")}
    assert set(map(int, versions)) == {1, 5}
    champion = client.get_model_version_by_alias("mora_town", "champion")
    assert Path(client.download_artifacts(champion.run_id, "weights.json")).exists()
    assert size_of(lived_in_home / "mlartifacts") < before - 1900
    folders = {path.name for path in (lived_in_home / "mlartifacts/town").iterdir()}
    assert folders == {version.run_id for version in versions.values()}


def test_logs_caches_checkpoints_drafts_and_leftovers_go_by_age(
    lived_in_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    old = [
        aged(lived_in_home / "logs/town-old.log"),
        aged(lived_in_home / "cache/scores/town/old.npy"),
        aged(lived_in_home / "checkpoints/town/embeddings/old.safetensors"),
        aged(lived_in_home / "checkpoints/gone/embeddings/state.safetensors"),
        aged(temporary / "mora-spark-dead/blockmgr/file"),
    ]
    os.utime(temporary / "mora-spark-dead", (OLD, OLD))
    os.utime(temporary / "mora-spark-dead/blockmgr", (OLD, OLD))
    java = aged(lived_in_home / "cache/spark-classes-0123-4.jsa")
    young = lived_in_home / "cache/mobility/town/kept.parquet"
    folder = Lake(lived_in_home / "lake").folder("edges", "town")
    (folder / "draft-20260101T000000000000-01234567").mkdir()
    living = Lake(lived_in_home / "lake").begin("cells", "town")
    with dagster_instance() as instance:
        prune(lived_in_home, instance, TrackingSettings.of(lived_in_home), Limits())
    assert [path for path in old if path.exists()] == []
    assert not list(folder.glob("draft-*"))
    assert java.exists()
    assert young.exists()
    assert (lived_in_home / "checkpoints/town/embeddings/abc.safetensors").exists()
    living.write(pa.table({"cell": [1]}))
    assert living.commit().rows == 1


def test_the_cache_is_bounded_by_what_was_used_longest_ago(lived_in_home: Path) -> None:
    cache = lived_in_home / "cache/vectors/town"
    for number in range(4):
        file = cache / f"{number}.npy"
        file.write_bytes(b"0" * 1000)
        os.utime(file, (time.time() - 100 + number,) * 2)
    with dagster_instance() as instance:
        prune(lived_in_home, instance, TrackingSettings.of(lived_in_home), Limits(cache_gb=2.2e-6))
    assert {path.name for path in cache.glob("?.npy")} == {"2.npy", "3.npy"}


def test_limits_are_set_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_KEEP_RUNS", "3")
    assert Limits.from_environment() == Limits(runs=3)
    monkeypatch.setenv("MORA_KEEP_MODELS", "none")
    with pytest.raises(UserError, match="MORA_KEEP_MODELS: Input should be a valid integer"):
        Limits.from_environment()


def test_the_page_names_every_limit_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/home.md").read_text()
    for name, field in Limits.model_fields.items():
        (line,) = [line for line in page.splitlines() if f"`MORA_KEEP_{name.upper()}`" in line]
        assert line.split("|")[3].strip() == f"{field.default:g}"
