"""Which version of a region's registered model serves: the one whose benchmark is not worse."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import pyarrow as pa

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
SCORES = "scores"  # tag of a model version: its R² by task, split and regressor, as JSON


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate becomes champion, and why; the means are over what both were scored on."""

    promoted: bool
    reason: str
    candidate_r2: float | None = None
    champion_r2: float | None = None
    compared: int = 0


def mean_scores(benchmark: pa.Table, method: str, leaks: Collection[str] = ()) -> dict[str, float]:
    """A method's R², averaged over seeds.

    Args:
        benchmark: `schemas.BENCHMARK`; rows without a score are left out.
        leaks: tasks to leave out, since their label may leak from the inputs.

    Returns:
        R² by ``task|split|model``.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for row in benchmark.to_pylist():
        if row["method"] == method and row["r2"] is not None and row["task"] not in leaks:
            found[f"{row['task']}|{row['split']}|{row['model']}"].append(row["r2"])
    return {name: fmean(values) for name, values in sorted(found.items())}


def compare(candidate: Mapping[str, float], champion: Mapping[str, float] | None, tolerance: float = 0.0) -> Verdict:
    """Decide by mean R² over what both were scored on.

    Args:
        champion: its scores; None if there is no champion yet.
        tolerance: how much lower the candidate's mean may be.
    """
    if champion is None:
        mean = fmean(candidate.values()) if candidate else None
        return Verdict(True, "There was no champion before.", mean, None, 0)
    common = sorted(candidate.keys() & champion.keys())
    if not common:
        return Verdict(False, "Candidate and champion were scored on nothing in common, so the champion stays.")
    ours, theirs = fmean(candidate[name] for name in common), fmean(champion[name] for name in common)
    promoted = ours >= theirs - tolerance
    reason = f"Mean R² {ours:.4f} against the champion's {theirs:.4f} over {len(common)} scores."
    return Verdict(promoted, reason, ours, theirs, len(common))


def promote(
    client: "MlflowClient", model: str, version: str, scores: Mapping[str, float], tolerance: float = 0.0
) -> Verdict:
    """Record a version's scores, and move the alias `champion` to it if it is not worse than the champion.

    Args:
        model: name of the registered model.
        version: the candidate's.

    Raises:
        UserError: if MLflow does not know the version.
    """
    from mlflow import MlflowException

    if not scores:  # such a tag would leave nothing to compare the next candidate with
        return Verdict(False, "The benchmark has no score of the model on a task whose label may not leak: no change.")
    try:
        client.set_model_version_tag(model, version, SCORES, json.dumps(scores))
    except MlflowException as error:
        raise UserError(
            f"MLflow does not know version {version} of the model {model} ({error}): it was registered elsewhere. "
            "Materialise `distilled_encoder` and `benchmark` again."
        ) from error
    current = client.get_registered_model(model).aliases.get(CHAMPION)
    before = None
    if current is not None and str(current) != version:
        tags = client.get_model_version(model, str(current)).tags
        before = json.loads(tags.get(SCORES, "{}"))
    if current is not None and str(current) == version:
        return Verdict(True, "It is the champion already.", fmean(scores.values()) if scores else None)
    verdict = compare(scores, before, tolerance)
    if verdict.promoted:
        client.set_registered_model_alias(model, CHAMPION, version)
    return verdict
