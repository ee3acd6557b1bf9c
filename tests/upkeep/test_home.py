"""The home tells its format, and after a move or a copy nothing writes into or reads from the former place."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake, opened
from mora_pipeline.lake.home import FORMAT, MARKER, format_of
from mora_pipeline.lake.registry import Registry
from mora_pipeline.tracking import TrackingSettings, connect, tracked_run


def naming(home: Path, place: Path) -> list[str]:
    """Every file and database cell below a home, logs apart, that names a place."""
    found = [str(file) for file in home.rglob("*.json") if f"{place}/" in file.read_text()]
    found += [str(file) for file in home.rglob("MLmodel") if f"{place}/" in file.read_text()]
    for database in home.rglob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            found += [f"{database}: {line[:200]}" for line in connection.iterdump() if f"{place}/" in line]
    return found


@pytest.mark.parametrize("how", ["copy", "move"])
def test_nothing_reads_from_or_writes_into_the_former_place(lived_in_home: Path, tmp_path: Path, how: str) -> None:
    before, home = lived_in_home, tmp_path / "else where" / "höme"
    home.parent.mkdir()
    assert naming(before, before)
    (shutil.copytree(before, home, symlinks=True) if how == "copy" else shutil.move(before, home))
    former = snapshot(before)
    opened(home)
    assert naming(home, before) == []
    assert Registry(home).all() == {name: home / "regions" / name / "region.yaml" for name in ("city", "town")}
    assert Lake(home / "lake").read("cells", "town").table().num_rows == 2
    settings = TrackingSettings.of(home)
    client = connect(settings)
    champion = client.get_model_version_by_alias("mora_town", "champion")
    assert json.loads(Path(client.download_artifacts(champion.run_id, "weights.json")).read_text()) == {"number": 0}
    note = tmp_path / "note.txt"
    note.write_text("new")
    with tracked_run(settings, "town", "benchmark", {}, {}) as run:
        run.file(note)
    assert list(home.glob(f"mlartifacts/town/{run.run_id}/artifacts/note.txt"))
    assert snapshot(before) == former, "the former place was written to"


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files of a folder without SQLite's own beside its databases."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock")))
    return {str(path): path.read_bytes() for path in files}


def test_a_home_inside_the_former_place_is_renamed_once(lived_in_home: Path) -> None:
    home = lived_in_home / "sub"
    shutil.copytree(lived_in_home, home, symlinks=True, ignore=shutil.ignore_patterns("sub"))
    opened(home)
    (home / MARKER).write_text(json.dumps({"format": 1, "home": str(lived_in_home)}))  # killed before the last step
    opened(home)
    assert naming(home, home / "sub") == []
    assert naming(home, home)


def test_a_home_of_before_there_were_formats_is_adopted(lived_in_home: Path, tmp_path: Path) -> None:
    """Its registry names region.yaml files by absolute paths, and MLflow tells where it was."""
    home = tmp_path / "moved"
    (lived_in_home / MARKER).unlink()
    outside = tmp_path / "outside" / "region.yaml"
    (lived_in_home / "regions.json").write_text(
        json.dumps({"town": str(lived_in_home / "regions" / "town" / "region.yaml"), "far": str(outside)})
    )
    shutil.move(lived_in_home, home)
    assert format_of(home) == 0
    opened(home)
    assert format_of(home) == FORMAT
    assert Registry(home).all() == {"far": outside, "town": home / "regions" / "town" / "region.yaml"}
    assert naming(home, lived_in_home) == []


def test_two_names_of_one_folder_are_the_same_place(tmp_path: Path) -> None:
    home, link = tmp_path / "home", tmp_path / "link"
    opened(home, create=True)
    link.symlink_to(home)
    marker = (home / MARKER).read_text()
    opened(link)
    assert (home / MARKER).read_text() == marker


def test_looking_makes_no_home(tmp_path: Path) -> None:
    assert not opened(tmp_path / "none").exists()
    assert format_of(tmp_path / "none") is None


@pytest.mark.parametrize("arguments", [["lake", "list", "town"], ["region", "list"], ["lake", "verify"]])
def test_every_command_refuses_a_home_of_a_newer_format(mora_home: Path, arguments: list[str]) -> None:
    (mora_home / MARKER).write_text(json.dumps({"format": FORMAT + 1, "home": str(mora_home)}))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "which a newer version of mora-pipeline made" in result.stderr
    assert "Install the newer version" in result.stderr


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "1"}', '{"format": 1}'])
def test_a_damaged_marker_is_one_clear_message(mora_home: Path, content: str) -> None:
    (mora_home / MARKER).write_text(content)
    with pytest.raises(UserError, match=rf"format.json is damaged.*Write into it: \{{\"format\": {FORMAT}"):
        opened(mora_home)


def test_many_processes_open_a_new_home_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = "import sys; from pathlib import Path; from mora_pipeline.lake.home import opened\n"
    code += "opened(Path(sys.argv[1]), create=True)"
    starts = [subprocess.Popen([sys.executable, "-c", code, str(home)], env=os.environ.copy()) for _ in range(8)]
    assert [start.wait(timeout=120) for start in starts] == [0] * len(starts)
    assert format_of(home) == FORMAT
