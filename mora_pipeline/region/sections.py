"""What the sections of a region.yaml have in common: strict mappings of known keys, and the table of places."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.names import did_you_mean

Name = Annotated[str, Field(min_length=1)]
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


def point_or_place(section: Any) -> None:
    """Refuse a section that says twice where its rows are, or not at all."""
    has = [name for name in ("latitude", "longitude", "place") if getattr(section, name) is not None]
    if has not in (["latitude", "longitude"], ["place"]):
        given = ", ".join(has) or "neither"
        raise problem(f"must say where its rows are: either latitude and longitude, or place (it has {given})")


class PlacesConfig(Section):
    """A table of places: an id and a point each; any further columns (groups, population) are free."""

    path: Name = Field(description="file, folder or glob of the table of places")
    id: Name = Field(description="column of the place's id")
    latitude: Name = Field(description="column of the latitude, degrees")
    longitude: Name = Field(description="column of the longitude, degrees")
    maximum_bad_share: BadShare  # where the places make the cells
