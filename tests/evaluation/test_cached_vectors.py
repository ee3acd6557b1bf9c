"""Cached vectors are used again for the same training, and for no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mora_pipeline.evaluation.cache import cached_or_train

SAME: dict[str, Any] = {"arrays": {"flow": np.arange(3.0)}, "settings": {"epochs": 2}, "device": "cpu"}


@pytest.mark.parametrize(
    ("changed", "trainings"),
    [
        ({}, 1),
        ({"arrays": {"flow": np.arange(4.0)}}, 2),
        ({"settings": {"epochs": 3}}, 2),
        ({"device": "cuda"}, 2),  # its sums are rounded otherwise
    ],
)
def test_vectors_are_trained_once_for_each_input_setting_and_device(
    tmp_path: Path, changed: dict[str, Any], trainings: int
) -> None:
    done: list[int] = []

    def train() -> np.ndarray:
        done.append(len(done))
        return np.full((2, 2), len(done), np.float32)

    first = cached_or_train(tmp_path, train=train, **SAME)
    second = cached_or_train(tmp_path, train=train, **{**SAME, **changed})
    assert len(done) == trainings
    assert np.array_equal(first, second) == (trainings == 1)
