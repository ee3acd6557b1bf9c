"""Programs that are kept between starts are this user's alone, and looked at before they are used."""

import os
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from spark_jobs.java import cache_folder, is_own, overlay


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_cache_is_the_users_alone(mora_home: Path) -> None:
    assert cache_folder() == mora_home / "cache"
    assert mode(mora_home / "cache") == 0o700
    (mora_home / "cache").chmod(0o755)
    assert mode(cache_folder()) == 0o700


@pytest.mark.parametrize("how", ["writable", "link", "file"])
def test_a_cache_of_others_is_left_for_a_private_one_with_a_message(
    mora_home: Path, temporary: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    cache = mora_home / "cache"
    if how == "writable":
        cache.mkdir()
        cache.chmod(0o777)
    elif how == "link":
        (mora_home / "elsewhere").mkdir()
        cache.symlink_to("elsewhere")
    else:
        cache.write_text("")
    assert cache_folder() == temporary / f"mora-{os.getuid()}"
    assert mode(cache_folder()) == 0o700
    assert f"{cache} is not this user's alone" in caplog.text


def test_without_a_private_folder_nothing_is_kept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORA_HOME", raising=False)
    folder = temporary / f"mora-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(UserError, match="not this user's alone"):
        cache_folder()


@pytest.mark.parametrize("how", ["content", "writable", "folder", "link", "missing"])
def test_a_planted_java_is_not_started(tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    real = Path("/opt/java/bin/java")
    home = overlay(real, tmp_path)
    java = home / "bin" / "java"
    text = java.read_text()
    assert mode(home) == mode(java) == 0o700
    assert overlay(real, tmp_path) == home
    assert not caplog.text
    if how == "content":
        java.write_text("#!/bin/sh\ntouch /tmp/planted\n")
    elif how == "writable":
        java.chmod(0o777)
    elif how == "folder":
        home.chmod(0o777)
    elif how == "missing":
        java.unlink()
    else:
        java.rename(tmp_path / "moved")
        java.symlink_to(tmp_path / "moved")
    assert overlay(real, tmp_path) == home
    assert java.read_text() == text
    assert all(map(is_own, (home, home / "bin", java)))
    assert "it is made anew" in caplog.text
