"""The steps `benchmark`, `ablations` and `champion` on a small lake: what they publish, and what MLflow keeps."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.ablation.variants import Trained, Variant
from mora_pipeline.evaluation.methods import Inputs
from mora_pipeline.evaluation.promotion import SCORES
from mora_pipeline.evaluation.report import report_html
from mora_pipeline.evaluation.report.ablation_part import ablation_markdown, base_graph_of
from mora_pipeline.evaluation.report.data import from_lake
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters
from mora_pipeline.region import RegionConfig
from mora_pipeline.steps import Step, StepResult, local_session, run_step
from mora_pipeline.steps.ablation import ablations_step, every_variant_scored
from mora_pipeline.steps.benchmark import benchmark_step
from mora_pipeline.steps.champion import CHAMPION_STEP
from mora_pipeline.tracking import TrackingSettings, connect

AGES = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
INCOME = {"level": "cell", "path": "labels.csv", "place": "id", "column": "income"}
SETTINGS = {
    "benchmark": {"trees": 10, "short_trees": 10, "seeds": [42], "folds": 3, "resamples": 100},
    "ablations": {
        "families": ["layers"],
        "variants": ["layers: 1"],
        "layers": [1, 3],
        "alignment_epochs": 2,
        "seeds": [42],
    },
    "champion": {},
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
    config = region(
        {"income": INCOME},
        modalities={"ages": AGES},
        published={"source": "a paper", "scores": {"Other": {"income": 0.5}}},
    )
    Registry(tmp_path).add(config.file)
    lake = write_lake(config)
    graph = lake.begin("graph", config.region)
    graph.write(lake.read("graph", config.region).table())
    graph.commit({"strategy": "top_share", "share": 0.3})
    return tmp_path


def run(home: Path, step: Step, **changed: Any) -> StepResult:
    settings = step.settings(**{**SETTINGS[step.name], **changed})
    return run_step(step, "test_city", local_session(home), settings)


def test_the_benchmark_publishes_scores_intervals_predictions_and_a_page(home: Path) -> None:
    assert run(home, benchmark_step()).committed
    lake = Lake(home / "lake")
    made = {name: lake.read(name, "test_city") for name in ("benchmark", "intervals", "predictions", "report")}
    methods = {"mora", "inductive", "distilled", "line", "raw", "flow_svd", "coordinates"}
    assert set(made["benchmark"].table()["method"].to_pylist()) == methods
    assert set(made["intervals"].table()["method"].to_pylist()) == methods
    assert made["benchmark"].inputs["embeddings"] == lake.read("embeddings", "test_city").version
    details = made["benchmark"].details
    assert details["parameters"]["folds"] == 3
    assert {"published", "blocked"} <= set(details["parameters"]["protocols"])  # region.yaml has published scores
    assert details["facts"]["libraries"]["lightgbm"]
    assert details["tasks"]["income"].items() >= {"labels": 217, "dropped": {}, "leaks_allowed": False}.items()
    assert details["tasks"]["income"]["blocks"] > 1
    expected = hashlib.sha256((home / "labels.csv").read_bytes()).hexdigest()[:16]
    assert details["facts"]["labels, first 16 digits of SHA-256"] == {"labels.csv": expected}
    assert details["facts"]["versions"]["embeddings"] == made["benchmark"].inputs["embeddings"]
    assert "Where it errs" in (made["report"].path / "report.html").read_text()
    client = connect(TrackingSettings.of(home))
    tracked = client.get_run(made["benchmark"].details["mlflow_run"])
    assert "r2/coordinates/income/random/ridge" in tracked.data.metrics
    assert "published" in tracked.data.params["protocols"]
    page = report_html(from_lake(lake, Registry(home).load("test_city")))
    assert page == (made["report"].path / "report.html").read_text()
    assert [item.path for item in client.list_artifacts(tracked.info.run_id)] == ["report.html"]


def test_a_benchmark_of_before_is_shown_too(home: Path) -> None:
    """It told neither the tasks nor the preset, and its intervals had fewer columns."""
    assert run(home, benchmark_step()).committed
    lake, config = Lake(home / "lake"), Registry(home).load("test_city")
    whole = from_lake(lake, config)
    draft = lake.begin("embeddings", "test_city")
    draft.write(lake.read("embeddings", "test_city").table())
    draft.commit({"preset": "paper"})
    for name in ("intervals", "benchmark"):
        found = lake.read(name, "test_city")
        draft = lake.begin(name, "test_city", {"embeddings": lake.read("embeddings", "test_city")})
        draft.write(found.table().select(schemas.INTERVALS.names[:11]) if name == "intervals" else found.table())
        facts = {key: value for key, value in found.details["facts"].items() if key != "preset"}
        draft.commit({key: found.details[key] for key in ("mlflow_run", "parameters")} | {"facts": facts})
    before = from_lake(lake, config)
    assert before.intervals.schema.equals(schemas.INTERVALS)
    assert before.tasks["income"].items() < whole.tasks["income"].items()
    assert before.details == {**whole.details, "preset": "paper"}
    assert "labels.csv" in report_html(before)
    config.tasks["income"] = config.tasks["income"].model_copy(update={"leaks": "allowed"})
    assert "mean" not in set(from_lake(lake, config).intervals["task"].to_pylist())  # that mean held the label


def test_a_benchmark_without_trials_says_whether_tasks_are_missing(
    home: Path, region: Callable[..., RegionConfig]
) -> None:
    lake = Lake(home / "lake")
    draft = lake.begin("benchmark", "test_city")
    draft.write(schemas.BENCHMARK.empty_table())
    draft.commit({"parameters": {"protocols": ["grouped"], "methods": ["mora"]}})
    with pytest.raises(UserError, match=r"has tasks, but `benchmark` holds no trial: .* protocols \(grouped\)"):
        from_lake(lake, Registry(home).load("test_city"))
    with pytest.raises(UserError, match="has no tasks, so there is no benchmark"):
        from_lake(lake, region({}))


def test_ablations_publish_a_score_and_an_mlflow_run_a_variant(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run(home, ablations_step()).committed
    shown = caplog.text
    for line in ("layers: 1: variant 2 of 2", "layers: 1, epochs: 2 of 2, loss ", "layers: 1, fits: 5 of 5 ("):
        assert line in shown
    table = Lake(home / "lake").read("ablations", "test_city").table()
    assert base_graph_of(table) == "top 30 %"
    found = table.to_pandas()
    assert set(found["variant"]) == {"base", "layers: 1"}
    assert found["r2"].notna().all()
    assert (found["difference_low"].notna() == (found["variant"] != "base")).all()
    assert "| base (top 30 %) |" in ablation_markdown(table, {})
    client = connect(TrackingSettings.of(home))
    experiment = client.get_experiment_by_name("mora/test_city")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.params["variant"] for run in runs} == {"base", "layers: 1"}
    assert all("seconds" in run.data.metrics for run in runs)


def test_no_ablation_is_judged_by_a_label_that_may_leak(home: Path, region: Callable[..., RegionConfig]) -> None:
    leaking = {**INCOME, "leaks": "allowed"}
    region({"income": INCOME, "leaked": leaking}, modalities={"ages": AGES})
    assert run(home, ablations_step()).committed
    assert set(Lake(home / "lake").read("ablations", "test_city").table()["task"].to_pylist()) == {"income"}
    region({"leaked": leaking}, modalities={"ages": AGES})
    with pytest.raises(UserError, match="Every task of 'test_city' may leak"):
        run(home, ablations_step())


def test_no_champion_is_chosen_by_a_label_that_may_leak(home: Path, region: Callable[..., RegionConfig]) -> None:
    lake, leaking = Lake(home / "lake"), {**INCOME, "leaks": "allowed"}
    draft = lake.begin("distilled_encoder", "test_city")
    draft.write(lake.read("distilled_encoder", "test_city").table())
    draft.commit({"model_version": "1"})
    client = connect(TrackingSettings.of(home))
    client.create_registered_model("mora_test_city")
    client.create_model_version("mora_test_city", str(home))
    told: dict[str, dict[str, Any]] = {}
    for name, tasks in (("leaking", {"leaked": leaking}), ("both", {"income": INCOME, "leaked": leaking})):
        region(tasks, modalities={"ages": AGES})
        assert run(home, benchmark_step()).committed
        told[name] = dict(run(home, CHAMPION_STEP).metadata)
    assert told["leaking"]["champion"] == "none"
    assert "no score of the model on a task whose label may not leak" in told["leaking"]["reason"]
    assert told["both"]["promoted"]
    scores = json.loads(client.get_model_version("mora_test_city", "1").tags[SCORES])
    assert {name.split("|")[0] for name in scores} == {"income"}


def test_an_unknown_variant_is_told_which_there_are(home: Path) -> None:
    with pytest.raises(UserError, match=r"has a variant 'layers: 7'.*'base', 'layers: 1', 'layers: 3'"):
        run(home, ablations_step(), variants=["layers: 7"])


def test_the_seed_of_an_ablation_reaches_every_training(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def watched(
        inputs: Inputs, variant: Variant, alignment: AlignmentParameters, line: LineParameters, _: object
    ) -> Trained:
        told.append((alignment.seed, line.seed))
        return Trained(np.asarray(inputs.coordinates, dtype=np.float32), 0.0)

    monkeypatch.setattr("mora_pipeline.evaluation.ablation.variants.train_variant", watched)
    assert run(home, ablations_step(), training_seed=3).committed
    assert set(told) == {(3, 3)}


def test_ablations_that_nothing_could_be_judged_on_are_not_published() -> None:
    row = {"family": "base", "variant": "base", "task": "a", "split": "random", "seed": 1, "model": "ridge", "n": 9}
    scored, skipped = (pa.Table.from_pylist([{**row, "r2": r2}], schema=schemas.ABLATIONS) for r2 in (0.5, None))
    assert every_variant_scored(scored).passed
    assert not every_variant_scored(skipped).passed
    assert not every_variant_scored(schemas.ABLATIONS.empty_table()).passed


def test_a_region_without_tasks_is_not_ablated(home: Path, region: Callable[..., RegionConfig]) -> None:
    region({})
    with pytest.raises(UserError, match="has no tasks, so nothing can be ablated"):
        run(home, ablations_step())


def test_tables_of_different_runs_are_not_shown_as_one(home: Path) -> None:
    lake, config = Lake(home / "lake"), Registry(home).load("test_city")
    row = {"method": "m", "task": "t", "split": "random", "seed": 1, "model": "ridge", "n": 1, "r2": 0.1, "rmse": 1.0}
    tables = {"benchmark": pa.Table.from_pylist([row], schema=schemas.BENCHMARK)}
    tables |= {"intervals": schemas.INTERVALS.empty_table(), "predictions": schemas.PREDICTIONS.empty_table()}
    for run, names in (("one", tables), ("two", ["predictions"])):
        for name in names:
            draft = lake.begin(name, "test_city")
            draft.write(tables[name])
            draft.commit({"parameters": {}, "mlflow_run": run})
        if run == "one":
            assert from_lake(lake, config).scores.num_rows == 1
    with pytest.raises(UserError, match=r"`predictions` .* and `benchmark` .* are of different runs"):
        from_lake(lake, config)
