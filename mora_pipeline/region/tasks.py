"""The labels a region.yaml may name to evaluate embeddings on: of cells, of groups of cells, of points."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.region.sections import Located, Name, RawTable, Section, checked_location, problem

MEAN = "mean"  # of all tasks, in what a benchmark writes; no task may have the name
Transform = Annotated[
    Literal["none", "log1p"], Field(default="none", description="none, or log1p of the aggregated value")
]

Leaks = Annotated[
    Literal["refused", "allowed"],
    Field(default="refused", description="refused, or allowed where the label is meant to be nearly an input column"),
]


class CellTask(RawTable, Located):
    """A label of cells, aggregated from places or points."""

    level: Literal["cell"]
    place: Name | None = Field(default=None, description="column of the place's id")
    column: Name = Field(description="column of the label")
    aggregate: Literal["mean", "sum"] = Field(default="mean", description="how the rows of a cell become one value")
    weight: Name | None = Field(default=None, description="column that weights a mean: of the labels, else of places")
    transform: Transform
    leaks: Leaks

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        checked_location(self)
        if self.aggregate == "sum" and self.weight is not None:
            raise problem("has a weight, but a sum has none. Remove weight, or write aggregate: mean")
        return self


class Members(RawTable, Located):
    """Which cells a group is made of: the cells of the places listed. Also names the groups that folds keep whole."""

    group: Name = Field(description="column of the group's id")
    place: Name | None = Field(default=None, description="column of the place's id")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        checked_location(self)
        return self


class GroupTask(RawTable):
    """A label of groups of cells, such as counties."""

    level: Literal["group"]
    id: Name = Field(description="column of the group's id")
    column: Name = Field(description="column of the label")
    transform: Transform
    leaks: Leaks
    members: Members = Field(description="which cells each group is made of")


class PointTask(RawTable, Located):
    """A label of points."""

    level: Literal["point"]
    column: Name = Field(description="column of the label")
    transform: Transform
    leaks: Leaks

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        checked_location(self)
        return self


TaskConfig = Annotated[CellTask | GroupTask | PointTask, Field(discriminator="level")]


class ReportedFolds(Section):
    """How the papers that are quoted split the labels: papers on other cities have other folds."""

    count: int = Field(default=10, ge=2, description="how many folds")
    shuffled: bool = Field(default=False, description="whether rows are shuffled first, or stay in the places' order")
    seed: int = Field(default=0, ge=0, description="seed of the shuffle, as scikit-learn's KFold takes it")
    positive_only: bool = Field(default=False, description="whether only rows with a label above 0 are used")


class ReportedScores(Section):
    """Scores that others report for the region's tasks, to be shown beside ours."""

    source: Name = Field(description="where the scores come from, for the reader of the report")
    scores: dict[Name, dict[Name, float]] = Field(description="R² by method, then by task; a method may lack tasks")
    folds: ReportedFolds | None = Field(default=None, description="how the scores were tested")
    epochs: dict[Name, Name] = Field(default={}, description="how a method's epoch was chosen, in words, by method")

    @model_validator(mode="after")
    def _epochs_of_its_methods(self) -> Self:
        for method in self.epochs:
            if method not in self.scores:
                raise problem(f"has epochs.{method}, but no scores.{method}", method, self.scores)
        return self
