"""The one interface of all kinds of modalities, and what is loaded of a region's modality."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.blocks import Block, principal
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.columns import Checker, InputFile
from mora_pipeline.region.kinds import KINDS, ModalityConfig
from mora_pipeline.region.samples import RawTableRules

if TYPE_CHECKING:
    from torch import nn

Config = TypeVar("Config", bound=ModalityConfig)
Vectors = npt.NDArray[np.float32]


class ModalityKind(ABC, Generic[Config]):
    """A kind of modality: all that the project needs to know of it, in one object that is light to import.

    Its cells are made in one of two ways. With a Spark `job`, raw rows become cells; they are made before the
    region's `cells`, which take them in. Without one, `grid` says what the modality has in each of those cells.

    Attributes:
        name: the value of `kind` in region.yaml.
        config: the model of what region.yaml says of such a modality.
        cells_schema: of `<kind>_cells/<modality>`, which has a column ``cell``.
        cells_about, features_about: what the two datasets hold and come from, for whoever looks at them.
        job: module of the Spark job that grids it, such as ``spark_jobs.grid_text``.
        job_outputs: the datasets that the job writes, less the modality's name, by the name of its output. The last
            is `<kind>_cells`.
        cells_checks: names of the checks that hold back its cells: those that the job reports.
        tags: what encodes it, as labels of the step.
        uses_gpu: whether a GPU encodes it where there is one.
        code_version: another one for code that gives other cells or features, which are then made anew.
    """

    name: ClassVar[str]
    config: ClassVar[type[ModalityConfig]]
    cells_schema: ClassVar[pa.Schema]
    cells_about: ClassVar[str]
    features_about: ClassVar[str]
    job: ClassVar[str | None] = None
    job_outputs: ClassVar[Mapping[str, str]] = {}
    cells_checks: ClassVar[tuple[str, ...]] = ("cells_known",)
    tags: ClassVar[frozenset[str]] = frozenset({"numpy"})
    uses_gpu: ClassVar[bool] = False
    code_version: ClassVar[str] = "1"

    @abstractmethod
    def check_files(self, checker: Checker, key: str, config: Config) -> None:
        """Verify the files and columns that a modality names.

        Args:
            checker: opens files, and keeps what it opened for the region's list of raw files.
            key: where region.yaml says it, such as ``modalities.poi``.

        Raises:
            UserError: for the first thing that is wrong.
        """

    def raw_rules(self, key: str, config: Config, heads: list[InputFile]) -> RawTableRules | None:
        """What the modality's raw table is to hold, so that a sample can be validated before a run; None: no table.

        Args:
            heads: of its files.
        """
        return None

    def covers(
        self, config: Config, base: Path, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]] | None:
        """Which points of a region the modality says something about, before anything runs.

        Args:
            base: the folder that relative paths start from.
            latitude, longitude: float64 [n], degrees: places, or a sample of them.

        Returns:
            Bool [n], and sentences about what was found, for people. None: only gridding can tell.

        Raises:
            UserError: if what region.yaml names cannot be read.
        """
        return None

    def job_parameters(self, region: RegionConfig, name: str, config: Config) -> dict[str, Any]:
        """The parameters of the Spark job for one modality, less ``output``."""
        raise NotImplementedError(f"modalities of kind {self.name} have no Spark job")

    def grid(self, reader: RegionReader, name: str, config: Config) -> pa.Table:
        """What one modality has in the region's cells: `cells_schema`, ascending by cell."""
        raise NotImplementedError(f"modalities of kind {self.name} are gridded by {self.job}")

    def figures(self, table: pa.Table, config: Config) -> dict[str, Any]:
        """What people may want to know of the cells that `grid` made, by name, for the record of the step."""
        return {}

    def weights_dataset(self, name: str, config: Config) -> str | None:
        """The dataset of how many people live in each cell (`cell`, `weight`), if the modality counts some."""
        return None

    def population(
        self, reader: RegionReader, name: str, config: Config, cells: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64] | None:
        """How many people live in each of `cells`, int64 [N], if a modality without a Spark job counts them.

        Float64 [N], NaN where it is unknown; None: it counts none.
        """
        return None

    @abstractmethod
    def encode(self, reader: RegionReader, name: str, config: Config, progress: Progress) -> CellVectors:
        """The frozen vectors, float32 [n, d], of the cells that have the modality, from the datasets of its cells."""

    def amounts(self, reader: RegionReader, name: str, config: Config) -> pa.Table | None:
        """How much of the modality is in each cell, which its vectors do not say: `contract.schemas.amounts`.

        Names are those of `contract.amounts`. None: it has none.
        """
        return None

    def input_columns(self, reader: RegionReader, name: str) -> list[str]:
        """The column of the user's data that each number of a vector is; empty if they are not columns.

        No label may be one of them, and an encoder fits another region only if they are the same there.
        """
        return []

    def head(self, input_dimension: int, dimension: int) -> "nn.Module":
        """The layers that map its vectors into the embedding's space; the preset initialises them."""
        from torch import nn

        return nn.Sequential(nn.Linear(input_dimension, dimension))

    def fit_block(self, vectors: Vectors, components: int) -> Block:
        """The map that brings its vectors, float32 [n, d], to the scale of all others in an encoder's input.

        Args:
            vectors: of the cells that have the modality.
            components: what the encoder reduces wide vectors to.
        """
        return principal(vectors, components)


def register(kind: ModalityKind[Any]) -> None:
    """Add a kind for this process; an entry point adds it for all.

    Raises:
        ValueError: if there is a kind of that name.
    """
    KINDS.register(kind.name, kind)


def unregister(name: str) -> None:
    """Take back what `register` added."""
    KINDS.unregister(name)


def kind_of(name: str) -> ModalityKind[Any]:
    """The kind that region.yaml names; `KeyError` if there is none."""
    return cast(ModalityKind[Any], KINDS[name])


def kinds() -> list[ModalityKind[Any]]:
    """All kinds, the built-in ones first."""
    return [kind_of(name) for name in KINDS.names()]


@dataclass(frozen=True)
class LoadedModality:
    """A modality of a region, in the row order of its cells.

    Attributes:
        vectors: float32 [N, d], frozen; rows of cells without the modality are never read.
        present: bool [N], true where the cell has the modality.
        temperature: what its cosines are divided by.
        amounts: ln(1 + amount), float32 [N, a]; 0 where it is unknown. a is 0 where the kind or the data have none.
        amount_names: of the columns of `amounts`.
        amounts_present: bool [N], true where the cell's amounts are known, be they 0: cells without a single text know
            theirs. All false where a = 0.
    """

    name: str
    kind: str
    vectors: Vectors
    present: npt.NDArray[np.bool_]
    temperature: float
    amounts: Vectors = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    amount_names: tuple[str, ...] = ()
    amounts_present: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def __post_init__(self) -> None:
        if not self.amount_names:  # none for each of the cells
            object.__setattr__(self, "amounts", np.zeros((len(self.vectors), 0), dtype=np.float32))
            object.__setattr__(self, "amounts_present", np.zeros(len(self.vectors), dtype=bool))

    @classmethod
    def read(cls, reader: RegionReader, name: str, cells: npt.NDArray[np.int64]) -> Self:
        """The features and the amounts of a modality on `cells`, int64 [N], ascending; an input.

        Raises:
            UserError: if they are missing, or not those of region.yaml and `cells`.
        """
        config = reader.config.modalities[name]
        vectors, present = reader.features(name).on(cells)
        names, amounts, known = reader.amounts(name, cells)
        return cls(name, config.kind, vectors, present, config.temperature, amounts, names, known)
