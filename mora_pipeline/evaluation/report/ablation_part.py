"""Ablations in the report: a ladder a family, and the curve of more cells; published effects stand beside ours."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.ablations import BASE, relative_effects, share_of_cells
from mora_pipeline.evaluation.published_effects import DERIVED, published_effect
from mora_pipeline.evaluation.report.charts import bars, curve
from mora_pipeline.evaluation.report.tables import MISSING, MODELS, sections, split_title

SCALING = "scaling"


def effects(ablations: pa.Table, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Mean R² of each variant over the tasks that all have a score for, a row a split, model and variant.

    Splits and variants that no task has a score of are left out.

    Args:
        ablations: `schemas.ABLATIONS`.
        kinds: kind of each modality of the region.

    Returns:
        Columns judged (split and model in words), family, variant, r2, effect (per cent of the base's R²) and published
        (text, often empty).
    """
    found: list[dict[str, Any]] = []
    for split, model, rows in sections(ablations.to_pandas()):
        means = rows.groupby(["variant", "task"], sort=False)["r2"].mean().unstack().dropna(how="all")
        mean = means.dropna(axis=1).mean(axis=1).dropna()
        family = rows.drop_duplicates("variant").set_index("variant")["family"]
        told = relative_effects({str(name): float(value) for name, value in mean.items()})
        found += [
            {"judged": f"{split_title(split)}, {MODELS[model]}", "family": family[name], "variant": name,
             "r2": mean[name], "effect": told[name], "published": published_effect(name, kinds)}
            for name in family.index if name in mean.index
        ]  # fmt: skip
    return pd.DataFrame(found, columns=["judged", "family", "variant", "r2", "effect", "published"])


def ablation_markdown(ablations: pa.Table, kinds: Mapping[str, str]) -> str:
    """A table a split and model: variant, mean R², ours and the paper's change."""
    parts = []
    for judged, rows in effects(ablations, kinds).groupby("judged", sort=False):
        lines = ["| variant | mean R² | change | paper |", "|---|---:|---:|---:|"]
        lines += [
            f"| {row['variant']} | {_number(row['r2'])} | {_percent(row['effect'])} | {row['published']} |"
            for _, row in rows.iterrows()
        ]
        parts.append(f"**Ablations, {judged}**\n\n" + "\n".join(lines))
    return "\n\n".join([*parts, ablation_note(ablations)]) + "\n"


def ablation_note(ablations: pa.Table) -> str:
    """What the figures show."""
    if not len(ablations):
        return "None were made for this region yet: mora ablate makes them."
    return (
        "Mean R² over the tasks that all variants have a score for, one change at a time; beside it the change in per "
        "cent of the base, and what the paper reports for China. The base is the region's graph and LINE vectors as "
        "published, aligned at the default settings. Every variant was trained once, from one seed, and has no "
        f"interval: how far another seed would move it was not measured. {DERIVED}"
    )


def ablation_figures(ablations: pa.Table, kinds: Mapping[str, str]) -> dict[str, str]:
    """SVG by caption."""
    found: dict[str, str] = {}
    for judged, rows in effects(ablations, kinds).groupby("judged", sort=False):
        base = rows[rows["family"] == BASE]
        for family, own in rows[rows["family"] != BASE].groupby("family", sort=False):
            shown = pd.concat([base, own])
            values = dict(zip(shown["variant"], shown["r2"], strict=True))
            labels = {_less_family(row["variant"]): _label(row) for _, row in own.iterrows()} | _base(base)
            lengths = {_less_family(name): value for name, value in values.items()}
            found[f"{str(family).capitalize()}, {judged}"] = bars(lengths, BASE, labels)
            if family == SCALING:
                shares = share_of_cells(list(values))
                points = [(share, values[name]) for name, share in shares.items() if name in values]
                found[f"Scaling curve, {judged}"] = curve(points, "Mean R² by share of cells trained on")
    return found


def _less_family(variant: str) -> str:
    """`k-ring neighbours` of `graph: k-ring neighbours`: the caption names the family."""
    return variant.rpartition(": ")[2]


def _base(base: pd.DataFrame) -> dict[str, str]:
    return {row["variant"]: _number(row["r2"]) for _, row in base.iterrows()}


def _label(row: pd.Series) -> str:
    published = f" ({row['published']})" if row["published"] else ""
    return f"{_percent(row['effect'])}{published}"


def _percent(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:+.1f} %".replace("-", "−")


def _number(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}"
