"""A benchmark computes what is new, and nothing else; what it takes over is what it would have computed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mora_pipeline.evaluation.protocol.scores_cache import OF_A_FIT, ArrayCache, key_of

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol import fitting
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark, scores_table
from mora_pipeline.evaluation.protocol.trials import make_trials

Make = Callable[..., Task]
QUICK = BenchmarkParameters(trees=10, fast_trees=10, threads=2, seeds=[42])
MODELS = 3  # fitted on each method and task: LightGBM, fast LightGBM, the probe


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were made for a method and a task: none where all was kept."""
    seen: list[str] = []
    make = fitting.make_regressor

    def watched(model: str, *arguments: Any) -> Any:
        seen.append(model)
        return make(model, *arguments)

    monkeypatch.setattr(fitting, "make_regressor", watched)
    return seen


@pytest.fixture
def task(make_task: Make) -> Callable[[str, int], Task]:
    return lambda name, seed: make_task(np.random.default_rng(seed).normal(size=200), name=name, num_blocks=10)


def judged(*arguments: Any, **named: Any) -> pa.Table:
    return scores_table(run_benchmark(*arguments, **named))


def test_only_what_changed_is_fitted_again(tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]) -> None:
    random, kept = np.random.default_rng(0), ArrayCache(tmp_path / "scores")
    methods = {"mora": random.normal(size=(200, 4)), "raw": random.normal(size=(200, 4))}
    tasks = [task("crime", 1), task("income", 2)]
    first = judged(methods, tasks, QUICK, kept=kept)
    assert len(fits) == 4 * MODELS
    assert judged(methods, tasks, QUICK.model_copy(update={"threads": 1}), kept=kept).equals(first)
    assert len(fits) == 4 * MODELS
    changed = {**methods, "mora": methods["mora"] + 1e-3}
    found = judged(changed, [tasks[0], task("income", 3)], QUICK, kept=kept)
    assert len(fits) == (4 + 3) * MODELS
    assert found.equals(judged(changed, [tasks[0], task("income", 3)], QUICK))


def test_another_seed_or_protocol_fits_only_its_own_trials(
    tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]
) -> None:
    methods, kept = {"mora": np.random.default_rng(0).normal(size=(200, 4))}, ArrayCache(tmp_path)
    judged(methods, [task("crime", 1)], QUICK, kept=kept)
    files = len(list(tmp_path.iterdir()))
    more = QUICK.model_copy(update={"protocols": [*QUICK.protocols, "few_shot"], "few_shot_labels": [10]})
    judged(methods, [task("crime", 1)], more, kept=kept)
    assert fits[MODELS:] == ["linear_probe"]
    assert len(list(tmp_path.iterdir())) == files + 1
    judged(methods, [task("crime", 1)], QUICK.model_copy(update={"seeds": [42, 43]}), kept=kept)
    assert sorted(fits[MODELS + 1 :]) == ["linear_probe", "lightgbm_fast"]


def test_another_way_from_cells_to_labels_fits_anew(
    tmp_path: Path, fits: list[str], task: Callable[[str, int], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    methods, kept = {"mora": np.random.default_rng(0).normal(size=(200, 4))}, ArrayCache(tmp_path)
    judged(methods, [task("crime", 1)], QUICK, kept=kept)
    monkeypatch.setattr(fitting, "features_of", lambda task, vectors: 2 * (task.membership @ vectors))
    judged(methods, [task("crime", 1)], QUICK, kept=kept)
    assert len(fits) == 2 * MODELS


def test_a_stopped_benchmark_goes_on(tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]) -> None:
    random, kept = np.random.default_rng(0), ArrayCache(tmp_path / "scores")
    methods = {name: random.normal(size=(200, 4)) for name in ("mora", "raw", "line")}

    def stop(done: int, total: int, message: str) -> None:
        if message.startswith("line"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(methods, [task("crime", 1)], QUICK, stop, kept)
    del fits[:]
    told: list[tuple[int, int, str]] = []
    found = judged(methods, [task("crime", 1)], QUICK, lambda *step: told.append(step), kept)
    assert len(fits) == MODELS
    assert found.equals(judged(methods, [task("crime", 1)], QUICK))
    assert told[0][2] == "mora: crime, as before"
    assert told[-1][0] == told[-1][1]


def test_a_spoilt_file_is_computed_again(tmp_path: Path, task: Callable[[str, int], Task]) -> None:
    vectors, kept = np.random.default_rng(0).normal(size=(200, 4)), ArrayCache(tmp_path)
    first = judged({"mora": vectors}, [task("crime", 1)], QUICK, kept=kept)
    for at, file in enumerate(sorted(tmp_path.glob("*.npy"))):
        file.write_bytes(file.read_bytes()[: (0, 20, 200)[at % 3]])
    assert judged({"mora": vectors}, [task("crime", 1)], QUICK, kept=kept).equals(first)


def test_every_setting_of_a_fit_has_a_key_of_its_own(task: Callable[[str, int], Task]) -> None:
    trial = make_trials(task("crime", 1), QUICK)[0]
    keys = {key_of(["data"], trial, QUICK)}
    for name in OF_A_FIT:
        keys.add(key_of(["data"], trial, QUICK.model_copy(update={name: getattr(QUICK, name) + 1})))
    assert len(keys) == len(OF_A_FIT) + 1
    assert key_of(["other"], trial, QUICK) not in keys


def test_every_other_setting_changes_what_is_fitted_or_nothing() -> None:
    """It reaches a fit as rows or vectors, which a key names themselves, or no fit at all."""
    of_rows = {"protocols", "seeds", "paper_seeds", "few_shot_labels", "test_share", "folds", "region_papers_folds",
               "transfer_from", "ridge_below_groups", "minimum_rows", "leak_bound"}  # fmt: skip
    of_vectors, of_neither = {"methods", "files", "raw_components"}, {"threads", "resamples"}
    assert BenchmarkParameters.model_fields.keys() == of_rows | of_vectors | of_neither | set(OF_A_FIT)


def test_arrays_that_nobody_asks_for_are_forgotten(tmp_path: Path) -> None:
    kept = ArrayCache(tmp_path)
    for key in ("asked", "forgotten"):
        kept.keep(key, np.zeros(3))
        os.utime(tmp_path / f"{key}.npy", (0, 0))
    assert kept.find("asked") is not None
    assert kept.forget() == 1
    assert kept.find("asked") is not None
    assert kept.find("forgotten") is None


def test_a_run_that_is_stopped_does_not_wait_for_fits_that_have_not_begun(
    task: Callable[[str, int], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[str] = []

    def slow(*_: Any) -> Callable[..., np.ndarray]:
        def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
            fitted.append("fit")
            time.sleep(0.2)
            return np.zeros(len(test))

        return predict

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "make_regressor", slow)
    methods, parameters = {"mora": np.ones((200, 4))}, QUICK.model_copy(update={"threads": 1})
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(methods, [task("crime", 1)], parameters, stop)
    assert len(fitted) <= 3  # of more than ten
