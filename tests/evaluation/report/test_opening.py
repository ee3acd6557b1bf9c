"""The sentence that a report opens with is computed, and says what it is of."""

from collections.abc import Mapping

import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.protocol.metrics import RMSE
from mora_pipeline.evaluation.report.opening import opening_sentence


def scores(
    by_method: Mapping[str, Mapping[str, float | None]],
    split: str = "blocked",
    model: str = "lightgbm_fast",
    seed: int = 1,
) -> pa.Table:
    """R² by method and task."""
    rows = [
        {"method": method, "task": task, "split": split, "seed": seed, "model": model, "n": 9, "r2": r2, "rmse": 1.0}
        for method, tasks in by_method.items()
        for task, r2 in tasks.items()
    ]
    return pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)


BOTH = {
    "mora": {"income": 0.7, "crime": 0.52},
    "inputs": {"income": 0.6, "crime": 0.42},
    "inputs_surroundings": {"income": 0.6, "crime": 0.5},
    "raw": {"income": 0.3, "crime": 0.2},
}


def test_it_says_what_the_embeddings_explain_and_what_their_inputs_do() -> None:
    assert opening_sentence(scores(BOTH)) == (
        "On whole blocks the embeddings explain 61 % of the variance of the 2 labels, the inputs themselves 51 %, the "
        "inputs with their surroundings 55 % (fast LightGBM, means of R²)."
    )


def test_whole_blocks_and_boosting_come_before_whatever_else_was_tested() -> None:
    poor = {name: dict.fromkeys(tasks, 0.1) for name, tasks in BOTH.items()}
    others = [scores(poor, "random"), scores(poor, "blocked", "linear_probe"), scores(poor, "by_state")]
    assert opening_sentence(pa.concat_tables([*others, scores(BOTH)])) == opening_sentence(scores(BOTH))


@pytest.mark.parametrize(
    ("split", "model", "start", "end"),
    [
        ("random", "lightgbm_fast", "On a random split the embeddings", "(fast LightGBM, means of R²)."),
        ("by_state", "linear_probe", "On whole groups (state) the embeddings", "(linear probe, means of R²)."),
        ("few_shot_50", "linear_probe", "With 50 labels the embeddings", "(linear probe, means of R²)."),
        ("from_us_west", "linear_probe", "Fitted in us_west, the embeddings", "(linear probe, means of R²)."),
        (
            "region_papers",
            "clipped_ridge",
            "By the protocol of region papers the emb",
            "(ridge, clipped at 0, means of R²).",
        ),
    ],
)
def test_it_says_how_it_was_tested(split: str, model: str, start: str, end: str) -> None:
    sentence = opening_sentence(scores(BOTH, split, model))
    assert sentence.startswith(start)
    assert sentence.endswith(end)


def test_one_label_is_named_and_its_seeds_are_averaged() -> None:
    one = {"mora": {"income": 0.5}, "inputs": {"income": 0.4}}
    again = {"mora": {"income": 0.6}, "inputs": {"income": 0.5}}
    both = pa.concat_tables([scores(one), scores(again, seed=2)])
    assert opening_sentence(both) == (
        "On whole blocks the embeddings explain 55 % of the variance of income, the inputs themselves 45 % (fast "
        "LightGBM)."
    )


def test_what_is_worse_than_the_mean_of_the_labels_explains_nothing() -> None:
    assert opening_sentence(scores({"mora": {"income": -0.124}, "inputs": {"income": 0.004}})) == (
        "On whole blocks the embeddings explain nothing of the variance of income (R² −0.12), the inputs themselves "
        "less than 1 % (fast LightGBM)."
    )
    lost = opening_sentence(scores({"mora": {"income": 0.2}, "inputs": {"income": -3.0}}))
    assert "explain 20 % of the variance of income, the inputs themselves nothing (R² −3.00) (fast" in lost


def test_labels_that_may_leak_and_tasks_that_somebody_lacks_count_for_nothing() -> None:
    more = {name: {**tasks, "leaked": 1.0, "half": None if name == "raw" else 0.9} for name, tasks in BOTH.items()}
    assert opening_sentence(scores(more), {"leaked"}) == opening_sentence(scores(BOTH))
    assert opening_sentence(scores({"mora": {"leaked": 1.0}}), {"leaked"}) == ""


def test_methods_that_were_not_scored_are_not_made_up() -> None:
    less = {"mora": BOTH["mora"], "raw": BOTH["raw"]}
    assert "labels, the features of the modalities alone 25 % (" in opening_sentence(scores(less))
    alone = {"mora": BOTH["mora"], "coordinates": BOTH["raw"]}
    assert "of the 2 labels; their inputs were not scored beside them (" in opening_sentence(scores(alone))
    distilled = {"distilled": BOTH["mora"], "inputs": BOTH["inputs"]}
    assert opening_sentence(scores(distilled)).startswith("On whole blocks the distilled encoder explains 61 % of")
    assert opening_sentence(scores({"raw": BOTH["raw"]})) == ""
    assert opening_sentence(schemas.BENCHMARK.empty_table()) == ""
    assert opening_sentence(scores(BOTH), metric=RMSE) == ""
