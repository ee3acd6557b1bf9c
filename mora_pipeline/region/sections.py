"""What the sections of a region.yaml have in common: strict mappings of known keys, and the table of places."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.dialect import checked_settings

Name = Annotated[str, Field(min_length=1)]
LOCATION = ("latitude", "longitude", "place", "geometry", "cell")  # keys that say where rows are
BadShare = Annotated[
    float, Field(default=MAXIMUM_BAD_SHARE, ge=0, le=1, description="share of rows that may be bad before a run fails")
]


class Section(BaseModel):
    """A mapping of region.yaml: strict types, and unknown keys answered with the known ones."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_its_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for key in data:
            if key not in cls.model_fields:
                raise PydanticCustomError("unknown_key", "unknown", {"key": key, "known": tuple(cls.model_fields)})
        for key, field in cls.model_fields.items():
            if field.is_required() and key not in data:
                raise PydanticCustomError("absent_key", "absent", {"key": key, "what": field.description})
        return data

    def roles(self, *names: str) -> dict[str, str]:
        """The columns that are named, by role: of the keys `names`, by default of all."""
        return self.model_dump(include=set(names) or None, exclude_none=True)


def problem(message: str, word: object = None, choices: Iterable[str] = ()) -> PydanticCustomError:
    """A mistake that only a look at several keys shows; `message` reads on after the key's path."""
    ending = did_you_mean(str(word), choices) if word is not None else ""
    return PydanticCustomError("region", "{message}", {"message": f"{message}.{ending}"})


def checked_location(section: Any) -> None:
    """Refuse a section that says twice where its rows are, or not at all."""
    names = [name for name in LOCATION if name in type(section).model_fields]
    has = [name for name in names if getattr(section, name) is not None]
    if has != ["latitude", "longitude"] and not (len(has) == 1 and has[0] in names[2:]):
        others = f"{', '.join(names[2:-1])} or {names[-1]}"
        given = ", ".join(has) or "none"
        raise problem(f"must say where its rows are: latitude and longitude, or {others} (it has {given})")


def _as_list(value: Any) -> Any:
    """One text or number where several may be said."""
    return value if value is None or isinstance(value, list | dict) else [value]


Nulls = Annotated[list[str | int | float] | None, BeforeValidator(_as_list)]


class CsvDialect(Section):
    """How CSV files are written; what is not said is taken from the head of each file."""

    separator: str | None = Field(default=None, min_length=1, description="between columns: , ; | or tab")
    encoding: Name | None = Field(default=None, description="of the text, such as utf-8, latin-1 or cp1252")
    decimal: Literal[".", ","] | None = Field(default=None, description="decimal mark: . or ,")
    thousands: str | None = Field(default=None, description="thousands mark; '': none")
    quote: str | None = Field(default=None, description="around values that hold separators; '': none")
    escape: str | None = Field(default=None, description="before a quote inside quotes; '': it is doubled")
    skip_lines: int | None = Field(default=None, ge=0, description="lines before the header")
    null: Nulls = Field(default=None, description="texts and numbers that mean: no value")
    multiline: bool | None = Field(default=None, description="whether a value in quotes may hold line breaks")

    @model_validator(mode="after")
    def _fits_the_reader(self) -> Self:
        try:
            checked_settings(self.declared())
        except UserError as error:
            raise problem(f"cannot be read by: {error}".rstrip(".")) from None
        return self

    def declared(self) -> dict[str, Any]:
        """What is said, as the reader takes it."""
        said = self.model_dump(exclude_none=True)
        return {**said, **({"null": [str(value) for value in said["null"]]} if "null" in said else {})}


class RawTable(Section):
    """A table of raw files: where it is, how it is written, and which of its rows are read."""

    path: Name = Field(description="file, folder or glob")
    csv: CsvDialect | None = Field(
        default=None, description="how CSV files are written, where their head does not tell"
    )
    null: Nulls = Field(default=None, description="texts and numbers that mean that there is no value")
    where: Name | None = Field(default=None, description="which rows are read, such as confidence > 0.5")
    crs: Name | None = Field(default=None, description="coordinate system of a geometry, where its file states none")
    layer: Name | None = Field(default=None, description="layer of a vector file that has several")
    file_names: Name | None = Field(
        default=None, description="columns that the files' names hold, such as od_{year}_{mode}.csv"
    )

    def options(self) -> dict[str, Any]:
        """What is said beside the path and the columns, as `raw.source.Source` takes it."""
        options = {
            "csv": self.csv.declared() if self.csv else None,
            "null": [str(value) for value in self.null or []] or None,
            "where": self.where,
            "crs": self.crs,
            "layer": self.layer,
            "name_pattern": self.file_names,
        }
        return {name: value for name, value in options.items() if value}


class Located(Section):
    """Where rows are, in place of the ids of places."""

    latitude: Name | None = Field(default=None, description="column of the latitude, degrees")
    longitude: Name | None = Field(default=None, description="column of the longitude, degrees")
    geometry: Name | None = Field(default=None, description="column of a point or polygon, in place of coordinates")
    cell: Name | None = Field(default=None, description="column of an H3 cell, in place of coordinates")

    def location(self) -> dict[str, str]:
        """The columns that say where rows are, by role."""
        return self.roles(*(name for name in LOCATION if name in type(self).model_fields))


class PlacesConfig(RawTable, Located):
    """A table of places: an id and a point, polygon or H3 cell each; further columns (groups, population) are free."""

    id: Name = Field(description="column of the place's id")
    maximum_bad_share: BadShare  # where the places make the cells

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        checked_location(self)
        return self

    def place_roles(self) -> dict[str, str]:
        """The columns of the id and of the location, by role."""
        return {"id": self.id, **self.location()}
