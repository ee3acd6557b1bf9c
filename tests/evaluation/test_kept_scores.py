"""A benchmark computes what is new, and nothing else; what it takes over is what it would have computed."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from mora_pipeline.evaluation import protocol
from mora_pipeline.evaluation.kept_scores import KeptScores, key_of
from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol import run_benchmark
from mora_pipeline.evaluation.tasks import Task

QUICK = BenchmarkParameters(trees=10, threads=2)


def task(name: str, seed: int) -> Task:
    target = np.random.default_rng(seed).normal(size=200)
    return Task(name, "cell", target, sparse.identity(200, format="csr"), np.arange(200) // 20)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods and tasks that were fitted."""
    seen: list[str] = []
    score = protocol._score

    def watched(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return score(*arguments)

    monkeypatch.setattr(protocol, "_score", watched)
    return seen


def test_only_what_changed_is_fitted_again(tmp_path: Path, fits: list[str]) -> None:
    random, kept = np.random.default_rng(0), KeptScores(tmp_path / "scores")
    methods = {"mora": random.normal(size=(200, 4)), "raw": random.normal(size=(200, 4))}
    tasks = [task("crime", 1), task("income", 2)]
    first = run_benchmark(methods, tasks, QUICK, kept=kept)
    assert len(fits) == 4
    assert run_benchmark(methods, tasks, QUICK.model_copy(update={"threads": 1}), kept=kept).equals(first)
    assert len(fits) == 4
    changed = {**methods, "mora": methods["mora"] + 1e-3}
    found = run_benchmark(changed, [tasks[0], task("income", 3)], QUICK, kept=kept)
    assert fits[4:] == ["mora: crime", "mora: income", "raw: income"]
    assert found.equals(run_benchmark(changed, [tasks[0], task("income", 3)], QUICK))


def test_a_stopped_benchmark_goes_on(tmp_path: Path, fits: list[str]) -> None:
    random, kept = np.random.default_rng(0), KeptScores(tmp_path / "scores")
    methods = {name: random.normal(size=(200, 4)) for name in ("mora", "raw", "line")}

    def stop(done: int, total: int, message: str) -> None:
        if message.startswith("line"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(methods, [task("crime", 1)], QUICK, stop, kept)
    told: list[tuple[int, int, str]] = []
    found = run_benchmark(methods, [task("crime", 1)], QUICK, lambda *step: told.append(step), kept)
    assert fits == ["mora: crime", "raw: crime", "line: crime", "line: crime"]
    assert found.equals(run_benchmark(methods, [task("crime", 1)], QUICK))
    assert told[1] == (24, 36, "raw: crime, as before")
    assert told[-1][:2] == (36, 36)


def test_a_spoilt_file_is_computed_again(tmp_path: Path) -> None:
    vectors, kept = np.random.default_rng(0).normal(size=(200, 4)), KeptScores(tmp_path)
    first = run_benchmark({"mora": vectors}, [task("crime", 1)], QUICK, kept=kept)
    for file in tmp_path.glob("*.json"):
        file.write_text(file.read_text()[:20])
    assert run_benchmark({"mora": vectors}, [task("crime", 1)], QUICK, kept=kept).equals(first)


def test_every_setting_that_matters_has_a_key_of_its_own() -> None:
    """All but those that are known to leave the scores as they are."""
    vectors, other = np.ones((200, 2)), {"seeds": [7], "splits": ["random"]}
    keys = {key_of(vectors, task("crime", 1), QUICK)}
    names = BenchmarkParameters.model_fields.keys() - {"threads", "raw_components"}
    for name in names:
        value = other[name] if name in other else getattr(QUICK, name) + 1
        keys.add(key_of(vectors, task("crime", 1), QUICK.model_copy(update={name: value})))
    assert len(keys) == len(names) + 1
    for name in ("threads", "raw_components"):
        assert key_of(vectors, task("crime", 1), QUICK.model_copy(update={name: 3})) in keys


def test_scores_that_nobody_asks_for_are_forgotten(tmp_path: Path) -> None:
    kept = KeptScores(tmp_path)
    for key in ("asked", "forgotten"):
        kept.keep(key, [])
        os.utime(tmp_path / f"{key}.json", (0, 0))
    assert kept.find("asked") == []
    assert kept.forget() == 1
    assert kept.find("asked") == []
    assert kept.find("forgotten") is None
