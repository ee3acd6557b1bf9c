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
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, Tracker, code_version
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.tables import coverage_table, markdown_rows


def encode(
    region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker, *, kind: ModalityKind[Any]
) -> StepResult:
    """Encode every modality of a kind, and write `features/<modality>` and `amounts/<modality>` of it."""
    cells = region.cells()
    vectors: dict[str, CellVectors] = {}
    amounts, left_out = amounts_of(region, kind)
    for name, modality in region.modalities(kind.name).items():
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
    return region.finish(
        checks,
        {
            "modalities": len(vectors),
            "coverage": coverage_table(rows),
            **shown,
            "amounts_left_out": markdown_rows(["amount", "why"], left_out.items()),
        },
    )


def amounts_of(region: RegionRun, kind: ModalityKind[Any]) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """The amounts of the modalities of a kind, less those that are a label of the region.

    Labels that cannot be read keep no amount out: a line of the log says so.

    Returns:
        `schemas.amounts` by modality, and why amounts are left out, by ``<amount> of <modality>``.
    """
    declared = region.modalities(kind.name)
    tables = {name: kind.amounts(region, name, modality) for name, modality in declared.items()}
    made = {name: table for name, table in tables.items() if table is not None}
    # One without amounts has a table too, or that of an earlier region.yaml would stay.
    amounts, left_out = dict.fromkeys(tables, schemas.amounts([]).empty_table()) | made, dict[str, str]()
    with region.answering():
        if made and region.config.tasks:
            kept, left_out = _without_labels(region, made)
            amounts |= kept
        region.answer = sorted(left_out)
    for amount, reason in left_out.items():
        region.log.warning(f"The amount {amount} is no feature: {reason}. The task's leaks: allowed would keep it.")
    return amounts, left_out


def _without_labels(region: RegionRun, made: dict[str, pa.Table]) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Amounts by modality, less those that are a label, and why those are left out."""
    from mora_pipeline.evaluation.labels.leaks import without_labels
    from mora_pipeline.evaluation.labels.tasks import load_readable_tasks
    from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters

    cells, kept, left_out = region.read("cells").table(), dict[str, pa.Table](), dict[str, str]()
    tasks, problems = load_readable_tasks(region.config, cells)
    for task, problem in problems.items():
        region.log.warning(f"No amount is compared with the label {task}, which cannot be read. {problem}")
    for name, table in made.items():
        bound = BenchmarkParameters().leak_bound
        kept[name], reasons = without_labels(table, cells["cell"].to_numpy(), tasks, bound)
        left_out |= {f"{amount} of {name}": reason for amount, reason in reasons.items()}
    return kept, left_out


def leaves_out_alike(region: RegionRun, answer: list[str], *, kind: ModalityKind[Any]) -> bool:
    """Whether the amounts that are a label now are those that were when the features were made."""
    with region.answering():
        amounts_of(region, kind)
    return bool(region.answer == answer)


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
            code_version=code_version("1", [kind]),
            answers_alike=partial(leaves_out_alike, kind=kind),
        )
        for kind in kinds()
    ]


def features_names() -> tuple[str, ...]:
    """The names of the steps that encode modalities."""
    return tuple(f"{kind.name}_features" for kind in kinds())
