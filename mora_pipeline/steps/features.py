"""Frozen input vectors of the cells, one step a kind of modality and one dataset a modality: `features/<modality>`."""

from functools import partial
from typing import Any

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.modalities import ModalityKind, kinds
from mora_pipeline.steps.checks import cells_known, no_nan
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.tables import coverage_table


def encode(
    region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker, *, kind: ModalityKind[Any]
) -> StepResult:
    """Encode every modality of a kind and write it as `features/<modality>`."""
    cells = region.cells()
    vectors: dict[str, CellVectors] = {}
    for name, modality in region.modalities(kind.name).items():
        vectors[name] = kind.encode(region, name, modality, partial(progress, f"{name} features"))
        details = {"kind": kind.name, "encoder": modality.backbone}
        region.begin(f"features/{name}", details=details).write(vectors[name].to_table())
    checks = [
        cells_known({name: item.cells for name, item in vectors.items()}, cells),
        no_nan({name: item.vectors for name, item in vectors.items()}),
    ]
    rows = ((name, len(item.cells), len(cells), item.vectors.shape[1]) for name, item in vectors.items())
    return region.finish(checks, {"modalities": len(vectors), "coverage": coverage_table(rows)})


def features_steps() -> list[Step]:
    """The step of each kind of modality, which reads what it has in the region's cells."""
    return [
        Step(
            f"{kind.name}_features",
            partial(encode, kind=kind),
            kind.features_about,
            inputs=(f"{kind.name}_cells", "cells"),
            group="features",
            kinds=kind.tags,
            columns=schemas.VECTORS,
            checks=("cells_known", "no_nan"),
            pool="gpu" if kind.uses_gpu else None,
        )
        for kind in kinds()
    ]


def features_names() -> tuple[str, ...]:
    """The names of the steps that encode modalities."""
    return tuple(f"{kind.name}_features" for kind in kinds())
