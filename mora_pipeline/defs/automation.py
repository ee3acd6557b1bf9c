"""What happens by itself: the nightly run of every region, and a first run of every new region."""

import json
import os
from collections.abc import Iterator

import dagster as dg

from mora_pipeline.defs.jobs import materialize_region
from mora_pipeline.defs.partitions import regions
from mora_pipeline.lake.arrivals import look, watched_root
from mora_pipeline.lake.registry import Registry


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
    known = context.instance.get_dynamic_partitions(regions.name or "")
    day = context.scheduled_execution_time.date().isoformat()
    if not known:
        yield dg.SkipReason("There is no region yet: mora region add PATH_OF_REGION_YAML")
    for region in sorted(known):
        yield dg.RunRequest(run_key=f"{day}-{region}", partition_key=region)


@dg.sensor(
    job=materialize_region,
    minimum_interval_seconds=int(os.environ.get("MORA_WATCH_SECONDS", "30")),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Adds a region and starts its first run when a folder with region.yaml under $MORA_REGIONS (default "
        "$MORA_HOME/regions) is complete: it parses, every file it names is right, and nothing has changed since "
        "the last look. A folder that is not right is named with its cause; the others go on."
    ),
)
def new_regions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The cursor is the fingerprint of every folder at the last look, as JSON."""
    root = watched_root()
    partitions = context.instance.get_dynamic_partitions(regions.name or "")
    arrivals = look(root, Registry.at_home(), partitions, _fingerprints(context.cursor))
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
        cursor=json.dumps(arrivals.seen),
    )


def _fingerprints(cursor: str | None) -> dict[str, str]:
    try:
        fingerprints = json.loads(cursor or "{}")
    except ValueError:
        return {}  # somebody edited the cursor in the UI: look anew
    return fingerprints if isinstance(fingerprints, dict) else {}
