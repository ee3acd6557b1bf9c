"""`mora status` and `mora alert`: what somebody sees who looks, and what somebody is told who does not."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from mora_pipeline.alerts import open_alerts
from mora_pipeline.cli import main
from mora_pipeline.commands.status import duration, size
from mora_pipeline.defs import history
from mora_pipeline.runs.identity import Process
from tests.outside.recording import record_run


def mora(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_every_region_is_shown_with_its_age_its_last_run_and_its_disk(
    mora_home: Path, commit: Any, write_region: Any
) -> None:
    for name in ("city", "town"):
        write_region(name)
    commit("cells", "town", 1200)
    commit("embeddings", "town", 1200)
    run = record_run()
    shown = mora("status").stdout
    city, town = (next(line for line in shown.splitlines() if line.startswith(name)) for name in ("city", "town"))
    assert "none yet" in city
    assert "1,200" in town
    assert "success" in town
    assert "Nothing runs." in shown
    assert "Daemon: not running (never seen)" in shown
    assert "Wrong" not in shown
    told = json.loads(mora("status", "--json").stdout)
    by_name = {item["region"]: item for item in told["regions"]}
    assert by_name["town"]["last_run"]["run_id"] == run
    assert by_name["town"]["disk_bytes"]["lake"] > 0
    assert told["problems"] == []
    assert mora("status", "--check").exit_code == 0


def test_what_is_damaged_is_said_and_the_rest_is_shown(mora_home: Path, commit: Any, write_region: Any) -> None:
    file = write_region("town")
    write_region("city")
    commit("edges", "city")
    commit("edges", "town")
    (mora_home / "lake" / "edges" / "region=town" / "current.json").write_text('{"version": 3}')
    file.unlink()
    (mora_home / "dagster" / "history").mkdir(parents=True)
    (mora_home / "dagster" / "history" / "runs.db").write_bytes(b"no database" * 100)
    ended = mora("status", "--check")
    assert ended.exit_code == 1
    for words in ("city", "edges of town is damaged", f"{file} of town is gone", "history", "mora doctor"):
        assert words in ended.stdout
    (mora_home / "regions.json").write_text("{")
    assert "regions.json cannot be read" in mora("status").stdout
    assert "city (not known any more)" in mora("status").stdout


def test_it_needs_no_heavy_library() -> None:
    """In a new home, whose history it does not create."""
    code = """import sys
from mora_pipeline.cli import main
main(['status'], standalone_mode=False)
print([name for name in sys.argv[1:] if name in sys.modules])"""
    heavy = ["torch", "pyspark", "mlflow", "pandas", "scipy", "h3"]
    home = "/nonexistent/mora"
    environment = {**os.environ, "MORA_HOME": home}
    shown = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True, env=environment
    )
    assert shown.stdout.splitlines()[-1] == "[]"
    assert not Path(home).exists()


def test_a_waiting_run_is_shown(mora_home: Path, write_region: Any) -> None:
    from mora_pipeline.commands.instance import dagster_instance

    write_region("town")
    job = dg.Definitions(jobs=[toy_job()]).resolve_job_def("toy")
    with dagster_instance() as instance:
        tags = {"dagster/partition": "town", "mora/process": Process.current().text}
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    line = next(line for line in mora("status").stdout.splitlines() if run.run_id in line)
    assert "of town: started" in line
    assert f"process {os.getpid()} on " in line


def toy_job() -> dg.JobDefinition:
    @dg.job
    def toy() -> None:
        return None

    return toy


DUE = datetime(2026, 11, 30, 2, tzinfo=UTC).timestamp()
HOUR = 3600.0


def seen_night(**fields: Any) -> history.Night:
    return history.Night(**{"on": True, "cron": "", "time_zone": "UTC", "due": DUE, "next": DUE + 24 * HOUR, **fields})


@pytest.mark.parametrize(
    ("night", "after", "kinds"),
    [
        (seen_night(on=False), 9, []),
        (seen_night(tick=None, since=DUE - 1), 0.4, []),
        (seen_night(tick=None, since=DUE - 1), 0.6, ["night_missed"]),
        (seen_night(tick=None, since=DUE + 1), 9, []),  # it was switched on later
        (seen_night(tick=DUE - 24 * HOUR), 0.6, ["night_missed"]),
        (seen_night(tick=DUE + 5), 0.6, []),
        (seen_night(tick=DUE + 5, failure="no such region"), 0.6, ["night_missed"]),
        (seen_night(tick=DUE + 5), 5.9, []),
        (seen_night(tick=DUE + 5), 6.1, ["night_late"]),
    ],
)
def test_a_night_that_is_missed_or_late_is_told(
    night: history.Night, after: float, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the regions, one goes on still, one has ended, one was left out because nothing of it has changed."""
    runs = {"slow": run_of("slow", "started", None), "quick": run_of("quick", "success", DUE + 60)}
    monkeypatch.setattr(history, "night", lambda *_: night)
    monkeypatch.setattr(history, "nightly_run", lambda _, region, __: runs.get(region))
    told = history.wrong_nights(None, ["quick", "same", "slow"], DUE + after * HOUR)  # type: ignore[arg-type]
    assert [alert.kind for alert in told] == kinds
    assert [alert.region for alert in told if alert.kind == "night_late"] == ["slow"] * kinds.count("night_late")


def run_of(region: str, status: str, ended: float | None) -> history.RunSeen:
    return history.RunSeen("id", region, "materialize_region", status, DUE, DUE + 1, ended)


def test_a_region_grows_too_old_only_where_a_limit_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "last_success", lambda *_: run_of("town", "success", DUE))
    assert history.old_regions(None, ["town"], DUE + 100 * HOUR) == []  # type: ignore[arg-type]
    monkeypatch.setenv("MORA_ALERT_AGE_HOURS", "30")
    assert history.old_regions(None, ["town"], DUE + 29 * HOUR) == []  # type: ignore[arg-type]
    (alert,) = history.old_regions(None, ["town"], DUE + 31 * HOUR)  # type: ignore[arg-type]
    assert (alert.kind, alert.mend) == ("region_old", "mora materialize town")


@pytest.mark.parametrize(
    ("cron", "zone", "now", "due", "following"),
    [
        ("0 2 * * *", "UTC", "2026-12-01 01:59", "2026-11-30 02:00", "2026-12-01 02:00"),
        ("0 2 * * *", "UTC", "2026-12-01 02:01", "2026-12-01 02:00", "2026-12-02 02:00"),
        ("30 3 * * *", "Europe/Berlin", "2026-07-01 12:00", "2026-07-01 01:30", "2026-07-02 01:30"),
        ("0 3 * * 1", "UTC", "2026-12-01 12:00", "2026-11-30 03:00", "2026-12-07 03:00"),
    ],
)
def test_the_night_is_due_by_its_cron(
    cron: str, zone: str, now: str, due: str, following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(text: str) -> float:
        return datetime.fromisoformat(f"{text}+00:00").timestamp()

    monkeypatch.setenv("MORA_NIGHTLY_CRON", cron)
    monkeypatch.setenv("MORA_NIGHTLY_TIME_ZONE", zone)
    with dg.instance_for_test() as instance:
        seen = history.night(instance, seconds(now))
        assert (seen.on, seen.due, seen.next) == (False, seconds(due), seconds(following))
        monkeypatch.setenv("MORA_NIGHTLY_CRON", "at night")
        with pytest.raises(ValueError, match="MORA_NIGHTLY_CRON='at night'"):
            history.night(instance)


def test_a_failed_run_is_told_with_its_cause_and_mended_by_a_good_one(
    mora_home: Path, webhook: Any, write_region: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the sensors that the daemon has, over runs that Dagster recorded; the first look only sets the cursor."""
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.defs.alerts import failed_runs, nights

    write_region("town")
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    record_run()
    with dagster_instance() as instance:
        context = dg.build_sensor_context(instance, repository_name="r")
        cursor = failed_runs.evaluate_tick(context).cursor
        failed = record_run(success=False)
        failed_runs.evaluate_tick(dg.build_sensor_context(instance, cursor=cursor, repository_name="r"))
    (body,) = webhook.bodies
    assert (body["kind"], body["region"], body["run"]) == ("run_failed", "town", failed)
    assert "edges: 3% of the rows are bad" in body["cause"]
    assert "mora materialize town" in body["text"]
    assert mora("alert").stdout.count("failed") == 1
    assert "The run" in mora("status").stdout
    record_run()
    with dagster_instance() as instance:
        assert "All is well." in str(nights(dg.build_sensor_context(instance)).skip_message)
    assert webhook.bodies[-1]["mended"] is True
    assert open_alerts(mora_home) == []


def test_cron_tells_of_a_daemon_that_died(mora_home: Path, write_region: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_region("town")
    record_run()
    assert mora("alert", "--check").exit_code == 0
    monkeypatch.setattr(history, "daemon_age", lambda _: 7200.0)
    told = mora("alert", "--check")
    assert told.exit_code == 1
    assert "The Dagster daemon is not running" in told.stdout
    assert "2.0 hours ago" in told.stdout
    monkeypatch.setattr(history, "daemon_age", lambda _: 3.0)
    assert mora("alert", "--check").stdout == "No alert stands.\n"


def test_a_test_is_sent_by_every_way_that_is_set(
    mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = mora("alert", "--test")
    assert (unset.exit_code, "MORA_ALERT_WEBHOOK" in unset.stderr) == (2, True)
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    assert mora("alert", "--test").stdout == "webhook: taken\n"
    webhook.status = 500
    refused = mora("alert", "--test")
    assert (refused.exit_code, "answered 500" in refused.stderr) == (1, True)
    assert open_alerts(mora_home) == []


def test_sizes_and_durations_are_said_as_people_do() -> None:
    assert [size(number) for number in (0, 999, 1500, 3.4e9)] == ["0 B", "999 B", "1.5 kB", "3.4 GB"]
    assert [duration(seconds) for seconds in (0, 59, 90, 7200, 300_000, None)] == [
        "0 s", "59 s", "2 min", "2.0 h", "3 days", "?",
    ]  # fmt: skip
