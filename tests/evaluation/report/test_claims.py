"""The paper's claims are judged by the paired interval where there is one, and the flows' pieces are told."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.report.claims import claim_sentences

PAPER = {"preset": "paper"}
SCORES = {"mora": 0.5, "raw": 0.4, "line": 0.55, "coordinates": 0.49, "distilled": 0.45}
AHEAD = {"raw": (0.02, 0.18), "line": (-0.09, -0.01), "coordinates": (-0.1, 0.12), "distilled": (0.01, 0.1)}


def table(
    scores: Mapping[str, float] = SCORES,
    ahead: Mapping[str, tuple[float, float]] = AHEAD,
    split: str = "blocked",
    model: str = "lightgbm_fast",
    mora: Mapping[str, Any] = MappingProxyType({}),
) -> pa.Table:
    """The means of a split and model, and what the row of `mora` holds besides."""
    rows = []
    for method, r2 in scores.items():
        row = {"method": method, "task": "mean", "split": split, "model": model, "r2": r2}
        if method in ahead:
            row["mora_ahead"] = scores["mora"] - r2
            row["mora_ahead_low"], row["mora_ahead_high"] = ahead[method]
        rows.append(row | (dict(mora) if method == "mora" else {}))
    return pa.Table.from_pylist(rows, schema=schemas.INTERVALS)


def test_each_claim_has_a_verdict_from_its_paired_interval() -> None:
    basis, raw, line, coordinates, distilled = claim_sentences(table(), PAPER)
    assert "blocked folds (H3 parents), fast LightGBM" in basis
    assert raw == (
        "The embeddings beat their inputs (raw): holds. 0.500 against 0.400, a difference of +0.100 (+0.020 to +0.180)."
    )
    assert line.startswith("The embeddings beat LINE: does not hold. 0.500 against 0.550, a difference of −0.050 ")
    assert coordinates.startswith("The embeddings beat coordinates: undecided. ")
    assert distilled == (
        "The distilled encoder keeps most of it (more than 50 %): holds. 0.450 against 0.500, which is 90 % (80 % to "
        "98 %)."
    )


@pytest.mark.parametrize(
    ("ends", "verdict"), [((0.26, 0.3), "does not hold"), ((0.2, 0.3), "undecided"), ((0.2, 0.24), "holds")]
)
def test_an_encoder_keeps_most_if_it_surely_keeps_more_than_half(ends: tuple[float, float], verdict: str) -> None:
    found = claim_sentences(table(ahead={"distilled": ends}), PAPER)[-1]
    assert found.startswith(f"The distilled encoder keeps most of it (more than 50 %): {verdict}. ")


def test_without_a_paired_interval_the_sign_alone_decides() -> None:
    _, raw, line, *_ = claim_sentences(table(ahead={}), PAPER)
    assert raw.endswith(": holds. 0.500 against 0.400, a difference of +0.100 (one figure, no interval).")
    assert line.startswith("The embeddings beat LINE: does not hold. ")


def test_inputs_are_beaten_only_if_the_best_of_all_inputs_is() -> None:
    scores = {"mora": 0.5, "raw": 0.4, "inputs": 0.45, "inputs_surroundings": 0.52}
    ahead = {"raw": (0.02, 0.18), "inputs": (0.01, 0.09), "inputs_surroundings": (-0.04, -0.01)}
    _, beaten = claim_sentences(table(scores, ahead), PAPER)
    assert beaten == (
        "The embeddings beat their inputs (inputs + surroundings, the best of 3): does not hold. 0.500 against 0.520, "
        "a difference of −0.020 (−0.040 to −0.010)."
    )


def test_claims_say_where_cells_were_drawn_singly() -> None:
    _, raw, *_ = claim_sentences(table(mora={"by_cells": True}), PAPER)
    assert raw.endswith("(+0.020 to +0.180; cells drawn singly: too narrow).")


def test_claims_are_judged_on_blocked_folds_by_boosting_whatever_comes_first() -> None:
    poor = {"mora": 0.1, "raw": 0.2}
    judged = (("blocked", "linear_probe"), ("random", "lightgbm_fast"), ("blocked", "pooled_ridge"))
    others = [table(poor, {}, split, model) for split, model in judged]
    assert claim_sentences(pa.concat_tables([*others, table()]), PAPER) == claim_sentences(table(), PAPER)
    assert "blocked folds (H3 parents), ridge." in claim_sentences(pa.concat_tables(others), PAPER)[0]


@pytest.mark.parametrize(
    ("preset", "told"), [("inductive", "are of the preset inductive"), (None, "of the preset unknown")]
)
def test_the_papers_claims_are_about_its_preset(preset: str | None, told: str) -> None:
    sentence, _, inputs = claim_sentences(table(), {"preset": preset})
    assert told in sentence
    assert "not decided here; whether the embeddings beat their inputs is." in sentence
    assert inputs.startswith("The embeddings beat their inputs (raw): holds.")
    (alone,) = claim_sentences(table({"mora": 0.5, "line": 0.4}), {"preset": preset})
    assert alone.endswith("they are not decided here.")


def test_what_was_not_scored_is_not_claimed() -> None:
    assert len(claim_sentences(table({"mora": 0.5, "raw": 0.4}), PAPER)) == 2
    assert claim_sentences(table({"raw": 0.4}, {}), PAPER) == []
    assert claim_sentences(schemas.INTERVALS.empty_table(), PAPER) == []
    without = {"mora": -0.1, "distilled": -0.2}
    assert len(claim_sentences(table(without, {}), PAPER)) == 1  # no share of nothing


def test_flows_in_pieces_are_told() -> None:
    flows = {"unconnected pieces": 1234, "share of cells in the largest": 0.312}
    (sentence,) = claim_sentences(schemas.INTERVALS.empty_table(), {"flows": flows})
    assert sentence == (
        "The flows fall into 1,234 unconnected pieces; the largest holds 31 % of the cells: the graph says nothing of "
        "the way between them."
    )
    whole = {**flows, "share of cells in the largest": 0.5}
    assert claim_sentences(schemas.INTERVALS.empty_table(), {"flows": whole}) == []


def test_a_region_without_mobility_has_no_pieces() -> None:
    assert claim_sentences(schemas.INTERVALS.empty_table(), {"flows": "none"}) == []
