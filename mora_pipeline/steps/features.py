"""Frozen input vectors of the cells, and how much they have of what: one step a kind of modality.

Each modality has two datasets, `features/<modality>` and `amounts/<modality>`.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
    """Encode every modality of a kind, and write `features/<modality>` and `amounts/<modality>` of it."""
    cells = region.cells()
    vectors: dict[str, CellVectors] = {}
    amounts: dict[str, pa.Table] = {}
    for name, modality in region.modalities(kind.name).items():
        table = kind.amounts(region, name, modality)
        # One without amounts has a table too, or those of an earlier region.yaml would stay.
        amounts[name] = schemas.amounts([]).empty_table() if table is None else table
        region.begin(f"amounts/{name}").write(amounts[name])
        vectors[name] = kind.encode(region, name, modality, partial(progress, f"{name} features"))
        details = {"kind": kind.name, "encoder": modality.backbone}
        region.begin(f"features/{name}", details=details).write(vectors[name].to_table())
    checks = [
        cells_known(
            {
                **{name: item.cells for name, item in vectors.items()},
                **{f"{name}_amounts": table["cell"].to_numpy() for name, table in amounts.items()},
            },
            cells,
        ),
        no_nan(
            {
                **{name: item.vectors for name, item in vectors.items()},
                **{f"{name}_amounts": _numbers(table) for name, table in amounts.items()},
            }
        ),
    ]
    rows = ((name, len(item.cells), len(cells), item.vectors.shape[1]) for name, item in vectors.items())
    shown = {f"{name}_amounts": table.num_columns - 1 for name, table in amounts.items()}
    return region.finish(checks, {"modalities": len(vectors), "coverage": coverage_table(rows), **shown})


def _numbers(table: pa.Table) -> npt.NDArray[np.float64]:
    """All amounts of a table, float64 [n · a]."""
    columns = [table[name].to_numpy() for name in table.column_names if name != "cell"]
    return np.concatenate(columns) if columns else np.empty(0)


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
