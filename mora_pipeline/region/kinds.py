"""The kinds of modalities that region.yaml may name, and the part of it that says what a modality is."""

from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainValidator, SerializeAsAny
from pydantic_core import PydanticCustomError, PydanticKnownError

from mora_pipeline.contract.plugins import Plugins
from mora_pipeline.region.columns import Checker, InputFile
from mora_pipeline.region.samples import RawTableRules
from mora_pipeline.region.sections import Section

Degrees = npt.NDArray[np.float64]
Coverage = tuple[npt.NDArray[np.bool_], tuple[str, ...]]  # which points are covered; remarks
BUILT_IN = {name: f"mora_pipeline.modalities.{name}:KIND" for name in ("text", "image", "table", "raster")}


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
    def config(self) -> type[ModalityConfig]: ...

    @property
    def job(self) -> str | None: ...

    def check_files(self, checker: Checker, key: str, config: Any) -> None: ...

    def raw_rules(self, key: str, config: Any, heads: list[InputFile]) -> RawTableRules | None: ...

    def covers(self, config: Any, base: Path, latitude: Degrees, longitude: Degrees) -> Coverage | None: ...


KINDS = Plugins[Kind]("kind of modality", "mora_pipeline.modalities", BUILT_IN)


def modality_config(data: Any) -> ModalityConfig:
    """What a part of region.yaml says of a modality, by the model of its kind."""
    if isinstance(data, ModalityConfig):
        return data
    if not isinstance(data, dict):
        raise PydanticKnownError("dict_type")
    names = KINDS.names()
    if "kind" not in data:
        what = f"{', '.join(names[:-1])} or {names[-1]}"
        raise PydanticCustomError("absent_key", "absent", {"key": "kind", "what": what})
    name = str(data["kind"])
    if name not in names:
        tags = ", ".join(f"'{one}'" for one in names)
        raise PydanticKnownError("union_tag_invalid", {"discriminator": "'kind'", "tag": name, "expected_tags": tags})
    return KINDS[name].config.model_validate(data)


Modality = Annotated[SerializeAsAny[ModalityConfig], PlainValidator(modality_config)]
