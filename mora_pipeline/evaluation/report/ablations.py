"""Ablations in the report: a table of effects, a chart a family, and the curve of more cells; the paper's beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.ablation.families import BASE, SEED, relative_effects, share_of_cells
from mora_pipeline.evaluation.ablation.reported_effects import (
    DERIVED,
    FAILS,
    HOLDS,
    SAME_WITHIN,
    agreement,
    reported_effect,
)
from mora_pipeline.evaluation.ablation.run import GRAPH, task_means
from mora_pipeline.evaluation.protocol.intervals import LEVEL
from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.scores import sections
from mora_pipeline.evaluation.report.markdown import escaped
from mora_pipeline.evaluation.report.tables import MISSING
from mora_pipeline.evaluation.report.titles import model_title, split_title

if TYPE_CHECKING:
    from mora_pipeline.evaluation.report.charts import Drawing

SCALING = "scaling"
WITHIN_SEEDS = " °"  # after a verdict on a change that is no larger than another seed's
AHEAD_OF_TASKS = ("variant", "mean R²", "change", f"{LEVEL:g} % interval", "paper", "verdict")  # each task's R² follows
COLUMNS = ("section", "family", "variant", "r2", "by_task", "effect", "low", "high", "reported", "verdict")


@dataclass(frozen=True)
class AblationPart:
    """One split and model in the page: the table of effects, and charts by caption."""

    title: str
    rows: list[list[str]]
    drawings: "dict[str, Drawing]"
    head: tuple[str, ...] = AHEAD_OF_TASKS


def effects(ablations: pa.Table, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Mean R² of each variant over the tasks that all have a score for, a row a split, model and variant.

    Splits and variants that no task has a score of are left out.

    Args:
        ablations: `schemas.ABLATIONS`.
        kinds: kind of each modality of the region.

    Returns:
        Columns section (split and model in words), family, variant, r2, by_task (R² of each task), effect, low and high
        (per cent of the base's R²; NaN where unknown), reported and verdict (texts, often empty).
    """
    shown: list[dict[str, Any]] = []
    for split, model, rows in sections(ablations.to_pandas()):
        by_task = task_means(rows)
        mean = by_task.mean(axis=1).dropna()
        base = mean.get(BASE, np.nan)
        effect = relative_effects({str(name): float(value) for name, value in mean.items()})
        family = rows.drop_duplicates("variant").set_index("variant")["family"]
        own = rows[rows["model"] == model].drop_duplicates("variant").set_index("variant")
        ends = own[["difference_low", "difference_high"]].astype("float64") * (100 / base if base > 0 else np.nan)
        for name in family.index[family.index.isin(mean.index)]:
            low, high = ends.loc[name] if name in ends.index else (np.nan, np.nan)
            reported = reported_effect(name, kinds, base_graph_of(ablations))
            shown.append(
                {"section": f"{split_title(split)}, {model_title(model)}", "family": family[name], "variant": name,
                 "r2": mean[name], "by_task": by_task.loc[name].to_dict(),
                 "effect": effect[name], "low": low, "high": high, "reported": reported,
                 "verdict": agreement(reported, low, high)}
            )  # fmt: skip
    return pd.DataFrame(shown, columns=list(COLUMNS))


def base_graph_of(ablations: pa.Table) -> str:
    """How the base's graph was sampled, in words; empty if the table does not say."""
    return ((ablations.schema.metadata or {}).get(GRAPH) or b"").decode()


def ablation_markdown(ablations: pa.Table, kinds: Mapping[str, str]) -> str:
    """A table a split and model: variant, mean R², our change with its interval, the paper's, and the verdict."""
    parts = []
    for title, rows in effects(ablations, kinds).groupby("section", sort=False):
        head = _head(rows)
        lines = [f"| {' | '.join(map(escaped, head))} |", "|---|---:|---:|---:|---:|---|" + "---:|" * (len(head) - 6)]
        lines += [f"| {' | '.join(row)} |" for row in _texts(rows, base_graph_of(ablations))]
        parts.append(f"**Ablations, {title}**\n\n" + "\n".join(lines))
    return "\n\n".join([*parts, ablation_note(ablations)]) + "\n"


def _head(rows: pd.DataFrame) -> tuple[str, ...]:
    """Column names of the rows of one split and model: no mean is without its tasks."""
    return (*AHEAD_OF_TASKS, *rows["by_task"].iloc[0])


def _texts(rows: pd.DataFrame, graph: str) -> list[list[str]]:
    """The rows of one split and model as texts under `_head`."""
    moved = _moved(rows)
    return [
        [
            f"{BASE} ({graph})" if row["variant"] == BASE and graph else row["variant"],
            _number(row["r2"]),
            _percent(row["effect"]),
            "" if row["variant"] == BASE else _ends(row["low"], row["high"]),
            row["reported"],
            row["verdict"] + WITHIN_SEEDS * (row["verdict"] in (HOLDS, FAILS) and abs(row["effect"]) <= moved),
            *map(_number, row["by_task"].values()),
        ]
        for _, row in rows.iterrows()
    ]


def ablation_note(ablations: pa.Table) -> str:
    """What the figures show."""
    if not len(ablations):
        return "This region has none yet: mora ablate makes them."
    return (
        "Mean R² over the tasks that all variants have a score for, one change at a time; beside it the change in per "
        "cent of the base, and what the paper reports for China. The base is the region's own graph and LINE vectors, "
        "aligned at the default settings. The neighbour graph, the graph rewired by chance, every dimension "
        "and what is marked so train LINE anew, at its default settings. The intervals are of the labelled places: "
        "they are resampled as in the benchmark, the same ones for a variant and the base; the vectors stay. Every "
        f"variant was trained once, and no interval knows of other seeds. {_chance(ablations)} The verdict asks for "
        "the paper's sign, not its size: it holds if the whole interval is on the paper's side of 0, does not hold "
        "if it is on the other side, and is undecided otherwise. “About the same” holds if the whole interval is "
        f"within ±{SAME_WITHIN:g} %, and does not hold if it is outside. {DERIVED}"
    )


def _chance(ablations: pa.Table) -> str:
    """How far other seeds of the training moved the base."""
    by_section = effects(ablations, {}).groupby("section", sort=False)
    moved = {str(title): _moved(rows) for title, rows in by_section}
    most = ", ".join(f"{value:.1f} % ({title})" for title, value in moved.items() if not np.isnan(value))
    if not most:
        return "How far another seed moves the mean R² was not measured: the family seed does."
    return (
        f"Further seeds moved the base's mean R² by up to {most}: a change that is no larger may be chance, whatever "
        f"its interval;{WITHIN_SEEDS} marks such a verdict."
    )


def _moved(rows: pd.DataFrame) -> float:
    """How far other seeds moved the base in one split and model, per cent at most; NaN if none were trained."""
    return float(rows.loc[rows["family"] == SEED, "effect"].abs().max())


def ablation_parts(ablations: pa.Table, kinds: Mapping[str, str]) -> list[AblationPart]:
    """The table and the charts of each split and model."""
    from mora_pipeline.evaluation.report.charts import bars, curve

    parts = []
    for title, rows in effects(ablations, kinds).groupby("section", sort=False):
        drawings: dict[str, Drawing] = {}
        base = rows[rows["family"] == BASE]
        for family, own in rows[rows["family"] != BASE].groupby("family", sort=False):
            shown = pd.concat([base, own])
            values = dict(zip(shown["variant"], shown["r2"], strict=True))
            labels = {_less_family(row["variant"]): _label(row) for _, row in own.iterrows()}
            labels |= {row["variant"]: _number(row["r2"]) for _, row in base.iterrows()}
            lengths = {_less_family(name): value for name, value in values.items()}
            drawings[f"{str(family).capitalize()}, {title}"] = bars(lengths, BASE, labels, R2.title)
            if family == SCALING:
                shares = share_of_cells(list(values))
                points = [(share, values[name]) for name, share in shares.items() if name in values]
                drawings[f"Scaling curve, {title}"] = curve(points, "Mean R² by share of cells trained on")
        parts.append(AblationPart(f"Effects, {title}", _texts(rows, base_graph_of(ablations)), drawings, _head(rows)))
    return parts


def _less_family(variant: str) -> str:
    """`neighbours` of `graph: neighbours`: the caption names the family."""
    return variant.rpartition(": ")[2]


def _label(row: pd.Series) -> str:
    reported = f" ({row['reported']})" if row["reported"] else ""
    return f"{_percent(row['effect'])}{reported}"


def _percent(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:+.1f} %".replace("-", "−")


def _ends(low: float, high: float) -> str:
    return MISSING if pd.isna(low) or pd.isna(high) else f"{low:+.1f} to {high:+.1f} %".replace("-", "−")


def _number(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}".replace("-", "−")
