"""What Dagster's instance says of regions: the last run of each, what runs now, the night, the daemon."""

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from mora_pipeline.alerts import Alert
from mora_pipeline.runs import PARTITION_TAG, PROCESS_TAG
from mora_pipeline.runs.identity import Process

SCHEDULE_TAG = "dagster/schedule_name"
NIGHTLY = "nightly"
CRON, TIME_ZONE = "MORA_NIGHTLY_CRON", "MORA_NIGHTLY_TIME_ZONE"
LATE_HOURS, AGE_HOURS = "MORA_ALERT_LATE_HOURS", "MORA_ALERT_AGE_HOURS"
TICK_GRACE_SECONDS = 1800.0  # that the daemon may take to begin a night
HEARTBEATS_SECONDS = 1800.0  # without a sign of life, after which the daemon counts as dead
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class RunSeen:
    """A run as it is recorded; times are seconds since 1970.

    Attributes:
        process: number and machine of its process; None if it has none yet.
    """

    run_id: str
    region: str
    job: str
    status: str
    created: float
    begun: float | None
    ended: float | None
    process: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken so far."""
        return None if self.begun is None else (self.ended or time.time()) - self.begun

    @classmethod
    def of(cls, record: dg.RunRecord) -> "RunSeen":
        """A run from its record."""
        run = record.dagster_run
        named = Process.parsed(run.tags.get(PROCESS_TAG, ""))
        process = f"process {named.pid} on {named.host}" if named else None
        created = record.create_timestamp.timestamp()
        region, status = run.tags.get(PARTITION_TAG, ""), run.status.value.lower()
        return cls(run.run_id, region, run.job_name, status, created, record.start_time, record.end_time, process)


@dataclass(frozen=True)
class Night:
    """The nightly schedule.

    Attributes:
        on: whether it is switched on.
        cron, time_zone: when it asks for runs.
        due: when it last ought to have begun, seconds since 1970.
        next: when it will begin.
        tick: when it last began; None if it never has.
        failure: why its last tick failed.
    """

    on: bool
    cron: str
    time_zone: str
    due: float
    next: float
    tick: float | None = None
    since: float | None = None
    failure: str | None = None


def last_run(instance: dg.DagsterInstance, region: str) -> RunSeen | None:
    """The run of a region that ended last."""
    return _newest(instance, region, _ENDED)


def last_success(instance: dg.DagsterInstance, region: str) -> RunSeen | None:
    """The run of a region that succeeded last."""
    return _newest(instance, region, [dg.DagsterRunStatus.SUCCESS])


def _newest(instance: dg.DagsterInstance, region: str, statuses: list[dg.DagsterRunStatus]) -> RunSeen | None:
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: region}, statuses=statuses), limit=1)
    return RunSeen.of(records[0]) if records else None


def active_runs(instance: dg.DagsterInstance) -> list[RunSeen]:
    """The runs that wait or go on, oldest first."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_ACTIVE), limit=200)
    return [RunSeen.of(record) for record in reversed(records)]


def nightly_run(instance: dg.DagsterInstance, region: str, due: float) -> RunSeen | None:
    """The newest run of a region that the nightly schedule asked for since a time."""
    tags = {PARTITION_TAG: region, SCHEDULE_TAG: NIGHTLY}
    created = datetime.fromtimestamp(due, UTC)
    records = instance.get_run_records(dg.RunsFilter(tags=tags, created_after=created), limit=1)
    return RunSeen.of(records[0]) if records else None


def daemon_age(instance: dg.DagsterInstance) -> float | None:
    """Seconds since the daemon's last sign of life; None if there never was one."""
    statuses = instance.get_daemon_statuses(["SCHEDULER", "SENSOR"]).values()
    beats = [status.last_heartbeat.timestamp for status in statuses if status.last_heartbeat]
    return max(0.0, time.time() - max(beats)) if beats else None


def daemon_alive(instance: dg.DagsterInstance) -> bool:
    """True if the daemon that asks for runs has given a sign of life lately."""
    return all(status.healthy for status in instance.get_daemon_statuses(["SCHEDULER", "SENSOR"]).values())


def night_times() -> tuple[str, str]:
    """When the nightly schedule asks for runs: its cron line, and the time zone of that."""
    return os.environ.get(CRON, "0 2 * * *"), os.environ.get(TIME_ZONE, "UTC")


def night(instance: dg.DagsterInstance, now: float | None = None) -> Night:
    """The nightly schedule: on or off, when it was due, when it began.

    Raises:
        ValueError: if the variables of its time cannot be meant.
    """
    cron, zone = night_times()
    moment = datetime.fromtimestamp(now or time.time(), UTC)
    try:
        times = dg.TimeWindowPartitionsDefinition(start=moment, fmt="%Y", cron_schedule=cron, timezone=zone)
        before = times.get_prev_partition_window(moment, respect_bounds=False)
        after = times.get_next_partition_window(moment, respect_bounds=False)
    except (dg.DagsterError, ValueError, KeyError, LookupError) as error:
        raise ValueError(f"{CRON}='{cron}' in {TIME_ZONE}='{zone}' names no time: {error}") from error
    if before is None or after is None:
        raise ValueError(f"{CRON}='{cron}' names no time")
    due, following = before.end.timestamp(), after.start.timestamp()
    states = [state for state in instance.all_instigator_state() if state.instigator_name == NIGHTLY]
    state = next((item for item in states if item.is_running), None)
    if state is None:
        return Night(False, cron, zone, due, following)
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    since = getattr(state.instigator_data, "start_timestamp", None)
    if not ticks:
        return Night(True, cron, zone, due, following, None, since)
    failure = ticks[0].error.message.strip() if ticks[0].is_failure and ticks[0].error else None
    return Night(True, cron, zone, due, following, ticks[0].timestamp, since, failure)


def hours(variable: str, default: float) -> float:
    """A number of hours from the environment; what is no number counts as the default."""
    text = os.environ.get(variable, "")
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else default


def wrong_nights(instance: dg.DagsterInstance, regions: Collection[str], now: float | None = None) -> list[Alert]:
    """What is wrong with the last night: it did not begin, its tick failed, or a run has not ended in time.

    A region that the night left out, because nothing of it has changed, is right; a run that failed is an alert of
    its own.

    Raises:
        ValueError: if the variables of the night's time cannot be meant.
    """
    now = now or time.time()
    seen = night(instance, now)
    if not seen.on or (seen.since or 0) > seen.due or now < seen.due + TICK_GRACE_SECONDS:
        return []
    when = f"{datetime.fromtimestamp(seen.due, UTC):%Y-%m-%d %H:%M} UTC"
    if seen.tick is None or seen.tick < seen.due - 60:
        text = f"It was due at {when}. The daemon was not running then, or hangs."
        return [Alert("night_missed", "The nightly run did not begin", text, "mora dev")]
    if seen.failure:
        return [Alert("night_missed", "The nightly run could not be asked for", seen.failure, "mora doctor")]
    limit = hours(LATE_HOURS, 6.0)
    if now < seen.due + limit * 3600:
        return []
    late = []
    for region in regions:
        run = nightly_run(instance, region, seen.due - 60)
        if run and run.ended is None:
            text = f"Its run {run.run_id} was asked for at {when} and is {run.status} after {limit:g} hours."
            late.append(
                Alert("night_late", f"The nightly run of {region} is late", text, "mora status", region, run.run_id)
            )
    return late


def old_regions(instance: dg.DagsterInstance, regions: Collection[str], now: float | None = None) -> list[Alert]:
    """The regions whose last successful run is older than MORA_ALERT_AGE_HOURS; none if that is not set."""
    limit, now = hours(AGE_HOURS, 0.0), now or time.time()
    if not limit:
        return []
    old = []
    for region in regions:
        run = last_success(instance, region)
        age = (now - (run.ended or run.created)) / 3600 if run else None
        if age is None or age > limit:
            text = (
                f"Its last successful run ended {age:.0f} hours ago" if age is not None else "It has no successful run"
            )
            title, mend = f"The embeddings of {region} are old", f"mora materialize {region}"
            old.append(Alert("region_old", title, f"{text}; {limit:g} are allowed ({AGE_HOURS}).", mend, region))
    return old


def dead_daemon(instance: dg.DagsterInstance) -> list[Alert]:
    """The alert of a daemon that ran once and gives no sign of life; one that never ran is nobody's loss."""
    age = daemon_age(instance)
    if age is None or age < HEARTBEATS_SECONDS:
        return []
    text = f"Its last sign of life was {age / 3600:.1f} hours ago: no nightly run, sensor or backfill goes on."
    return [Alert("daemon_dead", "The Dagster daemon is not running", text, "mora dev")]
