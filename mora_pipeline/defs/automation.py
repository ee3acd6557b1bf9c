"""What happens by itself: the nightly run of every region, and a first run of every new region."""

import json
import os
from collections.abc import Iterator

import dagster as dg

from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.defs.arrivals import refusals
from mora_pipeline.defs.jobs import materialize_region
from mora_pipeline.defs.partitions import regions
from mora_pipeline.lake.arrivals import look, watched_root
from mora_pipeline.lake.registry import Registry

REFUSED = "/refused"  # no folder has such a name


@dg.schedule(
    job=materialize_region,
    cron_schedule=os.environ.get("MORA_NIGHTLY_CRON", "0 2 * * *"),
    execution_timezone=os.environ.get("MORA_NIGHTLY_TIME_ZONE", "UTC"),
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=(
        "One run of every region each night. Off until switched on: here, or with `mora nightly on`. "
        "MORA_NIGHTLY_CRON and MORA_NIGHTLY_TIME_ZONE choose another time."
    ),
)
def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run a region and day: a tick that the daemon takes up again after a crash adds none."""
    known = _regions(context)
    day = context.scheduled_execution_time.date().isoformat()
    if not known:
        yield dg.SkipReason("There is no region yet: mora region add PATH_OF_REGION_YAML")
    for region in sorted(known):
        yield dg.RunRequest(run_key=f"{day}-{region}", partition_key=region)


def _regions(context: dg.ScheduleEvaluationContext) -> list[str]:
    """The partitions that are regions; one that was mistyped is named, and does not turn the night red."""
    partitions, known = set(context.instance.get_dynamic_partitions(regions.name or "")), Registry.at_home().all()
    for name in sorted(partitions - known.keys()):
        context.log.warning(
            f"The partition '{name}' is no region and is passed over.{did_you_mean(name, known)} "
            f"Take it away: job remove_region, or mora region remove {name}"
        )
    return sorted(partitions & known.keys())


@dg.sensor(
    job=materialize_region,
    minimum_interval_seconds=int(os.environ.get("MORA_WATCH_SECONDS", "30")),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Adds a region and starts its first run when a folder with region.yaml under $MORA_REGIONS (default "
        "$MORA_HOME/regions) is complete: it parses, every file it names is right, and nothing has changed since "
        "the last look. A folder that is not right is named with its cause, here and by the check of the asset "
        "new_folders; the others go on."
    ),
)
def new_regions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The cursor is the fingerprint of every folder at the last look, as JSON, and what was refused then."""
    root = watched_root()
    partitions = context.instance.get_dynamic_partitions(regions.name or "")
    seen, refused = _remembered(context.cursor)
    arrivals = look(root, Registry.at_home(), partitions, seen)
    for problem in arrivals.problems:
        context.log.warning(problem)
    requests = [
        dg.RunRequest(run_key=f"new-{region}-{print_of_files}", partition_key=region)
        for region, print_of_files in arrivals.regions.items()
    ]
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else " ".join(arrivals.problems) or f"No new region under {root}.",
        dynamic_partitions_requests=[regions.build_add_request(list(arrivals.regions))] if requests else None,
        asset_events=[] if arrivals.problems == refused else [refusals(arrivals.problems)],
        cursor=json.dumps(arrivals.seen | ({REFUSED: arrivals.problems} if arrivals.problems else {})),
    )


def _remembered(cursor: str | None) -> tuple[dict[str, str], list[str]]:
    """The fingerprints and the problems of the last look."""
    try:
        remembered = json.loads(cursor or "{}")
    except ValueError:
        remembered = {}  # somebody edited the cursor in the UI: look anew
    if not isinstance(remembered, dict):
        return {}, []
    refused = remembered.pop(REFUSED, [])
    return remembered, refused if isinstance(refused, list) else []
