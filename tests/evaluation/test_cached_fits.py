"""A benchmark computes what is new, and nothing else; what it takes over is what it would have computed."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.evaluation.cache import ArrayCache
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol import run
from mora_pipeline.evaluation.protocol.models import MODELS
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import FIT_SETTINGS, fit_key, run_benchmark
from mora_pipeline.evaluation.protocol.scores import scores_table
from mora_pipeline.evaluation.protocol.trials import make_trials

Make = Callable[..., Task]
QUICK = BenchmarkParameters(
    protocols=["paper", "random", "blocked", "linear"], trees=10, fast_trees=10, threads=2, seeds=[42]
)
FITTED = 3  # fitted on each method and task: LightGBM, fast LightGBM, the probe


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were made for a method and a task: none where all was cached."""
    seen: list[str] = []

    def watched(model: str, *arguments: Any) -> Any:
        seen.append(model)
        return MODELS[model](*arguments)

    monkeypatch.setattr(run, "MODELS", {model: partial(watched, model) for model in MODELS})
    return seen


@pytest.fixture
def task(make_task: Make) -> Callable[[str, int], Task]:
    return lambda name, seed: make_task(np.random.default_rng(seed).normal(size=200), name=name, num_blocks=10)


def scored(*arguments: Any, **named: Any) -> pa.Table:
    return scores_table(run_benchmark(*arguments, **named))


def test_only_what_changed_is_fitted_again(tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]) -> None:
    random, cache = np.random.default_rng(0), ArrayCache(tmp_path / "scores")
    methods = {"mora": random.normal(size=(200, 4)), "raw": random.normal(size=(200, 4))}
    tasks = [task("crime", 1), task("income", 2)]
    first = scored(methods, tasks, QUICK, cache=cache)
    assert len(fits) == 4 * FITTED
    assert scored(methods, tasks, QUICK.model_copy(update={"threads": 1}), cache=cache).equals(first)
    assert len(fits) == 4 * FITTED
    changed = {**methods, "mora": methods["mora"] + 1e-3}
    found = scored(changed, [tasks[0], task("income", 3)], QUICK, cache=cache)
    assert len(fits) == (4 + 3) * FITTED
    assert found.equals(scored(changed, [tasks[0], task("income", 3)], QUICK))


def test_another_seed_or_protocol_fits_only_its_own_trials(
    tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]
) -> None:
    methods, cache = {"mora": np.random.default_rng(0).normal(size=(200, 4))}, ArrayCache(tmp_path)
    scored(methods, [task("crime", 1)], QUICK, cache=cache)
    files = len(list(tmp_path.iterdir()))
    more = QUICK.model_copy(update={"protocols": [*QUICK.protocols, "few_shot"], "few_shot_labels": [10]})
    scored(methods, [task("crime", 1)], more, cache=cache)
    assert fits[FITTED:] == ["linear_probe"]
    assert len(list(tmp_path.iterdir())) == files + 1
    scored(methods, [task("crime", 1)], QUICK.model_copy(update={"seeds": [42, 43]}), cache=cache)
    assert sorted(fits[FITTED + 1 :]) == ["lightgbm_fast", "linear_probe"]


def test_another_way_from_cells_to_labels_fits_anew(
    tmp_path: Path, fits: list[str], task: Callable[[str, int], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    methods, cache = {"mora": np.random.default_rng(0).normal(size=(200, 4))}, ArrayCache(tmp_path)
    scored(methods, [task("crime", 1)], QUICK, cache=cache)
    monkeypatch.setattr(run, "features_of", lambda task, vectors: 2 * (task.membership @ vectors))
    scored(methods, [task("crime", 1)], QUICK, cache=cache)
    assert len(fits) == 2 * FITTED


def test_a_stopped_benchmark_goes_on(tmp_path: Path, fits: list[str], task: Callable[[str, int], Task]) -> None:
    random, cache = np.random.default_rng(0), ArrayCache(tmp_path / "scores")
    methods = {name: random.normal(size=(200, 4)) for name in ("mora", "raw", "line")}

    def stop(done: int, total: int, message: str) -> None:
        if message.startswith("line"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(methods, [task("crime", 1)], QUICK, stop, cache)
    del fits[:]
    told: list[tuple[int, int, str]] = []
    found = scored(methods, [task("crime", 1)], QUICK, lambda *step: told.append(step), cache)
    assert len(fits) == FITTED
    assert found.equals(scored(methods, [task("crime", 1)], QUICK))
    assert told[0][2] == "mora: crime, cached"
    assert told[-1][0] == told[-1][1]


def test_a_spoilt_file_is_computed_again(tmp_path: Path, task: Callable[[str, int], Task]) -> None:
    vectors, cache = np.random.default_rng(0).normal(size=(200, 4)), ArrayCache(tmp_path)
    first = scored({"mora": vectors}, [task("crime", 1)], QUICK, cache=cache)
    for at, file in enumerate(sorted(tmp_path.glob("*.npy"))):
        file.write_bytes(file.read_bytes()[: (0, 20, 200)[at % 3]])
    assert scored({"mora": vectors}, [task("crime", 1)], QUICK, cache=cache).equals(first)


def test_every_setting_of_a_fit_has_a_key_of_its_own(task: Callable[[str, int], Task]) -> None:
    trial = make_trials(task("crime", 1), QUICK)[0]
    keys = {fit_key("data", trial, QUICK)}
    for name in FIT_SETTINGS:
        keys.add(fit_key("data", trial, QUICK.model_copy(update={name: getattr(QUICK, name) + 1})))
    assert len(keys) == len(FIT_SETTINGS) + 1
    assert fit_key("other", trial, QUICK) not in keys


def test_every_other_setting_changes_what_is_fitted_or_nothing() -> None:
    """It reaches a fit as rows or vectors, which a key names themselves, or no fit at all."""
    of_rows = {"protocols", "seeds", "paper_seeds", "few_shot_labels", "test_share", "folds", "region_papers_folds",
               "region_papers_seed", "region_papers_shuffled", "region_papers_positive_only", "breadth",
               "transfer_from", "ridge_below_groups", "minimum_rows", "leak_bound"}  # fmt: skip
    of_vectors, of_neither = {"methods", "files", "raw_components", "best_of_seeds"}, {"threads", "resamples"}
    assert BenchmarkParameters.model_fields.keys() == of_rows | of_vectors | of_neither | set(FIT_SETTINGS)


def test_arrays_that_nobody_asks_for_are_forgotten(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    for key in ("asked", "forgotten"):
        cache.put(key, np.zeros(3))
        os.utime(tmp_path / f"{key}.npy", (0, 0))
    assert cache.get("asked") is not None
    assert cache.delete_unused() == 1
    assert cache.get("asked") is not None
    assert cache.get("forgotten") is None


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

    monkeypatch.setattr(run, "MODELS", dict.fromkeys(MODELS, slow))
    methods, parameters = {"mora": np.ones((200, 4))}, QUICK.model_copy(update={"threads": 1})
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(methods, [task("crime", 1)], parameters, stop)
    assert len(fitted) <= 3  # of more than ten
