"""The benchmark's settings: a pydantic model without torch, so that Dagster's configuration can reuse it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PROTOCOLS = {
    "paper": "MoRA's: LightGBM on a random split, ridge in pooled folds for few groups",
    "random": "fast LightGBM (fewer, larger steps) on the same split, over all seeds",
    "blocked": "fast LightGBM on folds that keep every H3 parent whole",
    "grouped": "fast LightGBM on folds that keep the groups whole that region.yaml names under blocks",
    "linear": "ridge on standardised vectors, its penalty chosen on the fit rows; random, blocked and grouped splits",
    "few_shot": "the linear probe fitted on few labels, tested on the rows that `random` tests",
    "region_papers": "ridge on the vectors as they are, in folds by the places' order, clipped at 0: region papers'",
    "transfer": "fitted on all labels of another region, tested on all of this one; methods that share a space",
}
MORA = "mora"  # the method that all others are compared with
# What the benchmark is about; all other methods are baselines, and so are files and other datasets.
OURS = (MORA, "paper", "inductive", "distilled", "dataset:embeddings", "dataset:distilled_encoder")
INPUTS = ("inputs", "inputs_surroundings", "raw")  # what embeddings are made from, untrained: the claims name the best
NIGHTLY, FULL = "nightly", "full"
# What a breadth stands for where a setting is not given: nightly takes minutes, full every method, protocol and seed.
BREADTHS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    NIGHTLY: {
        "methods": ("mora", "inputs", "inputs_surroundings", "raw", "distilled", "coordinates"),
        "protocols": ("random", "blocked", "linear"),
        "seeds": (42,),
        "paper_seeds": (42,),
    },
    FULL: {
        "methods": (
            "mora", "inputs", "inputs_surroundings", "raw", "raw:each", "paper", "inductive", "distilled", "line",
            "mora_neighbour_graph", "encoder_inputs", "pca", "flows", "flow_svd", "space2vec_grid", "harmonics",
            "coordinates", "constant",
        ),
        "protocols": ("paper", "random", "blocked", "grouped", "linear", "few_shot", "region_papers"),
        "seeds": (42, 43, 44, 45, 46),
        "paper_seeds": (42, 43, 44, 45, 46),
    },
}  # fmt: skip
BEST_OF_SEEDS = 10
BY_BREADTH = "empty: as `breadth` says"


def known_protocols(protocols: list[str]) -> list[str]:
    """The protocols, if all are known.

    Raises:
        ValueError: if one is not.
    """
    if unknown := sorted(set(protocols) - set(PROTOCOLS)):
        raise ValueError(f"there is no protocol {', '.join(unknown)}; there are {', '.join(PROTOCOLS)}")
    return protocols


class BenchmarkParameters(BaseModel):
    """Methods, protocols and models; the models' defaults are MoRA's released evaluation (method.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    breadth: Literal["nightly", "full"] = Field(
        default="nightly",
        description="What is scored where methods, protocols and seeds are not given: nightly, the embeddings and "
        "their inputs, in minutes; full, every method that needs no further package, every protocol and five seeds.",
    )
    methods: list[str] = Field(default=[], description=f"What is compared, of docs/benchmark.md; {BY_BREADTH}.")
    files: dict[str, str] = Field(
        default={}, description="Parquet files with your own vectors (columns cell, vector), by the name to show."
    )
    protocols: list[str] = Field(  # Dagster's configuration knows no list of literals
        default=[],
        description=f"Of {', '.join(PROTOCOLS)}; {BY_BREADTH}. Scores under `published` in region.yaml add "
        "`region_papers`.",
    )
    seeds: list[int] = Field(default=[], description=f"Seeds of the splits; {BY_BREADTH}.")
    paper_seeds: list[int] = Field(
        default=[], description=f"Seeds of the protocol `paper`, of which MoRA's is 42; {BY_BREADTH}."
    )
    transfer_from: list[str] = Field(default=[], description="Regions that `transfer` fits on.")
    few_shot_labels: list[int] = Field(default=[10, 50, 200], description="Labels that `few_shot` fits on.")
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of the rows that the random split tests on.")
    folds: int = Field(5, ge=2, description="Folds of the blocked and grouped splits, and of ridge on small groups.")
    learning_rate: float = Field(0.05, gt=0, description="LightGBM's learning rate in `paper`.")
    trees: int = Field(1000, ge=1, description="LightGBM's number of trees in `paper`.")
    bins: int = Field(255, ge=2, description="LightGBM's bins of a feature in `paper`.")
    fast_learning_rate: float = Field(0.1, gt=0, description="Learning rate of fast LightGBM.")
    fast_trees: int = Field(200, ge=1, description="Trees of fast LightGBM.")
    fast_bins: int = Field(63, ge=2, description="Bins of a feature in fast LightGBM.")
    fast_columns: int = Field(
        128, ge=0, description="Columns that a tree of fast LightGBM chooses from, drawn for each tree; 0: all."
    )
    maximum_depth: int = Field(7, ge=1, description="LightGBM's largest depth of a tree.")
    cell_leaves: int = Field(63, ge=2, description="Leaves of a tree, in tasks of cells and points.")
    cell_minimum_child: int = Field(30, ge=1, description="Rows a leaf holds at least, in tasks of cells and points.")
    group_leaves: int = Field(31, ge=2, description="Leaves of a tree, in tasks of groups.")
    group_minimum_child: int = Field(50, ge=1, description="Rows a leaf holds at least, in tasks of groups.")
    # The paper's "city" tasks, which get ridge in place of LightGBM, are not delimited; 200 is our bound.
    ridge_below_groups: int = Field(
        200, ge=0, description="Tasks of fewer groups are fitted by ridge in pooled folds, as the paper's cities are."
    )
    ridge_alpha: float = Field(1.0, ge=0, description="Penalty of that ridge, and of `region_papers`.")
    region_papers_folds: int = Field(
        10,
        ge=2,
        description="Folds of `region_papers`. `published.folds` of region.yaml replaces this and what follows.",
    )
    region_papers_shuffled: bool = Field(
        False, description="Shuffle the rows before they are cut into folds of `region_papers`, else in places' order."
    )
    region_papers_seed: int = Field(0, ge=0, description="Seed of that shuffle.")
    region_papers_positive_only: bool = Field(
        False, description="`region_papers` uses rows with a label above 0 alone."
    )
    minimum_rows: int = Field(20, ge=4, description="Tasks with fewer labelled rows are skipped, with a reason.")
    leak_bound: float = Field(
        0.98, gt=0, le=1, description="Correlation with an input column from which a label is refused as leaked."
    )
    raw_components: int = Field(
        128, ge=0, description="Principal components that a wider modality is reduced to in `raw`; 0 keeps it as it is."
    )
    best_of_seeds: int | None = Field(
        None,
        ge=0,
        description="Trainings whose best score a task is shown beside reported scores, where region.yaml has some and "
        f"the region is small; 0: none. Not given: {BEST_OF_SEEDS} in full breadth, else none.",
    )
    resamples: int = Field(1000, ge=100, description="Bootstrap resamples of the intervals.")
    threads: int = Field(0, ge=0, description="Fits at a time; 0 is one for each core. It does not change the result.")

    @model_validator(mode="before")
    @classmethod
    def _by_breadth(cls, data: Any) -> Any:
        """Fill in what the breadth stands for; a transfer that was asked for is part of every breadth."""
        if not isinstance(data, dict) or (breadth := data.get("breadth", NIGHTLY)) not in BREADTHS:
            return data  # the field's own error says what is wrong
        chosen = {key: list(values) for key, values in BREADTHS[breadth].items()}
        if data.get("best_of_seeds") is None:  # they train the region's embeddings again, each time
            data = {**data, "best_of_seeds": BEST_OF_SEEDS if breadth == FULL else 0}
        if data.get("transfer_from"):
            chosen["protocols"].append("transfer")
        return {**data, **{key: values for key, values in chosen.items() if not data.get(key)}}

    @field_validator("protocols")
    @classmethod
    def _known_protocols(cls, protocols: list[str]) -> list[str]:
        return known_protocols(protocols)

    @field_validator("files")
    @classmethod
    def _names_to_show(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):  # they name metrics in MLflow and rows of tables
                raise ValueError(
                    f"files calls {files[name]} '{name}': use letters, digits, underscores, dots and hyphens, 64 at "
                    "most"
                )
        return files

    @model_validator(mode="after")
    def _transfer_from_somewhere(self) -> Self:
        if ("transfer" in self.protocols) != bool(self.transfer_from):
            raise ValueError(
                'the protocol transfer and transfer_from go together: --set "protocols=[transfer]" --set '
                '"transfer_from=[REGION]"'
            )
        return self
