"""Which version of a region's registered model serves: the one whose benchmark is not worse."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.protocol.metrics import R2, Metric

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from mora_pipeline.lake import Version

CHAMPION = "champion"
SCORES = "scores"  # tag of a model version: its scores by task, split and model, as JSON; {} without tasks that count


@dataclass(frozen=True)
class PromotionDecision:
    """Whether a candidate becomes champion, and why; the means are over what both were scored on."""

    promoted: bool
    reason: str
    candidate_r2: float | None = None
    champion_r2: float | None = None
    compared: int = 0


def not_scored(benchmark: "Version", encoder: "Version", method: str) -> PromotionDecision | None:
    """Why a benchmark says nothing of an encoder; None if it does.

    Args:
        benchmark: of the lake.
        encoder: `distilled_encoder` of the lake, whose registered version is the candidate.
        method: of the benchmark, whose scores decide.

    Raises:
        UserError: if the benchmark scored another encoder, or the vectors that another was distilled from.
    """
    region, asked = benchmark.region, benchmark.details["parameters"]["methods"]
    methods = list(dict.fromkeys(benchmark.table(["method"])["method"].to_pylist()))  # `raw:each` scores several
    if methods and method not in methods:  # none: the region has no tasks
        return PromotionDecision(
            False,
            f"The benchmark of '{region}' did not score '{method}', whose scores decide; it scored "
            f"{', '.join(methods)}. No change. Add it: mora benchmark {region} --run "
            f'--set "methods=[{", ".join([*asked, method])}]", then '
            f"mora materialize {region} --select champion",
        )
    scored = benchmark.inputs.get("distilled_encoder")
    if scored is None:  # such as of the embeddings that the encoder was distilled from
        same = benchmark.inputs.get("embeddings") == encoder.inputs.get("embeddings")
    else:
        same = scored == encoder.version
    if not same:
        raise UserError(
            f"The benchmark of '{region}' scored another distilled encoder than the region has now. "
            f"Materialise `benchmark` again: mora materialize {region} --select benchmark,champion"
        )
    return None


def compare(
    candidate: Mapping[str, float], champion: Mapping[str, float] | None, tolerance: float = 0.0, metric: Metric = R2
) -> PromotionDecision:
    """Decide by the mean score over what both were scored on.

    Args:
        champion: its scores; None if there is no champion yet.
        tolerance: how much worse the candidate's mean may be.
    """
    mean = fmean(candidate.values()) if candidate else None
    if champion is None:
        lacking = "" if candidate else " The benchmark has no task to compare versions on."
        return PromotionDecision(True, f"There was no champion before.{lacking}", mean)
    if not champion:  # it came first, before the region had tasks
        return PromotionDecision(True, "The champion has no scores to compare with.", mean)
    common = sorted(candidate.keys() & champion.keys())
    if not common:
        return PromotionDecision(
            False, "Candidate and champion were scored on nothing in common, so the champion stays."
        )
    ours, theirs = fmean(candidate[name] for name in common), fmean(champion[name] for name in common)
    promoted = bool(metric.gain(ours, theirs) >= -tolerance)
    reason = f"Mean {metric.title} {ours:.4f} against the champion's {theirs:.4f} over {len(common)} scores."
    return PromotionDecision(promoted, reason, ours, theirs, len(common))


def promote(
    client: "MlflowClient", model: str, version: str, scores: Mapping[str, float], tolerance: float = 0.0
) -> PromotionDecision:
    """Record a version's scores, and move the alias `champion` to it if it is not worse than the champion.

    Args:
        model: name of the registered model.
        version: the candidate's.
        scores: from `mean_scores`; none where the region has no task that counts.

    Raises:
        UserError: if MLflow does not know the version.
    """
    from mlflow import MlflowException

    try:
        known = client.get_model_version(model, version).tags
    except MlflowException as error:
        raise UserError(
            f"MLflow does not know version {version} of the model {model} ({error}): it was registered elsewhere. "
            "Materialise `distilled_encoder` and `benchmark` again."
        ) from error
    if scores or SCORES not in known:  # no scores are no reason to forget those of before
        client.set_model_version_tag(model, version, SCORES, json.dumps(scores))
    current = client.get_registered_model(model).aliases.get(CHAMPION)
    if current is not None and not scores:
        return PromotionDecision(
            False, "The benchmark has no score of the model on a task whose label may not leak: no change."
        )
    if current is not None and str(current) == version:
        return PromotionDecision(True, "It is the champion already.", fmean(scores.values()))
    before = None
    if current is not None:
        tags = client.get_model_version(model, str(current)).tags
        if SCORES not in tags:
            return PromotionDecision(
                False,
                f"The champion, version {current}, was never compared (its alias was moved by hand, or it comes from "
                f"elsewhere), so it stays. To replace it, move the alias '{CHAMPION}' in MLflow.",
            )
        before = json.loads(tags[SCORES])
    decision = compare(scores, before, tolerance)
    if decision.promoted:
        client.set_registered_model_alias(model, CHAMPION, version)
    return decision
