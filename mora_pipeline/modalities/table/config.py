"""What region.yaml says of a modality of tables."""

import fnmatch
from typing import Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import BadShare, Located, Name, RawTable, checked_location, problem

TEMPERATURE = 0.7  # of the alignment loss (MoRA, released training core; method.md, "Alignment")


class LocationColumns(Located):
    """Columns that say where a row is."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        checked_location(self)
        return self


class TableModality(RawTable, ModalityConfig):
    """Histograms of places, such as ages: each group of columns sums to 1 within a cell."""

    kind: Literal["table"]
    place: Name | None = Field(default=None, description="column of the place's id")
    columns: LocationColumns | None = Field(default=None, description="where rows are, in place of place")
    weight: Name | None = Field(default=None, description="column that weights the places of a cell (default 1 each)")
    groups: dict[Name, Name] = Field(min_length=1, description="group: columns, as globs joined by |")
    aggregate: Literal["mean", "sum"] | None = Field(
        default=None,
        description="how several rows of a place become one: mean or sum (default: they are refused)",
    )
    temperature: float = Field(default=TEMPERATURE, gt=0, description="temperature of its alignment loss")
    maximum_bad_share: BadShare

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.place is None) == (self.columns is None):
            given = "neither" if self.place is None else "both"
            text = "must say where its rows are: either place, or columns with coordinates, a geometry or a cell"
            raise problem(f"{text} (it has {given})")
        if self.aggregate and not self.place:
            raise problem("has aggregate, which joins rows of one place, but no place. Name place, or remove aggregate")
        return self

    def place_keys(self) -> list[str]:
        return ["place"] if self.place else []

    def expanded_groups(self, columns: list[str]) -> dict[str, list[str]]:
        """The columns of each group, in the file's order; place, weight and coordinates never belong to one.

        Args:
            columns: all of the file's.
        """
        taken = {self.place, self.weight, *(self.columns.roles().values() if self.columns else ())}
        free = [column for column in columns if column not in taken]
        return {group: [column for column in free if _matches(column, globs)] for group, globs in self.groups.items()}


def _matches(column: str, globs: str) -> bool:
    return column == globs or any(column == item or fnmatch.fnmatchcase(column, item) for item in globs.split("|"))
