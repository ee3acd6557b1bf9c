"""Methods, splits and models as people read them, and the order in which they are shown."""

from mora_pipeline.evaluation.protocol.models import CLIPPED_RIDGE, LIGHTGBM, LIGHTGBM_FAST, LINEAR_PROBE, POOLED_RIDGE
from mora_pipeline.evaluation.protocol.trials import BLOCKED, BY, FEW_SHOT, FROM, RANDOM, REGION_PAPERS

TITLES = {
    LIGHTGBM: "LightGBM with MoRA's settings",
    LIGHTGBM_FAST: "fast LightGBM",
    LINEAR_PROBE: "linear probe",
    CLIPPED_RIDGE: "ridge, clipped at 0",
    POOLED_RIDGE: "ridge",
}
METHOD_TITLES = {"inputs_surroundings": "inputs + surroundings"}
FIRST = ("mora", "inputs", "raw", "paper")  # methods that a reader looks for, above the others
# Which split and model represent the benchmark where one must: the first of these.
SPLITS = (BLOCKED, BY, RANDOM, FEW_SHOT, REGION_PAPERS, FROM)
MODELS = (LIGHTGBM_FAST, LIGHTGBM, POOLED_RIDGE, CLIPPED_RIDGE, LINEAR_PROBE)


def model_title(model: str) -> str:
    """A model in words."""
    return TITLES.get(model, model)


def split_title(split: str) -> str:
    """A split in words."""
    named = {
        RANDOM: "random split",
        BLOCKED: "blocked folds (H3 parents)",
        REGION_PAPERS: "protocol of region papers",
    }
    if split.startswith(FEW_SHOT):
        return f"{split.removeprefix(FEW_SHOT)} labels"
    if split.startswith(FROM):
        return f"fitted in {split.removeprefix(FROM)}"
    return f"folds of whole {split.removeprefix(BY)}" if split.startswith(BY) else named[split]


def method_title(method: str) -> str:
    """A method as people read it."""
    return METHOD_TITLES.get(method, method)


def rank(split: str, model: str) -> tuple[int, int]:
    """The order of splits and models: blocked folds first, then LightGBM before pooled ridge before the probe."""
    known = model in MODELS
    return next(at for at, start in enumerate(SPLITS) if split.startswith(start)), (
        MODELS.index(model) if known else len(MODELS)
    )
