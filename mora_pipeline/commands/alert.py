"""`mora alert`: try the ways that alerts go out, look for what is wrong, and list what stands."""

import sys

import click

from mora_pipeline.contract.errors import UserError


@click.command()
@click.option("--test", is_flag=True, help="Send a test by every way that is set; ends with 1 if one fails.")
@click.option(
    "--check", is_flag=True, help="Look for what is wrong now, and send alerts of it; for cron, beside the daemon."
)
def alert(test: bool, check: bool) -> None:
    """List the alerts that stand, and those that wait for their server.

    MORA_ALERT_WEBHOOK names an address that takes JSON, MORA_ALERT_EMAIL_TO and MORA_ALERT_SMTP a mail server
    (docs/operations.md). The daemon sends alerts by itself; what it cannot tell is its own end: for that, let cron run
    mora alert --check.

    \b
    Examples:
      mora alert
      mora alert --test
      mora alert --check
    """
    from mora_pipeline.alerts import open_alerts
    from mora_pipeline.lake import mora_home

    if test and check:
        raise UserError("--test and --check are two things: say one of them.")
    home = mora_home()
    if test:
        _test()
        return
    if check:
        _check()
    standing = open_alerts(home)
    for item in standing:
        click.echo(f"{item.since}  {item.message()}")
    if not standing:
        click.echo("No alert stands.")
    outbox = home / "alerts" / "outbox"
    if waiting := len(list(outbox.glob("*.json"))) if outbox.is_dir() else 0:
        click.echo(f"{waiting} wait for their server; the daemon tries again. Try now: mora alert --test", err=True)
    if check and standing:
        sys.exit(1)


def _test() -> None:
    from mora_pipeline.alerts import Alert
    from mora_pipeline.alerts.alert import utc_now
    from mora_pipeline.alerts.channels import ChannelError, configured

    channels = configured()
    if not channels:
        raise UserError(
            "No way is set but the log: set MORA_ALERT_WEBHOOK, or MORA_ALERT_EMAIL_TO and MORA_ALERT_SMTP."
        )
    failed = False
    for channel in channels:
        try:
            channel.send(Alert("test", "A test of mora's alerts", "Nothing is wrong.", "", since=utc_now()))
        except ChannelError as error:
            failed = True
            click.echo(f"{channel.name}: {error}", err=True)
        else:
            click.echo(f"{channel.name}: taken")
    if failed:
        sys.exit(1)


def _check() -> None:
    from mora_pipeline.alerts import watch
    from mora_pipeline.commands.metrics import readable_instance
    from mora_pipeline.defs.alerts import look
    from mora_pipeline.defs.history import dead_daemon
    from mora_pipeline.lake import mora_home

    with readable_instance() as (instance, problem):
        if instance is None:
            raise UserError(f"{problem} See: mora doctor")
        watch(mora_home(), ["daemon_dead"], dead_daemon(instance))
        try:
            look(instance)
        except ValueError as error:
            raise UserError(str(error)) from error
