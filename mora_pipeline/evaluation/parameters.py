"""What the benchmark may be told: a pydantic model without torch, so that Dagster's configuration can reuse it."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

SPLITS = ("random", "blocked")


class BenchmarkParameters(BaseModel):
    """The published protocol and its blocked twin; the defaults are MoRA's released evaluation (method.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: list[int] = Field(default=[42], min_length=1, description="Seeds of the splits; the published one is 42.")
    splits: list[str] = Field(  # Dagster's configuration knows no list of literals
        default=list(SPLITS), min_length=1, description="random: as published; blocked: folds of whole blocks."
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of the rows that the random split tests on.")
    folds: int = Field(5, ge=2, description="Folds of the blocked split, and of ridge on small groups.")
    learning_rate: float = Field(0.05, gt=0, description="LightGBM's learning rate.")
    maximum_depth: int = Field(7, ge=1, description="LightGBM's largest depth of a tree.")
    trees: int = Field(1000, ge=1, description="LightGBM's number of trees.")
    bins: int = Field(255, ge=2, description="LightGBM's bins of a feature; fewer are faster, and not as published.")
    cell_leaves: int = Field(63, ge=2, description="Leaves of a tree, in tasks of cells and points.")
    cell_minimum_child: int = Field(30, ge=1, description="Rows a leaf holds at least, in tasks of cells and points.")
    group_leaves: int = Field(31, ge=2, description="Leaves of a tree, in tasks of groups.")
    group_minimum_child: int = Field(50, ge=1, description="Rows a leaf holds at least, in tasks of groups.")
    # The paper's "city" tasks, which get ridge in place of LightGBM, are not delimited; 200 is our bound.
    ridge_below_groups: int = Field(
        200, ge=0, description="Tasks of fewer groups are fitted by ridge in pooled folds, as the paper's cities are."
    )
    ridge_alpha: float = Field(1.0, ge=0, description="Penalty of that ridge.")
    minimum_rows: int = Field(20, ge=4, description="Tasks with fewer labelled rows are skipped, with a reason.")
    raw_components: int = Field(
        128, ge=0, description="Principal components that a wider modality is reduced to in `raw`; 0 keeps it as it is."
    )
    threads: int = Field(0, ge=0, description="Fits at a time; 0 is one for each core. It does not change the result.")

    @field_validator("splits")
    @classmethod
    def _known_splits(cls, splits: list[str]) -> list[str]:
        if unknown := sorted(set(splits) - set(SPLITS)):
            raise ValueError(f"there is no split {', '.join(unknown)}; there are {', '.join(SPLITS)}")
        return splits
