"""Protocol and data in words, and facts as texts."""

from collections.abc import Mapping
from typing import Any

from mora_pipeline.evaluation.labels.blocks import BLOCK_LEVELS
from mora_pipeline.evaluation.protocol.intervals import FEWEST_BLOCKS, LEVEL
from mora_pipeline.evaluation.protocol.parameters import PROTOCOLS, BenchmarkParameters
from mora_pipeline.evaluation.protocol.trials import REGION_PAPERS
from mora_pipeline.evaluation.report.tables import MISSING


def protocol_words(parameters: BenchmarkParameters) -> list[str]:
    """Sentences on how the benchmark tests and scores."""
    seeds = f"Seeds {', '.join(map(str, parameters.seeds))}"
    if "paper" in parameters.protocols:
        seeds += f"; of MoRA's protocol {', '.join(map(str, parameters.paper_seeds))}"
    return [
        *(f"{name.replace('_', ' ')}: {PROTOCOLS[name]}." for name in parameters.protocols),
        f"LightGBM with MoRA's settings has {parameters.trees} trees with a step of {parameters.learning_rate:g}; fast "
        f"LightGBM has {parameters.fast_trees} with {parameters.fast_learning_rate:g} and {parameters.fast_bins} "
        "bins. Nothing is chosen on tested rows, and no fit stops early.",
        f"The random split tests on {100 * parameters.test_share:g} % of the labels. Ridge has a penalty of "
        f"{parameters.ridge_alpha:g}; few groups are fewer than {parameters.ridge_below_groups}.",
        f"Blocked folds: no H3 parent, {BLOCK_LEVELS} levels up (about {7**BLOCK_LEVELS} cells), has labels on both "
        f"sides; {parameters.folds} folds, scored on their pooled predictions. Labels next door are fitted at the "
        "borders of blocks alone. Folds of whole groups are random folds for a task whose labels are those groups.",
        f"{seeds}. Scores are means over seeds, ± the standard deviation.",
        *([_papers_folds(parameters)] if REGION_PAPERS in parameters.protocols else []),
        f"Intervals hold {LEVEL:g} % of {parameters.resamples} bootstrap resamples of whole H3 parents or groups (of "
        f"cells where a task is tested in fewer than {FEWEST_BLOCKS}), the same for all methods. The best baseline is "
        "chosen on the tested rows, which favours it.",
        f"A label whose correlation with an input column reaches {parameters.leak_bound:g} (values or ranks) is "
        "refused unless region.yaml allows it.",
        "Bold is the best of a column. The mean of a table is over the tasks that every method has a score for, ridge "
        "on few groups included and labels that may leak left out; the summary and the intervals take each model's "
        f"tasks by themselves. {MISSING} is a task that could not be scored.",
    ]


def _papers_folds(parameters: BenchmarkParameters) -> str:
    """How the protocol of region papers splits."""
    shuffled = (
        f"shuffled by seed {parameters.region_papers_seed}" if parameters.region_papers_shuffled else "unshuffled"
    )
    rows = "; rows with a label above 0 alone" if parameters.region_papers_positive_only else ""
    return f"Region papers: {parameters.region_papers_folds} folds in the order of the places, {shuffled}{rows}."


def flat_facts(details: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested details as texts by label."""
    facts: dict[str, str] = {}
    for label, value in details.items():
        if isinstance(value, Mapping):
            facts.update(flat_facts(value, f"{prefix}{label}: "))
        else:
            facts[f"{prefix}{label}"] = _shown(value)
    return facts


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: MISSING}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple | set):
        return ", ".join(str(item) for item in value)
    return str(value)
