"""What a preset is: one object that says what it needs and makes the vectors of a region's cells."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.lake import Draft, Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.parameters import Parameters
from mora_pipeline.region import RegionConfig
from mora_pipeline.tracking import TrackedRun

Settings = TypeVar("Settings", bound=Parameters)


class RunTracker(Protocol):
    """Opens an MLflow run."""

    def run(self, parameters: Mapping[str, Any], resume: str | None = None) -> AbstractContextManager[TrackedRun]:
        """A run with these parameters, or the one of the id `resume`, which goes on."""


@dataclass(frozen=True)
class Training:
    """What a preset has beside the region while it trains.

    Attributes:
        tracker: opens its MLflow run.
        begin: a new dataset of the region beside its embeddings, which is committed with them.
        states: folder for the state of a training that may be killed; it outlives the run.
        log: for the people who watch.
    """

    tracker: RunTracker
    begin: Callable[[str], Draft]
    states: Path
    log: logging.Logger


@dataclass(frozen=True)
class EncodedRegion:
    """A region's cells and their vectors, and what is said of them.

    Attributes:
        table: the dataset `cells`, N rows.
        vectors: float32 [N, d], un-normalised, in the order of the cells.
        details: what the record of the embeddings says for programs; JSON.
        metadata: what people see of them: figures and texts by name.
        history: losses by epoch, for a picture; empty without epochs.
        link: Markdown that leads to the MLflow run; None without one.
        warnings: sentences for whoever reads the log.
        on_commit: called once the embeddings are committed.
        familiarity: float32 [N], in [0, 1]: how like the cells of the encoder's region each cell is; None without one.
        states: float32 [N, width], what an encoder saw of each cell: equal vectors of different states are a collapse.
    """

    table: pa.Table
    vectors: npt.NDArray[np.float32]
    details: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[dict[str, float]] = ()
    link: str | None = None
    warnings: Sequence[str] = ()
    on_commit: Callable[[], None] = lambda: None
    familiarity: npt.NDArray[np.float32] | None = None
    states: npt.NDArray[np.float32] | None = None


class Preset(ABC, Generic[Settings]):
    """A way to make embeddings; light to import: torch and the like are imported by its methods.

    Attributes:
        name: the value of `embeddings.preset`, and the key of its settings in the run config.
        description: one sentence for the run config.
        settings: its settings, all with defaults.
        inputs: names of the steps that it reads beside those that encode the modalities.
        transferable: whether its encoder, trained on one region, can embed another.
        code_version: another one for code that gives other vectors, which are then made anew.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    settings: ClassVar[type[Parameters]]
    inputs: ClassVar[tuple[str, ...]] = ("cells",)
    transferable: ClassVar[bool] = False
    code_version: ClassVar[str] = "1"

    @abstractmethod
    def train(self, region: RegionReader, settings: Settings, training: Training) -> EncodedRegion:
        """Train on a region and embed its cells. Equal inputs and settings give equal bytes on one machine.

        Raises:
            UserError: for a mistake in the user's data or settings.
        """

    def embed_with(self, region: RegionReader, encoder: str) -> EncodedRegion:
        """Embed a region by the encoder that was trained on the region `encoder`.

        Raises:
            UserError: if there is none, or it does not fit.
        """
        raise NotImplementedError(f"the encoder of preset {self.name} is not transferable")

    def check_declared(self, config: RegionConfig, encoder: str, lake: Lake) -> None:
        """Refuse, before anything long begins, an encoder that does not fit what region.yaml says of a region.

        Raises:
            UserError: naming both sides and the remedy.
        """
