"""Do the paper's claims hold here? A sentence each, and what weakens the graph that they rest on."""

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.parameters import INPUTS, MORA
from mora_pipeline.evaluation.report.summary import TOO_NARROW, UNDECIDED, interval_rows, signed
from mora_pipeline.evaluation.report.titles import method_title, model_title, rank, split_title
from mora_pipeline.region import MEAN

CLAIMS = "Do the paper's claims hold here?"
BEATEN = {"line": "LINE", "coordinates": "coordinates"}  # by the embeddings, says the paper, beside their inputs
DISTILLED = "distilled"
KEPT_SHARE = 0.5  # of the embeddings' R²: the paper says no figure, so "most" is more than half
HOLDS, FAILS = "holds", "does not hold"
Means = Mapping[str, Mapping[Hashable, Any]]  # rows of `schemas.INTERVALS` by method, of one split and model
Range = tuple[float, float, float]  # a figure and its interval; both ends are the figure where there is no interval


def claim_sentences(intervals: pa.Table, details: Mapping[str, Any], leaks: Collection[str] = ()) -> list[str]:
    """What the scores say about each claim that they can decide, and whether the flows fall into pieces.

    Args:
        intervals: `schemas.INTERVALS`.
        details: of the report; the embeddings' ``preset`` and the ``flows`` count.
        leaks: tasks whose label may leak; they count for nothing.
    """
    claims = (
        _claims(interval_rows(intervals, leaks), details.get("preset")) if R2.name in intervals.column_names else []
    )
    return [sentence for sentence in [*claims, *_pieces(details.get("flows", {}))] if sentence]


def _claims(frame: pd.DataFrame, preset: str | None) -> list[str]:
    means = frame[frame["task"] == MEAN]
    own = means[means["method"] == MORA]
    if not len(own):
        return []
    split, model = min(zip(own["split"], own["model"], strict=True), key=lambda each: rank(*each))
    rows = means[(means["split"] == split) & (means["model"] == model)]
    here = {row["method"]: row for row in rows.to_dict("records")}
    basis = (
        f"Figures are means of R² over the tasks that this model was fitted for (ridge on few groups is another) and "
        f"all methods have a score for; {split_title(split)}, {model_title(model)}. The paper tests on a random split."
    )
    inputs = _inputs_beaten(here)
    if preset != "paper":
        others = (
            f"The embeddings are of the preset {preset or 'unknown'}. The paper's claims are about the preset paper: "
            "they are not decided here"
        )
        return [f"{others}; whether the embeddings beat their inputs is.", basis, *inputs] if inputs else [f"{others}."]
    return [
        basis,
        *inputs,
        *(_beaten(here, other, words) for other, words in BEATEN.items() if other in here),
        _distilled(here) if DISTILLED in here else "",
    ]


def _inputs_beaten(here: Means) -> list[str]:
    """The claim against the best of all that the embeddings are made from."""
    scored = [name for name in INPUTS if name in here]
    if not scored:
        return []
    best = max(scored, key=lambda name: here[name]["r2"])
    best_of = f", the best of {len(scored)}" if len(scored) > 1 else ""
    return [_beaten(here, best, f"their inputs ({method_title(best)}{best_of})")]


def _beaten(here: Means, other: str, words: str) -> str:
    difference, low, high = ahead = _ahead(here, other)
    return (
        f"The embeddings beat {words}: {_verdict(low, high)}. {here[MORA]['r2']:.3f} against {here[other]['r2']:.3f}, "
        f"a difference of {signed(difference)} ({_sure(ahead, signed(low), signed(high), here)})."
    )


def _distilled(here: Means) -> str:
    """The interval is of the difference, as a share of the embeddings' R² as measured."""
    own = here[MORA]["r2"]
    if own <= 0:
        return ""
    ahead = _ahead(here, DISTILLED)
    kept, high, low = (1 - value / own for value in ahead)
    return (
        f"The distilled encoder keeps most of it (more than {100 * KEPT_SHARE:g} %): "
        f"{_verdict(low - KEPT_SHARE, high - KEPT_SHARE)}. "
        f"{here[DISTILLED]['r2']:.3f} against {own:.3f}, which is {100 * kept:.0f} % "
        f"({_sure(ahead, f'{100 * low:.0f} %', f'{100 * high:.0f} %', here)})."
    )


def _ahead(here: Means, other: str) -> Range:
    """How far `mora` is above another method: the paired difference, where it has an interval."""
    ours, theirs = here[MORA], here[other]
    if pd.notna(theirs["mora_ahead_low"]):
        return theirs["mora_ahead"], theirs["mora_ahead_low"], theirs["mora_ahead_high"]
    difference = ours["r2"] - theirs["r2"]
    return difference, difference, difference


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else UNDECIDED


def _sure(ahead: Range, low: str, high: str, here: Means) -> str:
    """The interval's ends in words, or that there is none."""
    if ahead[1] == ahead[2]:
        return "one figure, no interval"
    return f"{low} to {high}" + (f"; {TOO_NARROW}" if here[MORA]["by_cells"] else "")


def _pieces(flows: Mapping[str, Any] | str) -> list[str]:
    if isinstance(flows, str):  # a region without mobility has none
        return []
    share = flows.get("share of cells in the largest", 1.0)
    if share >= 0.5:
        return []
    return [
        f"The flows fall into {flows['unconnected pieces']:,} unconnected pieces; the largest holds {100 * share:.2g} "
        "% of the cells: the graph says nothing of the way between them."
    ]
