"""Training of any preset for its vectors alone: nothing is committed, and no MLflow run is left."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets.interface import Preset, Training
from mora_pipeline.tracking import TrackedRun

QUIET = logging.getLogger(f"{__name__}.training")  # epochs of a training that nobody asked to watch
QUIET.setLevel(logging.WARNING)


def train_untracked(preset: Preset[Any], region: RegionReader, settings: Parameters) -> npt.NDArray[np.float32]:
    """Vectors float32 [N, d] of a preset trained on a region, in the order of its cells.

    Args:
        region: what is read is recorded there.
        settings: of the preset.

    Raises:
        UserError: as `Preset.train` does.
    """
    with tempfile.TemporaryDirectory(prefix="mora-training-") as name:
        folder = Path(name)
        drafts = Lake(folder / "lake")  # an encoder, say, which goes with the folder
        training = Training(
            _NoTracker(), lambda dataset: drafts.begin(dataset, region.region), folder / "states", QUIET
        )
        return preset.train(region, settings, training).vectors


class _NoTracker:
    """Opens runs that record nothing."""

    @contextmanager
    def run(self, parameters: Mapping[str, Any], resume: str | None = None) -> Iterator[TrackedRun]:
        yield _NoRun()


class _NoRun(TrackedRun):
    """Takes what a training leaves in MLflow, and forgets it."""

    def __init__(self) -> None:
        self.run_id = "untracked"

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """See `TrackedRun.metrics`."""

    def flush(self) -> None:
        """See `TrackedRun.flush`."""

    def weights(self, name: str, tensors: Mapping[str, Any]) -> None:
        """See `TrackedRun.weights`."""

    def file(self, path: Path) -> None:
        """See `TrackedRun.file`."""

    def link(self) -> str:
        """See `TrackedRun.link`."""
        return ""
