"""A backup is whole although runs go on, and the home made from it works at its new place."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.commands.instance import REGIONS, dagster_instance
from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.verify import verify
from mora_pipeline.raw import pseudonyms
from mora_pipeline.raw.pseudonyms import home_key
from mora_pipeline.tracking import TrackingSettings, connect
from mora_pipeline.upkeep.backup import MANIFEST, back_up, restore

COMMIT_FOR_EVER = """
import sys
from pathlib import Path
import pyarrow as pa
from mora_pipeline.lake import Lake

lake, value = Lake(Path(sys.argv[1])), 0
while True:
    value += 1
    draft = lake.begin("edges", "town")
    for part in range(3):
        draft.write(pa.table({"cell": [value] * 50_000}), f"part-{part:05d}.parquet")
    draft.commit({"value": value})
"""


@pytest.mark.parametrize("name", ["backup", "backup.tar", "backup.tar.gz"])
def test_a_restored_home_is_whole_and_works(
    lived_in_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run, target, home = CliRunner(), tmp_path / name, tmp_path / "restored"
    memo = lived_in_home / "lake" / "memo" / "region=town" / "cells.json"
    memo.parent.mkdir(parents=True)
    memo.write_text("{}")
    key = home_key(lived_in_home)
    made = run.invoke(main, ["backup", str(target)])
    assert made.exit_code == 0, made.output
    lived_in_home.rename(tmp_path / "gone")
    monkeypatch.setenv("MORA_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    done = run.invoke(main, ["restore-backup", str(target)])
    assert done.exit_code == 0, done.output
    assert verify(Lake(home / "lake")).damages == []
    assert Lake(home / "lake").read("cells", "town").table().num_rows == 2
    assert (home / "lake" / "memo" / "region=town" / "cells.json").read_text() == "{}"  # else all is made anew
    assert home_key(home) == key
    assert (home / pseudonyms.FILE).stat().st_mode & 0o777 == 0o600
    assert Registry(home).all()["town"] == home / "regions" / "town" / "region.yaml"
    client = connect(TrackingSettings.of(home))
    champion = client.get_model_version_by_alias("mora_town", "champion")
    assert Path(client.download_artifacts(champion.run_id, "weights.json")).exists()
    with dagster_instance() as instance:
        assert set(instance.get_dynamic_partitions(REGIONS)) == {"town", "city"}
        assert len(instance.get_runs()) == 2
    again = run.invoke(main, ["restore-backup", str(target)])
    assert again.exit_code == 2
    assert "is not empty" in again.stderr


def test_every_backup_made_while_a_writer_commits_is_whole(lived_in_home: Path, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", COMMIT_FOR_EVER, str(lived_in_home / "lake")])
    seen, deadline = set(), time.monotonic() + 60
    try:
        while len(seen) < 4 and time.monotonic() < deadline:
            number = len(list(tmp_path.glob("backup-*")))
            back_up(lived_in_home, tmp_path / f"backup-{number}")
            restore(tmp_path / f"backup-{number}", tmp_path / f"home-{number}")
            lake = Lake(tmp_path / f"home-{number}" / "lake")
            assert verify(lake).damages == []
            edges = lake.read("edges", "town")
            if "value" in edges.details:
                assert set(edges.table()["cell"].to_pylist()) == {edges.details["value"]}
                seen.add(edges.details["value"])
    finally:
        writer.kill()
        writer.wait()
    assert len(seen) >= 4, "the writer did not commit between backups"


def test_a_damaged_backup_restores_nothing(lived_in_home: Path, tmp_path: Path) -> None:
    target, home = tmp_path / "backup", tmp_path / "restored"
    back_up(lived_in_home, target)
    file = next(target.glob("lake/cells/region=town/*/part-*.parquet"))
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged: lake/cells/.*was changed"):
        restore(target, home)
    (target / MANIFEST).unlink()
    with pytest.raises(UserError, match="no whole backup"):
        restore(target, home)
    assert not home.exists()
    assert not list(tmp_path.glob(".restored*"))


def test_a_backup_overwrites_nothing(lived_in_home: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        back_up(lived_in_home, tmp_path / "taken")
    with pytest.raises(UserError, match="inside the home"):
        back_up(lived_in_home, lived_in_home / "backup")
