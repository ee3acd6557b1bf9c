"""What is wrong now: an alert goes out when it begins, once a day while it lasts, and when it is mended."""

import json
import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mora_pipeline.alerts import outbox
from mora_pipeline.alerts.alert import Alert, utc_now
from mora_pipeline.alerts.channels import Channel, ChannelError, configured
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import locked, replace_file

REMINDER_SECONDS = 86_400.0
log = logging.getLogger("mora_pipeline.alerts")


def raise_alert(home: Path, alert: Alert) -> None:
    """Tell that something is wrong; the same thing again only after a day. Never raises: an alert fails no run."""
    try:
        due = _begin(home, alert)
    except OSError as error:  # a full disk is what somebody has to know of most
        log.error(f"Alerts cannot be kept under {home / 'alerts'} ({error.strerror}); this one is told without that.")
        due = replace(alert, since=alert.since or utc_now())
    if due:
        _send(home, due)


def _begin(home: Path, alert: Alert) -> Alert | None:
    """Note that an alert stands; None if that was told before."""
    with locked(outbox.folder_of(home) / "open.lock"):
        standing = _read(home)
        before = standing.get(alert.key)
        if before and before["run"] == alert.run and time.time() - before["told"] < REMINDER_SECONDS:
            return None
        alert = replace(alert, since=before["since"] if before else alert.since or utc_now())
        _write(home, {**standing, alert.key: {**alert.record(), "told": time.time()}})
    return alert


def settle(home: Path, keys: Iterable[str]) -> list[Alert]:
    """Tell that some alerts are over; those that do not stand are passed over. Returns the others."""
    mended = []
    with locked(outbox.folder_of(home) / "open.lock"):
        standing = _read(home)
        for key in keys:
            if record := standing.pop(key, None):
                record.pop("told", None)
                mended.append(Alert(**{**record, "mended": True}))
        if mended:
            _write(home, standing)
    for alert in mended:
        _send(home, alert)
    return mended


def watch(home: Path, kinds: Collection[str], wrong: Iterable[Alert]) -> None:
    """Tell what began and what is over, of the kinds of alerts that somebody just looked for.

    Args:
        wrong: all that is wrong now, of these kinds.
    """
    now = {alert.key: alert for alert in wrong}
    settle(home, [item.key for item in open_alerts(home) if item.kind in kinds and item.key not in now])
    for alert in now.values():
        raise_alert(home, alert)


def open_alerts(home: Path) -> list[Alert]:
    """What is wrong now, oldest first."""
    records = [{name: value for name, value in record.items() if name != "told"} for record in _read(home).values()]
    return sorted((Alert(**record) for record in records), key=lambda alert: alert.since)


def forget(home: Path, region: str) -> int:
    """Remove all that alerts keep about a region, for its erasure; returns how many things that were."""
    if not (home / "alerts").is_dir():
        return 0
    with locked(home / "alerts" / "open.lock"):
        standing = _read(home)
        kept = {key: record for key, record in standing.items() if record["region"] != region}
        if len(kept) < len(standing):
            _write(home, kept)
    return len(standing) - len(kept) + outbox.forget_region(home, region)


def _send(home: Path, alert: Alert) -> None:
    """To the log, and to every server that is set; what a server does not take waits in the outbox."""
    level = logging.INFO if alert.mended else logging.ERROR
    log.log(level, alert.message(), extra={"region": alert.region, "run": alert.run})
    try:
        channels = configured()
    except UserError as error:
        log.error(f"Alerts go to the log alone: {error}")
        return
    try:
        outbox.put(home, alert, channels)
        outbox.deliver(home, channels)
    except OSError as error:
        log.error(f"The outbox of alerts cannot be written ({error.strerror}); the alert is sent once, without it.")
        _send_directly(alert, channels)


def _send_directly(alert: Alert, channels: Iterable[Channel]) -> None:
    for channel in channels:
        try:
            channel.send(alert)
        except ChannelError as error:
            log.error(f"An alert is lost: {error}.")


def _read(home: Path) -> dict[str, dict[str, Any]]:
    """The alerts that stand, by key; a damaged file counts as none, for then they are told again."""
    try:
        standing = json.loads((home / "alerts" / "open.json").read_text(encoding="utf-8"))
        return {key: record for key, record in standing.items() if Alert(**_without_told(record)).key == key}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        log.warning(f"{home / 'alerts' / 'open.json'} is damaged; what is wrong is told anew.")
        return {}


def _without_told(record: dict[str, Any]) -> dict[str, Any]:
    float(record["told"])
    return {name: value for name, value in record.items() if name != "told"}


def _write(home: Path, standing: dict[str, dict[str, Any]]) -> None:
    try:
        replace_file(home / "alerts" / "open.json", json.dumps(standing, indent=2))
    except OSError as error:
        log.error(f"{home / 'alerts' / 'open.json'} cannot be written ({error.strerror}).")
