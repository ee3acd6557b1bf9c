"""RegionConfig: one region as its region.yaml describes it."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.raw.folders import Found, find_files
from mora_pipeline.raw.roots import checked_base
from mora_pipeline.region.embeddings import EmbeddingDefaults
from mora_pipeline.region.extent import ExtentConfig
from mora_pipeline.region.kinds import KINDS, Modality, ModalityConfig
from mora_pipeline.region.messages import sentences
from mora_pipeline.region.mobility import Mobility, OdMobility
from mora_pipeline.region.sections import PlacesConfig, Section, problem
from mora_pipeline.region.tasks import MEAN, CellTask, GroupTask, Members, ReportedScores, TaskConfig
from mora_pipeline.region.yaml_text import read_yaml

ANCHOR = "mobility"  # the name of the mobility modality, which no other may take
NO_MOBILITY = "region.yaml has no mobility"
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class RegionConfig(Section):
    """A region: where its raw data is, what its columns mean, and what its embeddings are evaluated on."""

    region: str = Field(description="the region's name: lower-case letters, digits and _")
    resolution: int = Field(ge=0, le=15, description="H3 resolution of the cells")
    root: str = Field(default=".", description="folder that relative paths start from, relative to region.yaml")
    places: PlacesConfig | None = Field(default=None, description="the table of places that place ids refer to")
    mobility: Mobility | None = Field(
        default=None, description="how people move, the anchor of all else; none only with embeddings.encoder"
    )
    modalities: dict[Key, Modality] = Field(default={}, description="evidence about cells, by name")
    extent: ExtentConfig | None = Field(
        default=None, description="how far it reaches; by default its cells are those that mobility sees"
    )
    embeddings: EmbeddingDefaults = Field(default=EmbeddingDefaults(), description="how its cells are embedded")
    tasks: dict[Key, TaskConfig] = Field(default={}, description="labels to evaluate embeddings on, by name")
    blocks: dict[Key, Members] = Field(
        default={}, description="groups of cells, such as states, that folds of the benchmark keep whole, by name"
    )
    published: ReportedScores | None = Field(default=None, description="scores that others report for the tasks")
    _file: Path = PrivateAttr(default=Path("region.yaml"))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a region.yaml (or the one in a folder). Data files are not opened; see `checks.check_files`.

        Raises:
            UserError: for anything that is wrong with it, naming the key and the fix.
        """
        path = Path(path)
        path = path / "region.yaml" if path.is_dir() else path
        data = read_yaml(path)
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
            raise problem(f"is not a valid name: {error}".rstrip(".")) from None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if ANCHOR in self.modalities:
            raise problem(f"modalities.{ANCHOR} takes the name of the anchor. Give the modality another name")
        if MEAN in self.tasks:
            raise problem(f"tasks.{MEAN} takes the name of the mean over all tasks. Give the task another name")
        scores = self.published.scores.values() if self.published else []
        unknown = sorted({task for by_task in scores for task in by_task} - set(self.tasks))
        if unknown:
            raise problem(f"published.scores names {unknown[0]}, which is not a task", unknown[0], self.tasks)
        if self.places and isinstance(self.mobility, OdMobility) and self.mobility.places:
            raise problem("mobility.places and places are both there. Keep one")
        if self.places_or_none() is None:
            for key in self._keys_that_need_places():
                raise problem(
                    f"{key} refers to places, but there is no table of places. Add places with path, id, and "
                    "latitude and longitude (or geometry, or cell)"
                )
        if self.mobility is None:
            self._check_without_mobility()
        return self

    def _check_without_mobility(self) -> None:
        encoder = self.embeddings.encoder
        if encoder in (None, self.region):
            instead = "embeddings.encoder names no other region" if encoder else "so is embeddings.encoder"
            raise problem(
                f"mobility is missing, and {instead}. Add mobility, which embeddings are trained on; or, where nobody "
                "knows how people move, write embeddings: {encoder: REGION}, a region whose encoder embeds this one"
            )
        if self.places is None and not any(KINDS[one.kind].job for one in self.modalities.values()):
            raise problem(
                "mobility is missing, and nothing else says which cells the region has. Add places, or a modality of "
                "texts or tables"
            )

    def _keys_that_need_places(self) -> list[str]:
        keys = list[str]()  # without places, the ends of flows are H3 cells
        for name, modality in self.modalities.items():
            keys += [f"modalities.{name}.{key}" for key in modality.place_keys()]
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
        """The absolute folder that relative paths start from.

        Raises:
            UserError: if the region may not read it (`mora_pipeline.raw.roots`).
        """
        return checked_base(self._file.absolute().parent, self.root, f"{self._file.name}: ")

    def base_of(self, *named: str | BaseModel) -> Path:
        """As `base`, for whoever opens nothing but what these paths, or these parts of region.yaml, name."""
        return self.base

    def modalities_of(self, kind: str) -> dict[str, ModalityConfig]:
        """The modalities of a kind, in the order of region.yaml."""
        return {name: item for name, item in self.modalities.items() if item.kind == kind}

    def places_or_none(self) -> PlacesConfig | None:
        """The table of places, wherever it is declared."""
        within = self.mobility.places if isinstance(self.mobility, OdMobility) else None
        return self.places or within

    def files(self, path_pattern: str) -> list[Path]:
        """The data files that a path, folder or glob of region.yaml names: absolute, sorted.

        Raises:
            UserError: if there are none, or they are not of one known format (`mora_pipeline.raw.folders`).
        """
        return list(self.find(path_pattern).files)

    def find(self, path_pattern: str) -> Found:
        """As `files`, with what is odd about them."""
        return find_files(self.base_of(path_pattern), path_pattern, f"{self.file.name}: a path ")
