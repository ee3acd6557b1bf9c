"""What the paper found stands beside what it is about, and is judged by the interval alone."""

import math

import pytest

from mora_pipeline.evaluation.ablation.reported_effects import agreement, reported_effect

LOSS, SAME = "−12.2 %", "about the same"


def test_the_papers_effects_stand_beside_modalities_of_their_kind_alone() -> None:
    kinds = {"poi": "text", "satellite": "image", "ages": "table"}
    assert reported_effect("anchor: ages", kinds) == "−14.4 % ‡"
    assert reported_effect("anchor: poi", kinds) == ""
    assert [reported_effect(f"without {name}", kinds) for name in kinds] == ["−1.8 % ‡", "−2.2 % ‡", "−4.0 % ‡"]
    two_tables = {**kinds, "vehicles": "table"}  # neither is the paper's
    assert reported_effect("without ages", two_tables) == reported_effect("anchor: vehicles", two_tables) == ""
    assert reported_effect("without gone", {}) == ""
    assert reported_effect("graph: neighbours", kinds) == "−12.2 %"
    assert reported_effect("layers: 3", kinds) == ""


@pytest.mark.parametrize(
    ("variant", "graph", "expected"),
    [
        ("sampling: top 30 %", "top 10 %", SAME),
        ("sampling: top 10 %", "top 30 %", SAME),
        ("sampling: top 3 %", "top 10 %", ""),
        ("sampling: top 10 %", "all flows", ""),
        ("sampling: random 10 %", "top 10 %", "worse"),
        ("sampling: random 30 %", "top 30 %", "worse"),
        ("sampling: random 10 %", "random 10 %", ""),
        ("sampling: random 10 %", "", ""),
    ],
)
def test_what_the_paper_says_of_sampling_depends_on_the_bases_graph(variant: str, graph: str, expected: str) -> None:
    assert reported_effect(variant, {}, graph) == expected


@pytest.mark.parametrize(
    ("reported", "low", "high", "expected"),
    [
        (LOSS, -3.0, -0.1, "holds"),
        (LOSS, -3.0, 0.1, "undecided"),
        (LOSS, 0.1, 3.0, "does not hold"),
        ("worse", -3.0, -2.0, "holds"),
        ("−14.4 % ‡", 1.0, 2.0, "does not hold"),
        (SAME, -0.9, 1.0, "holds"),
        (SAME, -1.1, 0.5, "undecided"),
        (SAME, 0.9, 3.0, "undecided"),
        (SAME, 1.1, 3.0, "does not hold"),
        (SAME, -3.0, -1.1, "does not hold"),
        ("", -3.0, -2.0, ""),
        (LOSS, math.nan, math.nan, ""),
    ],
)
def test_a_verdict_is_where_the_whole_interval_lies(reported: str, low: float, high: float, expected: str) -> None:
    assert agreement(reported, low, high) == expected
