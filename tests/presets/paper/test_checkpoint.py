"""A training that was killed goes on as if it had not been, and no other training takes its state."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

import mora_pipeline
from mora_pipeline.presets.paper import checkpoint
from mora_pipeline.presets.paper.checkpoint import Checkpoint, State, alignment_key
from mora_pipeline.presets.paper.learner import Learner
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.presets.paper.trainer import train_alignment
from tests.presets.paper import train_and_die
from tests.presets.paper.train_and_die import arguments, checkpoint_in, train


def killed(folder: Path, where: str) -> None:
    """Train in a process of its own, which dies in its third epoch."""
    command = [sys.executable, "-m", "tests.presets.paper.train_and_die", str(folder), where]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


def losses(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in history]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("whole")
    return train(folder), checkpoint_in(folder).load()


def test_a_training_that_ends_in_its_first_epoch_has_left_its_notes(tmp_path, monkeypatch) -> None:
    """They name the MLflow run, which the next attempt goes on with."""
    kept = checkpoint_in(tmp_path)
    kept.notes["mlflow_run"] = "a run"
    monkeypatch.setattr(Learner, "train_epoch", lambda self, epoch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_alignment(*arguments(), checkpoint=kept)
    assert checkpoint_in(tmp_path).notes == {"mlflow_run": "a run"}


@pytest.mark.parametrize(("where", "kept"), [("training", 2), ("writing", 2), ("telling", 3)])
def test_a_killed_training_ends_with_the_bytes_of_an_uninterrupted_one(uninterrupted, tmp_path, where, kept) -> None:
    """Embeddings, weights, history, and the whole last state: optimiser and generator."""
    whole, last = uninterrupted
    killed(tmp_path, where)
    left = checkpoint_in(tmp_path).load()
    assert len(left.facts["history"]) == kept
    told: list[dict[str, float]] = []
    resumed = train(tmp_path, told.append)
    assert resumed.embeddings.tobytes() == whole.embeddings.tobytes()
    assert save(resumed.weights) == save(whole.weights)
    assert losses(resumed.history) == losses(whole.history)
    assert [entry["epoch"] for entry in told] == [1, 2, 3, 4, 5, 6]
    assert told[:kept] == left.facts["history"]  # taken over, seconds included, and not trained again
    assert save(checkpoint_in(tmp_path).load().tensors) == save(last.tensors)
    assert {"generator", "step/table", "exp_avg/table", "exp_avg_sq/heads.people_head.2.bias"} <= set(last.tensors)


def test_a_finished_training_is_not_trained_again(uninterrupted, tmp_path, monkeypatch) -> None:
    train(tmp_path)
    monkeypatch.setattr(train_and_die.Learner, "train_epoch", lambda self, epoch: pytest.fail("trained again"))
    assert train(tmp_path).embeddings.tobytes() == uninterrupted[0].embeddings.tobytes()


def another(value: object) -> object:
    """A value of the same kind, which it is not."""
    other = {"mobility": "poi", "auto": "cpu", "float32": "tf32"}
    if isinstance(value, str):
        return other[value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return {"poi": 0.5} if value == {} else ["poi"]


def test_every_input_and_setting_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    adjacency, line, modalities, parameters = arguments()
    poi, people = modalities
    other_values = dataclasses.replace(adjacency, values=adjacency.values * 2)
    other_indices = dataclasses.replace(adjacency, indices=adjacency.indices.flip(0))
    other_rows = dataclasses.replace(adjacency, indptr=adjacency.indptr.flip(0))
    changed = [
        (other_indices, line, modalities, parameters),
        (other_rows, line, modalities, parameters),
        (other_values, line, modalities, parameters),
        (adjacency, line + 1, modalities, parameters),
        (adjacency, line, [poi], parameters),
        (adjacency, line, [dataclasses.replace(poi, temperature=0.4), people], parameters),
        (adjacency, line, [dataclasses.replace(poi, vectors=poi.vectors * 2), people], parameters),
        (adjacency, line, [dataclasses.replace(poi, present=~poi.present), people], parameters),
    ]
    for name in AlignmentParameters.model_fields:
        changes = {name: another(getattr(parameters, name))}
        changed.append((adjacency, line, modalities, parameters.model_copy(update=changes)))
    keys = [alignment_key(*each) for each in [arguments(), *changed]]
    assert len(set(keys)) == len(keys)
    assert alignment_key(adjacency, line, modalities[::-1], parameters) == keys[0]


@pytest.mark.parametrize(
    ("owner", "name", "other"),
    [
        (checkpoint, "best_device", "cuda"),
        (torch, "get_num_threads", torch.get_num_threads() + 1),
        (torch, "__version__", "0.1"),
    ],
)
def test_other_devices_threads_and_versions_have_keys_of_their_own(monkeypatch, owner, name, other) -> None:
    before = alignment_key(*arguments())
    monkeypatch.setattr(owner, name, other if name == "__version__" else lambda *_: other)
    assert alignment_key(*arguments()) != before


def test_only_the_declared_format_stands_for_the_code(monkeypatch, tmp_path) -> None:
    """A comment in a module of training must not discard states; whoever changes its bytes raises the number."""
    before = alignment_key(*arguments())
    package = Path(mora_pipeline.__file__).parent
    shutil.copytree(package, tmp_path / "mora_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for module in (tmp_path / "mora_pipeline" / "presets").rglob("*.py"):
        module.write_text(f"{module.read_text()}\n# a comment\n")
    code = "from tests.presets.paper.train_and_die import *; from mora_pipeline.presets.paper import checkpoint; "
    code += "print(checkpoint.__file__, checkpoint.alignment_key(*arguments()))"
    path = os.pathsep.join([str(tmp_path), str(package.parent)])
    command = [sys.executable, "-c", code]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **threads, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "mora_pipeline/presets/paper/checkpoint.py"), before]
    monkeypatch.setattr(checkpoint, "TRAINING_FORMAT", checkpoint.TRAINING_FORMAT + 1)
    assert alignment_key(*arguments()) != before


def test_a_state_keeps_tensors_facts_and_notes_until_it_is_cleared(tmp_path) -> None:
    kept = Checkpoint(tmp_path / "states", "abc")
    assert (kept.load(), kept.notes) == (None, {})
    kept.notes["run"] = "r1"
    loss = 0.1 + 0.2
    kept.save(State({"a": torch.arange(6.0).reshape(2, 3).t()}, {"loss": loss}))
    again = Checkpoint(tmp_path / "states", "abc")
    assert again.notes == {"run": "r1"}
    assert again.load().facts == {"loss": loss}
    np.testing.assert_array_equal(again.load().tensors["a"], [[0, 3], [1, 4], [2, 5]])
    assert Checkpoint(tmp_path / "states", "other").load() is None
    again.clear()
    assert list((tmp_path / "states").iterdir()) == []


def test_a_damaged_state_is_told_and_training_starts_anew(tmp_path, caplog) -> None:
    kept = Checkpoint(tmp_path, "abc")
    kept.save(State({"a": torch.ones(3)}, {}))
    kept.file.write_bytes(kept.file.read_bytes()[:40])
    assert Checkpoint(tmp_path, "abc").load() is None
    assert "cannot be read" in caplog.text


def test_states_are_no_oftener_than_told(tmp_path) -> None:
    assert Checkpoint(tmp_path, "abc", every_seconds=0).is_due()
    assert not Checkpoint(tmp_path, "abc", every_seconds=3600).is_due()
