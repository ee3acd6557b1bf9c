"""What became of the folders under the watched root, as an asset with a check: a refusal is seen without opening logs.

Source: the sensor `new_regions`, whenever what it refuses has changed; the button of the check looks anew.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.lake.arrivals import look, watched_root
from mora_pipeline.lake.registry import Registry

ARRIVALS = "new_folders"
CHECK = "every_folder_is_right"

new_folders = dg.AssetSpec(
    ARRIVALS,
    group_name="arrivals",
    kinds={"folder"},
    description="Folders under $MORA_REGIONS that may become regions. The check names each that is refused, and why.",
)


def refusals(problems: Sequence[str]) -> dg.AssetCheckEvaluation:
    """The event that shows what one look refused.

    Args:
        problems: one message a folder, ``name: why``; see `lake.arrivals.Arrivals`.
    """
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(ARRIVALS),
        check_name=CHECK,
        **_outcome(problems),
    )


@dg.asset_check(
    asset=ARRIVALS,
    name=CHECK,
    description="Every folder under the watched root is a region, or becomes one as soon as it is complete.",
)
def every_folder_is_right(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
    """Looks as the sensor does; a folder that is complete becomes a region at the sensor's own look."""
    partitions = context.instance.get_dynamic_partitions(str(regions.name))
    problems = look(watched_root(), Registry(lake.path()), partitions, {}).problems
    return dg.AssetCheckResult(**_outcome(problems))


def _outcome(problems: Sequence[str]) -> dict[str, Any]:
    """What a check of the folders says, as an event and as a result take it."""
    return {
        "passed": not problems,
        "metadata": _by_folder(problems),
        "severity": dg.AssetCheckSeverity.WARN,
        "description": _summary(problems),
    }


def _by_folder(problems: Sequence[str]) -> dict[str, str]:
    found = dict(problem.partition(": ")[::2] for problem in problems)
    return {folder: reason or "not right" for folder, reason in found.items()}


def _summary(problems: Sequence[str]) -> str:
    return f"{len(problems)} not right: {', '.join(_by_folder(problems))}" if problems else "All are right."
