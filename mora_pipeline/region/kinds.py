"""The kinds of modalities: what region.yaml may say of each, and the registry that all else asks for a kind.

A kind is an object of the package `mora_pipeline.modalities`, or of another package that names it under the entry
point `mora_pipeline.modalities`. It is imported when it is first asked for, so that a region without imagery needs
nothing of what reads images.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Protocol

from pydantic import Field, PlainValidator, SerializeAsAny
from pydantic_core import PydanticCustomError, PydanticKnownError

from mora_pipeline.region.columns import Checker
from mora_pipeline.region.sections import Section

ENTRY_POINTS = "mora_pipeline.modalities"  # the group of entry points that kinds of other packages are found by
BUILT_IN = {name: f"mora_pipeline.modalities.{name}:KIND" for name in ("text", "image", "table")}


class ModalityConfig(Section):
    """What region.yaml says of a modality of any kind; each kind has a model of its own below this one."""

    kind: str
    temperature: float = Field(gt=0, description="temperature of its alignment loss")

    @property
    def backbone(self) -> str | None:
        """The frozen encoder that makes its vectors, as region.yaml names it; None if the kind has none."""
        return getattr(self, "encoder", None)

    def place_keys(self) -> list[str]:
        """The keys, below the modality's own, that refer to the table of places."""
        return []


class Kind(Protocol):
    """What region.yaml asks of a kind; `mora_pipeline.modalities.ModalityKind` is the whole of it."""

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> type[ModalityConfig]: ...

    def check_files(self, checker: Checker, key: str, config: Any) -> None: ...


_registered: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Add a kind for this process; an entry point adds it for all.

    Raises:
        ValueError: if there is a kind of that name.
    """
    if kind.name in kind_names():
        raise ValueError(f"there is a kind of modality '{kind.name}' already")
    _registered[kind.name] = kind


def unregister(name: str) -> None:
    """Take back what `register` added."""
    del _registered[name]


def kind_names() -> list[str]:
    """The names of all kinds; none is imported."""
    return [*_entry_points(), *_registered]


def kind_of(name: str) -> Kind:
    """The kind of that name, imported if it was not yet.

    Raises:
        KeyError: if there is none.
    """
    return _registered[name] if name in _registered else _loaded(name)


def all_kinds() -> list[Kind]:
    """All kinds, the built-in ones first."""
    return [kind_of(name) for name in kind_names()]


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    built_in = [EntryPoint(name, value, ENTRY_POINTS) for name, value in BUILT_IN.items()]
    found: dict[str, EntryPoint] = {}
    for point in [*built_in, *entry_points(group=ENTRY_POINTS)]:
        if found.setdefault(point.name, point).value != point.value:
            raise ValueError(
                f"two kinds of modality are called '{point.name}': {found[point.name].value}, {point.value}"
            )
    return found


@cache
def _loaded(name: str) -> Kind:
    kind: Kind = _entry_points()[name].load()
    return kind


def modality_config(data: Any) -> ModalityConfig:
    """What a part of region.yaml says of a modality, by the model of its kind."""
    if isinstance(data, ModalityConfig):
        return data
    if not isinstance(data, dict):
        raise PydanticKnownError("dict_type")
    names = kind_names()
    if "kind" not in data:
        what = f"{', '.join(names[:-1])} or {names[-1]}"
        raise PydanticCustomError("absent_key", "absent", {"key": "kind", "what": what})
    name = str(data["kind"])
    if name not in names:
        tags = ", ".join(f"'{one}'" for one in names)
        raise PydanticKnownError("union_tag_invalid", {"discriminator": "'kind'", "tag": name, "expected_tags": tags})
    return kind_of(name).config.model_validate(data)


Modality = Annotated[SerializeAsAny[ModalityConfig], PlainValidator(modality_config)]
