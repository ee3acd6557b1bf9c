"""What happens by itself: a run of every region that has changed each night, and a first run of every new region."""

import json
import os
from collections.abc import Iterator

import dagster as dg

from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.defs.arrivals import refusals
from mora_pipeline.defs.history import night_times
from mora_pipeline.defs.jobs import materialize_region
from mora_pipeline.defs.partitions import regions
from mora_pipeline.lake.arrivals import look, watched_root
from mora_pipeline.lake.registry import Registry
from mora_pipeline.runs import PARTITION_TAG
from mora_pipeline.steps import Session, all_steps, local_session
from mora_pipeline.steps.memoised import what_has_changed

REASON_TAG = "mora/reason"  # of a nightly run: what has changed

REFUSED = "/refused"  # no folder has such a name


@dg.schedule(
    job=materialize_region,
    cron_schedule=night_times()[0],
    execution_timezone=night_times()[1],
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=(
        "One run each night of every region that has changed since it was made (its raw files, region.yaml, the "
        "code), or whose last run failed; the tick names the reason for each region. Off until switched on: here, or "
        "with `mora nightly on`. MORA_NIGHTLY_CRON and MORA_NIGHTLY_TIME_ZONE choose another time."
    ),
)
def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """At most one run a region and day: a tick that the daemon takes up again after a crash adds none."""
    known = _regions(context)
    day = context.scheduled_execution_time.date().isoformat()
    if not known:
        yield dg.SkipReason("There is no region yet: mora region add PATH_OF_REGION_YAML")
        return
    session, unchanged = local_session(), list[str]()
    for region in sorted(known):
        reason = _failed(context.instance, region) or _changed(region, session)
        if reason is None:
            unchanged.append(region)
            context.log.info(f"{region} is left as it is: neither its files nor region.yaml nor the code have changed.")
            continue
        context.log.info(f"{region} is run: {reason}.")
        yield dg.RunRequest(run_key=f"{day}-{region}", partition_key=region, tags={REASON_TAG: reason})
    if len(unchanged) == len(known):
        yield dg.SkipReason(
            f"Nothing has changed since it was made (files, region.yaml, code): {', '.join(unchanged)}."
        )


def _changed(region: str, session: Session) -> str | None:
    """What has changed of a region; one that cannot be judged is run, whose run tells why."""
    try:
        return what_has_changed(region, session, [step for step in all_steps() if step.in_chain])
    except Exception as error:  # noqa: BLE001 - one region must not take the night from the others
        return f"whether it has changed cannot be told ({type(error).__name__})"


def _failed(instance: dg.DagsterInstance, region: str) -> str | None:
    """Why a region is run although nothing may have changed: its last run did not end well."""
    filters = dg.RunsFilter(job_name=materialize_region.name, tags={PARTITION_TAG: region})
    last = next(iter(instance.get_runs(filters, limit=1)), None)
    failed = last is not None and last.status == dg.DagsterRunStatus.FAILURE
    return f"its last run, {last.run_id[:8]}, failed" if last and failed else None


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
