"""Alerts of what happens while nobody looks: a run that fails, a night that is missed or late, an old region."""

import dagster as dg

from mora_pipeline.alerts import Alert, open_alerts, outbox, raise_alert, settle, watch
from mora_pipeline.alerts.channels import configured
from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.history import last_run, old_regions, wrong_nights
from mora_pipeline.lake import mora_home
from mora_pipeline.lake.registry import Registry
from mora_pipeline.runs import PARTITION_TAG

INTERVAL_SECONDS = 60
WATCHED = ("night_missed", "night_late", "region_old")


@dg.run_failure_sensor(
    monitor_all_code_locations=True,  # the runs of `mora materialize` have no code location
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends an alert of every run that failed, also of those that `mora` began: to the log, and to the webhook "
        "and the mail addresses that MORA_ALERT_WEBHOOK and MORA_ALERT_EMAIL_TO name. Try them: mora alert --test."
    ),
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """One alert a failed run."""
    raise_alert(mora_home(), failed_run_alert(context))


@dg.sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Looks every minute whether the last night began in time, whether its runs have ended (MORA_ALERT_LATE_HOURS, "
        "6), and whether a region is older than MORA_ALERT_AGE_HOURS; sends alerts of it and tells when it is over. "
        "Alerts that a server did not take are sent again."
    ),
)
def nights(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Never asks for a run; what it saw is its reason."""
    return dg.SkipReason(look(context.instance))


def look(instance: dg.DagsterInstance) -> str:
    """Tell what is wrong with the last night, tell what is mended, and empty the outbox; returns what was seen.

    Raises:
        ValueError: if the variables of the night's time cannot be meant.
    """
    home = mora_home()
    try:
        regions = list(Registry(home).all())
    except UserError as error:
        return str(error)
    wrong = [*wrong_nights(instance, regions), *old_regions(instance, regions)]
    watch(home, WATCHED, wrong)
    settle_runs(instance, regions)
    try:
        delivery = outbox.deliver(home, configured())
    except UserError as error:
        return f"Alerts go to the log alone: {error}"
    waiting = f"{delivery.waiting} alerts wait: {'; '.join(delivery.problems) or 'not due yet'}. "
    return (waiting if delivery.waiting else "") + ("; ".join(alert.title for alert in wrong) or "All is well.")


def settle_runs(instance: dg.DagsterInstance, regions: list[str]) -> None:
    """A region's failed run is mended by one that succeeds."""
    home = mora_home()
    failed = [alert for alert in open_alerts(home) if alert.kind == "run_failed" and alert.region in regions]
    seen = {alert.key: last_run(instance, str(alert.region)) for alert in failed}
    settle(home, [key for key, run in seen.items() if run is not None and run.status == "success"])


def failed_run_alert(context: dg.RunFailureSensorContext) -> Alert:
    """What a failed run's alert says: the steps that failed, each with its first cause."""
    run, region = context.dagster_run, context.dagster_run.tags.get(PARTITION_TAG)
    causes = []
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        described = failure.user_failure_data.description if failure.user_failure_data else None
        causes.append(f"{event.step_key}: {described or _root_message(failure.error)}")
    name = f"{run.job_name} of {region}" if region else run.job_name
    text = "\n".join(causes) or context.failure_event.message or "It ended without a message."
    mend = f"mora materialize {region}" if region else "mora status"
    return Alert("run_failed", f"The run {name} failed", text, mend, region, run.run_id)


def _root_message(error: object) -> str:
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    return str(getattr(error, "message", error)).strip()
