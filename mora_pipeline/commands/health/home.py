"""The home and the services around it: format, lake, regions, history, daemon, MLflow, alerts."""

import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mora_pipeline.commands.health.finding import Finding
from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from dagster import DagsterInstance

PATIENCE = 5.0


def home_format(home: Path) -> Finding:
    """Whether this software can read the home."""
    from mora_pipeline.lake.home import format_of, opened

    if not home.is_dir():
        return Finding("home", "ok", f"{home} will be made by the first run")
    try:
        opened(home)
        return Finding("home", "ok", f"{home}, format {format_of(home)}")
    except (UserError, OSError) as error:
        return Finding("home", "bad", str(error), "do as the message says")


def lake(home: Path, every_byte: bool) -> Iterator[Finding]:
    """Every dataset's record and files; the content only if it is asked for."""
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.verify import verify

    seen = verify(Lake(home / "lake"), fast=not every_byte)
    for damage in seen.damages:
        yield Finding("lake", "bad", damage.message, f"mora lake repair {damage.region}")
    if not seen.damages:
        how = "every byte" if every_byte else "sizes and footers; every byte: --verify"
        yield Finding("lake", "ok", f"{seen.versions} versions, {seen.files} files are whole ({how})")


def regions(home: Path) -> Iterator[Finding]:
    """Whether every known region's file can be read."""
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.region import RegionConfig

    try:
        known = Registry(home).all()
    except UserError as error:
        yield Finding("regions", "bad", str(error), "mora region add PATH_OF_REGION_YAML")
        return
    wrong = 0
    for name, path in known.items():
        try:
            RegionConfig.load(path)
        except (UserError, OSError) as error:
            wrong += 1
            yield Finding("regions", "bad", f"{name}: {error}", f"mend {path}, or mora region remove {name}")
    if not wrong:
        yield Finding("regions", "ok", f"{len(known)} are known")


def scheduler(home: Path) -> Iterator[Finding]:
    """Dagster's history, daemon, and the runs that it has on record; runs that have died are ended by looking."""
    from mora_pipeline.commands.metrics import readable_instance

    with readable_instance() as (instance, problem):
        if instance is not None:
            yield from _history(instance)
        elif not home.is_dir():
            yield Finding("history", "ok", "none yet")
        else:
            mend = "mora restore-backup, or move that folder away: runs are forgotten, the lake stays"
            yield Finding("history", "bad", str(problem), mend)


def _history(instance: "DagsterInstance") -> Iterator[Finding]:
    from mora_pipeline.defs import history

    try:
        active, alive, age = history.active_runs(instance), history.daemon_alive(instance), history.daemon_age(instance)
        night = history.night(instance)
    except ValueError as error:
        yield Finding(
            "night", "bad", str(error), "set MORA_NIGHTLY_CRON and MORA_NIGHTLY_TIME_ZONE to what can be meant"
        )
        return
    except sqlite3.Error as error:
        yield Finding("history", "bad", f"It cannot be read: {error}", "mora restore-backup")
        return
    yield Finding("history", "ok", f"it can be read; {len(active)} runs wait or go on, none has died unnoticed")
    queued = [run for run in active if run.status == "queued"]
    if alive:
        yield Finding("daemon", "ok", "it runs")
    elif night.on or queued:
        what = "the nightly run is on" if night.on else f"{len(queued)} runs wait for it"
        yield Finding("daemon", "bad", f"It does not run, but {what}", "mora dev")
    else:
        since = "never ran" if age is None else f"last ran {age / 3600:.1f} hours ago"
        yield Finding("daemon", "ok", f"{since}; schedules, sensors and backfills need it: mora dev")


def mlflow(home: Path) -> Finding:
    """Whether MLflow answers, or its file is whole. Only the server's name is shown: an address may hold a password."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and urlsplit(uri).scheme in ("http", "https"):
        return _server(uri)
    if uri and not uri.startswith("sqlite:///"):
        return Finding("mlflow", "ok", f"a database ({urlsplit(uri).scheme}) that the next run will open")
    file = Path(uri.removeprefix("sqlite:///")) if uri else home / "mlflow.db"
    if not file.exists():
        return Finding("mlflow", "ok", f"{file} will be made by the first training")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=PATIENCE)) as database:
            answer = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        return Finding(
            "mlflow", "bad", f"{file}: {answer}", "mora restore-backup, or move the file away: its runs are forgotten"
        )
    return Finding("mlflow", "ok", f"{file} is whole")


def _server(uri: str) -> Finding:
    address = urlsplit(uri)
    host = f"{address.hostname}:{address.port}" if address.port else str(address.hostname)
    plain = f"{address.scheme}://{host}{address.path.rstrip('/')}/health"
    try:
        with urllib.request.urlopen(plain, timeout=PATIENCE):
            return Finding("mlflow", "ok", f"the server at {host} answers")
    except OSError as error:
        reason = getattr(error, "code", None) or getattr(error, "reason", error)
        mend = "start it, or unset MLFLOW_TRACKING_URI: runs then go to SQLite in the home"
        return Finding("mlflow", "bad", f"the server at {host} does not answer ({reason})", mend)


def alerts(home: Path) -> Finding:
    """Whether somebody is told who does not look."""
    from mora_pipeline.alerts.channels import configured

    try:
        channels = configured()
    except UserError as error:
        return Finding("alerts", "bad", str(error), "correct the variable; then: mora alert --test")
    outbox = home / "alerts" / "outbox"
    waiting = len(list(outbox.glob("*.json"))) if outbox.is_dir() else 0
    if waiting:
        return Finding("alerts", "warn", f"{waiting} wait for their server", "mora alert --test")
    if not channels:
        mend = "set MORA_ALERT_WEBHOOK or MORA_ALERT_EMAIL_TO; then: mora alert --test"
        return Finding("alerts", "warn", "they go to the log alone", mend)
    return Finding(
        "alerts", "ok", f"by {' and '.join(channel.name for channel in channels)}; try them: mora alert --test"
    )
