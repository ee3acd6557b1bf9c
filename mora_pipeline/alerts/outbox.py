"""Alerts that wait for their server: files in ``$MORA_HOME/alerts/outbox``, tried again until they are taken.

A server that cannot be reached loses nothing, and never holds up or fails a run.
"""

import json
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mora_pipeline.alerts.alert import Alert
from mora_pipeline.alerts.channels import Channel, ChannelError
from mora_pipeline.contract.files import locked, replace_file

FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 3600.0
KEPT_SECONDS = 7 * 86_400.0  # then it is news to nobody
MOST_WAITING = 1000
log = logging.getLogger("mora_pipeline.alerts")


@dataclass(frozen=True)
class Delivery:
    """What an attempt to empty the outbox did; `problems` has one message a server that did not take an alert."""

    sent: int
    waiting: int
    problems: tuple[str, ...] = ()


def folder_of(home: Path) -> Path:
    """The folder of all that alerts keep in a home; only its owner may look, for it names regions and failures."""
    folder = home / "alerts"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "outbox").mkdir(exist_ok=True, mode=0o700)
    return folder


def put(home: Path, alert: Alert, channels: Sequence[Channel]) -> None:
    """Keep an alert for each channel until its server has taken it.

    Raises:
        OSError: if the disk does not take it.
    """
    outbox = folder_of(home) / "outbox"
    for channel in channels:
        entry = {"channel": channel.name, "alert": alert.record(), "tries": 0, "due": 0.0, "put": time.time()}
        replace_file(outbox / f"{time.time_ns():020d}-{secrets.token_hex(4)}.json", json.dumps(entry))


def deliver(home: Path, channels: Sequence[Channel], now: bool = False) -> Delivery:
    """Hand over what is due, oldest first; after a server's first refusal its others wait as well.

    Args:
        channels: as they are set by now; what waits for another one stays until it is too old.
        now: also what is not due yet.
    """
    outbox = folder_of(home) / "outbox"
    by_name, sent, problems = {channel.name: channel for channel in channels}, 0, dict[str, str]()
    with locked(outbox.parent / "outbox.lock"):
        _drop_old(outbox)
        for file in sorted(outbox.glob("*.json")):
            try:
                entry = json.loads(file.read_text(encoding="utf-8"))
                alert, channel = Alert(**entry["alert"]), by_name.get(entry["channel"])
                due, tries = float(entry["due"]), int(entry["tries"])
            except (ValueError, KeyError, TypeError):
                log.error(f"{file} is damaged and was removed from the outbox.")
                file.unlink(missing_ok=True)
                continue
            if channel is None or channel.name in problems or (due > time.time() and not now):
                continue
            try:
                channel.send(alert)
            except ChannelError as error:
                problems[channel.name] = str(error)
                wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries, 16))
                replace_file(file, json.dumps({**entry, "tries": tries + 1, "due": time.time() + wait}))
                log.warning(f"An alert waits: {error}; next attempt in {wait:.0f} s.")
            else:
                file.unlink(missing_ok=True)
                sent += 1
        waiting = len(list(outbox.glob("*.json")))
    return Delivery(sent, waiting, tuple(problems.values()))


def forget_region(home: Path, region: str) -> int:
    """Remove what waits about a region; returns how many."""
    outbox = home / "alerts" / "outbox"
    removed = 0
    for file in outbox.glob("*.json") if outbox.is_dir() else ():
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(file.read_text(encoding="utf-8"))["alert"]["region"] == region:
                file.unlink(missing_ok=True)
                removed += 1
    return removed


def _drop_old(outbox: Path) -> None:
    """Remove partial files of killed processes, what is too old, and the oldest of too many."""
    for partial in outbox.glob("_*"):
        if time.time() - partial.stat().st_mtime > LONGEST_WAIT_SECONDS:
            partial.unlink(missing_ok=True)
    files = sorted(outbox.glob("*.json"))
    old = [file for file in files if time.time() - int(file.name.split("-")[0]) / 1e9 > KEPT_SECONDS]
    for file in {*old, *files[: max(0, len(files) - MOST_WAITING)]}:
        log.error(f"{file.name} was never taken by its server and is dropped.")
        file.unlink(missing_ok=True)
