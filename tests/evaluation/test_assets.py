"""The assets `benchmark` and `ablations` on a small lake: what they publish, and what MLflow keeps."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.defs.ablations import ablations
from mora_pipeline.defs.benchmark import benchmark
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig
from mora_pipeline.registry import Registry
from mora_pipeline.tracking import TrackingSettings, connect

SETTINGS = {
    "benchmark": {"trees": 10, "short_trees": 10, "seeds": [42], "folds": 3, "resamples": 100},
    "ablations": {"families": ["layers"], "layers": [1], "alignment_epochs": 2, "seeds": [42]},
}


@pytest.fixture
def home(
    region: Callable[..., RegionConfig],
    write_lake: Callable[..., Lake],
    cells: pa.Table,
    mora_home: Path,
    tmp_path: Path,
) -> Path:
    """A home that knows a region with labels, and has everything that is made before the benchmark."""
    frame = cells.select(["latitude", "longitude"]).to_pandas().set_axis(["lat", "lon"], axis=1)
    frame.insert(0, "id", [f"p{at:03d}" for at in range(len(frame))])
    frame.to_csv(tmp_path / "places.csv", index=False)
    pd.DataFrame({"origin": ["p000"], "destination": ["p001"], "flow": [1.0]}).to_csv(
        tmp_path / "flows.csv", index=False
    )
    frame.assign(age_young=0.3, age_old=0.7).to_csv(tmp_path / "ages.csv", index=False)
    income = 1000 * frame["lat"] + np.random.default_rng(0).normal(size=len(frame))
    frame.assign(income=income).to_csv(tmp_path / "labels.csv", index=False)
    ages = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
    config = region(
        {"income": {"level": "cell", "path": "labels.csv", "place": "id", "column": "income"}},
        modalities={"ages": ages},
    )
    Registry(tmp_path).add(config.file)
    write_lake(config)
    return tmp_path


def materialized(home: Path, asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    name = asset.key.to_user_string()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("regions", ["test_city"])
        return dg.materialize(
            [asset],
            partition_key="test_city",
            instance=instance,
            resources={"lake": LakeResource(home=str(home)), "tracking": Tracking()},
            run_config={"ops": {name: {"config": SETTINGS[name]}}},
        )


def test_the_benchmark_publishes_scores_intervals_predictions_and_a_page(home: Path) -> None:
    assert materialized(home, benchmark).success
    lake = Lake(home / "lake")
    made = {name: lake.read(name, "test_city") for name in ("benchmark", "intervals", "predictions", "report")}
    methods = {"mora", "distilled", "line", "raw", "flow_svd", "coordinates"}
    assert set(made["benchmark"].table()["method"].to_pylist()) == methods
    assert set(made["intervals"].table()["method"].to_pylist()) == methods
    assert made["benchmark"].inputs["embeddings"] == lake.read("embeddings", "test_city").version
    assert made["benchmark"].details["parameters"]["folds"] == 3
    assert "Where it errs" in (made["report"].path / "report.html").read_text()
    client = connect(TrackingSettings.of(home))
    run = client.get_run(made["benchmark"].details["mlflow_run"])
    assert "r2/coordinates/income/random/ridge" in run.data.metrics
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["report.html"]


def test_ablations_publish_a_score_and_an_mlflow_run_a_variant(home: Path) -> None:
    assert materialized(home, ablations).success
    found = Lake(home / "lake").read("ablations", "test_city").table().to_pandas()
    assert set(found["variant"]) == {"base", "layers: 1"}
    assert found["r2"].notna().all()
    client = connect(TrackingSettings.of(home))
    experiment = client.get_experiment_by_name("mora/test_city")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.params["variant"] for run in runs} == {"base", "layers: 1"}
    assert all("seconds" in run.data.metrics for run in runs)
