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
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.training import Trained, Variant
from mora_pipeline.evaluation.promotion import SCORES
from mora_pipeline.evaluation.protocol.scores import mean_scores
from mora_pipeline.evaluation.report.ablations import ablation_markdown, base_graph_of
from mora_pipeline.evaluation.report.data import from_lake
from mora_pipeline.evaluation.report.page import report_html
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
    "benchmark": {"trees": 10, "fast_trees": 10, "seeds": [42], "folds": 3, "resamples": 100},
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
    methods = {"mora", "inputs", "inputs_surroundings", "raw", "distilled", "coordinates"}
    assert set(made["benchmark"].table()["method"].to_pylist()) == methods
    assert set(made["intervals"].table()["method"].to_pylist()) == methods
    assert made["benchmark"].inputs["embeddings"] == lake.read("embeddings", "test_city").version
    details = made["benchmark"].details
    assert details["parameters"]["folds"] == 3
    assert {"region_papers", "blocked"} <= set(details["parameters"]["protocols"])  # region.yaml has published scores
    assert details["facts"]["libraries"]["lightgbm"]
    assert details["tasks"]["income"].items() >= {"labels": 217, "dropped": {}, "leaks_allowed": False}.items()
    assert details["tasks"]["income"]["blocks"] > 1
    expected = hashlib.sha256((home / "labels.csv").read_bytes()).hexdigest()[:16]
    assert details["facts"]["labels, first 16 digits of SHA-256"] == {"labels.csv": expected}
    assert details["facts"]["versions"]["embeddings"] == made["benchmark"].inputs["embeddings"]
    assert "Where it errs" in (made["report"].path / "report.html").read_text()
    client = connect(TrackingSettings.of(home))
    tracked = client.get_run(made["benchmark"].details["mlflow_run"])
    assert "r2/coordinates/income/random/linear_probe" in tracked.data.metrics
    assert "region_papers" in tracked.data.params["protocols"]
    page = report_html(from_lake(lake, Registry(home).load("test_city")))
    assert page == (made["report"].path / "report.html").read_text()
    assert [item.path for item in client.list_artifacts(tracked.info.run_id)] == ["report.html"]


def test_a_benchmark_of_another_form_is_refused_with_the_fix(home: Path) -> None:
    lake, config = Lake(home / "lake"), Registry(home).load("test_city")
    row = {"method": "m", "task": "t", "split": "random", "seed": 1, "model": "ridge", "n": 1, "r2": 0.1, "rmse": 1.0}
    draft = lake.begin("benchmark", "test_city")
    draft.write(pa.Table.from_pylist([row], schema=schemas.BENCHMARK))
    draft.commit({"parameters": {"protocols": ["published"]}, "tasks": {}, "facts": {}})
    with pytest.raises(UserError, match=r"another version of the benchmark. Make it again: mora benchmark test_city"):
        from_lake(lake, config)


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


@pytest.fixture
def models(home: Path) -> Callable[[], Any]:
    """Registers a version of the region's model, as `distilled_encoder` does; MLflow's client."""
    lake, client = Lake(home / "lake"), connect(TrackingSettings.of(home))
    client.create_registered_model("mora_test_city")

    def register() -> Any:
        version = client.create_model_version("mora_test_city", str(home)).version
        draft = lake.begin("distilled_encoder", "test_city", {"embeddings": lake.read("embeddings", "test_city")})
        draft.write(lake.read("distilled_encoder", "test_city").table())
        draft.commit({"model_version": str(version)})
        return client

    return register


def test_no_version_is_compared_by_a_label_that_may_leak(
    home: Path, region: Callable[..., RegionConfig], models: Callable[[], Any]
) -> None:
    region({"income": INCOME, "leaked": {**INCOME, "leaks": "allowed"}}, modalities={"ages": AGES})
    client = models()
    assert run(home, benchmark_step()).committed
    assert run(home, CHAMPION_STEP).metadata["promoted"]
    scores = json.loads(client.get_model_version("mora_test_city", "1").tags[SCORES])
    assert {name.split("|")[0] for name in scores} == {"income"}


def test_where_the_only_task_may_leak_the_first_version_serves_and_none_takes_over(
    home: Path, region: Callable[..., RegionConfig], models: Callable[[], Any]
) -> None:
    region({"leaked": {**INCOME, "leaks": "allowed"}}, modalities={"ages": AGES})
    outcomes = []
    for version in ("1", "2"):
        client = models()
        assert run(home, benchmark_step(), methods=["distilled"], protocols=["linear"]).committed
        outcomes.append(dict(run(home, CHAMPION_STEP).metadata))
        assert client.get_model_version("mora_test_city", version).tags[SCORES] == "{}"
    assert [one["promoted"] for one in outcomes] == [True, False]
    assert [one["champion"].rpartition("/")[2] for one in outcomes] == ["1", "1"]
    assert outcomes[0]["candidate_r2"] == "none"
    assert "no score of the model on a task whose label may not leak: no change" in outcomes[1]["reason"]


def test_the_methods_that_a_setting_stands_for_can_choose_the_champion(home: Path, models: Callable[[], Any]) -> None:
    client = models()
    assert run(home, benchmark_step(), methods=["raw:each", "mora"], protocols=["linear"]).committed
    unknown = dict(run(home, CHAMPION_STEP, method="raw:homes").metadata)
    assert not unknown["promoted"]
    assert "did not score 'raw:homes', whose scores decide; it scored raw:ages, mora." in unknown["reason"]
    assert run(home, CHAMPION_STEP, method="raw:ages").metadata["promoted"]
    scores = json.loads(client.get_model_version("mora_test_city", "1").tags[SCORES])
    table = Lake(home / "lake").read("benchmark", "test_city").table()
    assert scores == mean_scores(table, "raw:ages")
    assert scores


def test_a_region_without_tasks_gets_a_champion_that_stays_until_versions_can_be_compared(
    home: Path, region: Callable[..., RegionConfig], models: Callable[[], Any]
) -> None:
    outcomes = []
    for tasks in ({}, {}, {"income": INCOME}):
        region(tasks, modalities={"ages": AGES})
        models()
        assert run(home, benchmark_step()).committed
        outcomes.append(dict(run(home, CHAMPION_STEP).metadata))
    assert [one["champion"].rpartition("/")[2] for one in outcomes] == ["1", "1", "3"]
    first, second, third = (one["reason"] for one in outcomes)
    assert first == "There was no champion before. The benchmark has no task to compare versions on."
    assert "no score of the model on a task whose label may not leak: no change" in second
    assert third == "The champion has no scores to compare with."


def test_a_method_that_the_benchmark_leaves_out_changes_nothing_and_says_how_to_add_it(
    home: Path, models: Callable[[], Any]
) -> None:
    models()
    assert run(home, benchmark_step(), methods=["mora", "line"]).committed
    left_out = dict(run(home, CHAMPION_STEP).metadata)
    assert not left_out["promoted"]
    assert "did not score 'distilled'" in left_out["reason"]
    assert '--set "methods=[mora, line, distilled]"' in left_out["reason"]
    assert run(home, CHAMPION_STEP, method="mora").metadata["promoted"]  # the encoder was distilled from these
    models()
    assert run(home, benchmark_step()).committed
    models()
    with pytest.raises(UserError, match="scored another distilled encoder"):
        run(home, CHAMPION_STEP)


def test_an_unknown_variant_is_told_which_there_are(home: Path) -> None:
    with pytest.raises(UserError, match=r"has a variant 'layers: 7'.*'base', 'layers: 1', 'layers: 3'"):
        run(home, ablations_step(), variants=["layers: 7"])


def test_the_seed_of_an_ablation_reaches_every_training(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def watched(
        inputs: MethodContext, variant: Variant, alignment: AlignmentParameters, line: LineParameters, _: object
    ) -> Trained:
        told.append((alignment.seed, line.seed))
        return Trained(np.asarray(inputs.coordinates, dtype=np.float32), 0.0)

    monkeypatch.setattr("mora_pipeline.evaluation.ablation.run.train_variant", watched)
    assert run(home, ablations_step(), training_seed=3).committed
    assert set(told) == {(3, 3)}


def test_ablations_that_nothing_could_be_judged_on_are_not_published() -> None:
    row = {
        "family": "base",
        "variant": "base",
        "task": "a",
        "split": "random",
        "seed": 1,
        "model": "linear_probe",
        "n": 9,
    }
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
    row = {
        "method": "m",
        "task": "t",
        "split": "random",
        "seed": 1,
        "model": "linear_probe",
        "n": 1,
        "r2": 0.1,
        "rmse": 1.0,
    }
    tables = {"benchmark": pa.Table.from_pylist([row], schema=schemas.BENCHMARK)}
    tables |= {"intervals": schemas.INTERVALS.empty_table(), "predictions": schemas.PREDICTIONS.empty_table()}
    for run, names in (("one", tables), ("two", ["predictions"])):
        for name in names:
            draft = lake.begin(name, "test_city")
            draft.write(tables[name])
            draft.commit({"parameters": {}, "tasks": {}, "facts": {}, "mlflow_run": run})
        if run == "one":
            assert from_lake(lake, config).scores.num_rows == 1
    with pytest.raises(UserError, match=r"`predictions` .* and `benchmark` .* are of different runs"):
        from_lake(lake, config)
