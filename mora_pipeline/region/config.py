"""RegionConfig: one region as its region.yaml describes it."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.region import checks, files, jobs
from mora_pipeline.region.embeddings import Embedding
from mora_pipeline.region.files import InputFile
from mora_pipeline.region.messages import parse_yaml, sentences
from mora_pipeline.region.mobility import Mobility, OdMobility
from mora_pipeline.region.modalities import Modality, TableModality, TextModality
from mora_pipeline.region.parts import Part, Places, problem
from mora_pipeline.region.tasks import MEAN, CellTask, GroupTask, Members, Published, Task

ANCHOR = "mobility"  # the name of the mobility modality, which no other may take
ModalityName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class RegionConfig(Part):
    """A region: where its raw data lies, what its columns mean, and what it is judged on."""

    region: str = Field(description="the region's name: lower-case letters, digits and _")
    resolution: int = Field(ge=0, le=15, description="H3 resolution of the cells")
    root: str = Field(default=".", description="folder that relative paths start from, relative to region.yaml")
    places: Places | None = Field(default=None, description="the table of places that place ids refer to")
    mobility: Mobility = Field(description="how people move, the anchor of all else")
    modalities: dict[ModalityName, Modality] = Field(default={}, description="evidence about cells, by name")
    embeddings: Embedding = Field(default=Embedding(), description="how its cells are embedded")
    tasks: dict[ModalityName, Task] = Field(default={}, description="labels to judge embeddings on, by name")
    blocks: dict[ModalityName, Members] = Field(
        default={}, description="groups of cells, such as states, that folds of the benchmark keep whole, by name"
    )
    published: Published | None = Field(default=None, description="scores that others published for the tasks")
    _file: Path = PrivateAttr(default=Path("region.yaml"))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a region.yaml (or the one in a folder). Data files are not opened; see `check_files`.

        Raises:
            UserError: for anything that is wrong with it, naming the key and the fix.
        """
        path = Path(path)
        path = path / "region.yaml" if path.is_dir() else path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{path.absolute()} does not exist. Give the path of a region.yaml.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path.absolute()} cannot be read as text: {error}.") from None
        data = parse_yaml(path.name, text)
        try:
            config = cls.model_validate(data)
        except ValidationError as error:
            raise UserError(sentences(path.name, error)) from None
        config._file = path.absolute()
        return config

    @field_validator("region")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        try:
            return checked_region_name(name)
        except UserError as error:
            raise problem(f"is no valid name: {error}".rstrip(".")) from None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if ANCHOR in self.modalities:
            raise problem(f"modalities.{ANCHOR} takes the name of the anchor. Give the modality another name")
        if MEAN in self.tasks:
            raise problem(f"tasks.{MEAN} takes the name of the mean over all tasks. Give the task another name")
        unknown = sorted({task for scores in self._published().values() for task in scores} - set(self.tasks))
        if unknown:
            raise problem(f"published.scores names {unknown[0]}, which is no task", unknown[0], self.tasks)
        if self.places and isinstance(self.mobility, OdMobility) and self.mobility.places:
            raise problem("mobility.places and places are both there. Keep one")
        if self.places_or_none() is None:
            for key in self._keys_that_need_places():
                raise problem(
                    f"{key} refers to places, but there is no table of places. Add places with path, id, "
                    "latitude and longitude"
                )
        return self

    def _published(self) -> dict[str, dict[str, float]]:
        return self.published.scores if self.published else {}

    def _keys_that_need_places(self) -> list[str]:
        keys = ["mobility.columns.origin"] if isinstance(self.mobility, OdMobility) else []
        for name, modality in self.modalities.items():
            if isinstance(modality, TextModality) and modality.columns.place:
                keys.append(f"modalities.{name}.columns.place")
            if isinstance(modality, TableModality) and modality.place:
                keys.append(f"modalities.{name}.place")
        for name, task in self.tasks.items():
            if isinstance(task, CellTask) and task.place:
                keys.append(f"tasks.{name}.place")
            if isinstance(task, GroupTask) and task.members.place:
                keys.append(f"tasks.{name}.members.place")
        keys += [f"blocks.{name}.place" for name, members in self.blocks.items() if members.place]
        return keys

    @property
    def file(self) -> Path:
        """The region.yaml it was read from, absolute."""
        return self._file

    @property
    def base(self) -> Path:
        """The absolute folder that relative paths start from."""
        return (self._file.absolute().parent / self.root).resolve()

    def places_or_none(self) -> Places | None:
        """The table of places, wherever it is declared."""
        within = self.mobility.places if isinstance(self.mobility, OdMobility) else None
        return self.places or within

    def files(self, path_pattern: str) -> list[Path]:
        """The data files a path, folder or glob of region.yaml stands for: absolute, sorted.

        Raises:
            UserError: if there are none, or one is neither CSV nor Parquet.
        """
        return files.data_files(self.base, path_pattern, f"{self.file.name}: a path ")

    def check_files(self) -> list[InputFile]:
        """Open the header of every file, and verify that each column is there and of the right type.

        Raises:
            UserError: for the first file, column or type that is wrong.
        """
        return checks.check_files(self)

    def mobility_job(self) -> dict[str, Any]:
        """Parameters of the Spark job `grid_mobility`, less `output` and, where there are `weeks`, `kept`."""
        return jobs.mobility_job(self)

    def text_job(self, name: str) -> dict[str, Any]:
        """Parameters of the Spark job `grid_text` for one text modality, less `output`."""
        return jobs.text_job(self, name)

    def table_job(self, name: str) -> dict[str, Any]:
        """Parameters of the Spark job `grid_table` for one table modality, less `output`; globs are expanded."""
        return jobs.table_job(self, name)
