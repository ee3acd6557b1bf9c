"""Which folders a region may read, and how long a search for its files may take."""

import os
import time
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw import roots
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.roots import checked_base, checked_path, roots_of, within

WHERE = "region.yaml: mobility.path "
OUTSIDE = "outside of the folders that this region may read"


def found(base: Path, pattern: str) -> list[str]:
    return [file.name for file in find_files(base, pattern, WHERE).files]


@pytest.fixture
def own(tmp_path: Path, mora_home: Path) -> Path:
    """The folder of a region that arrived by itself; data of others lies in `other` beside the home."""
    folder = mora_home / "regions" / "town"
    for each in (folder, folder / "below", tmp_path / "other", mora_home / "regions" / "town2"):
        each.mkdir(parents=True)
        (each / "a.csv").write_text(f"a\n{each}\n")
    return folder


def test_a_region_that_is_added_by_hand_reads_what_its_user_can(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "mine"
    base.mkdir()
    assert roots_of(base) is None
    assert found(base, "../other/a.csv") == ["a.csv"]
    monkeypatch.setenv("MORA_DATA_ROOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=OUTSIDE):
        found(base, "../other/a.csv")
    monkeypatch.setenv("MORA_DATA_ROOTS", f"{tmp_path / 'elsewhere'}:{tmp_path / 'other'}")
    assert found(base, "../other/a.csv") == found(base, "../other/*.csv") == found(base, "../other") == ["a.csv"]


@pytest.mark.parametrize(
    "pattern",
    [
        "../town2/a.csv",
        "../town2",
        "../*/a.csv",
        "../../../other/*",
        "../town*/a.csv",
        "/",
        "/etc",
        "../**/a.csv",
        "below/../../town2/a.csv",
    ],
)
def test_a_region_that_arrived_reads_no_other_folder(own: Path, pattern: str) -> None:
    """Nor one that only begins with its name."""
    with pytest.raises(UserError, match=OUTSIDE) as raised:
        found(own, pattern)
    assert str(own) in str(raised.value)
    assert "MORA_DATA_ROOTS" in str(raised.value)
    assert found(own, "**/a.csv") == found(own / "below", "../**/a.csv") == ["a.csv", "a.csv"]


@pytest.mark.parametrize("pattern", ["link", "link/a.csv", "*/a.csv", "b.csv", ".", "**"])
def test_links_out_of_the_folder_are_refused(own: Path, tmp_path: Path, pattern: str) -> None:
    (own / "link").symlink_to(tmp_path / "other")
    (own / "b.csv").symlink_to(tmp_path / "other" / "a.csv")
    with pytest.raises(UserError, match=OUTSIDE):
        found(own, pattern)


def test_a_link_that_is_written_as_text_leads_nowhere_else_either(own: Path) -> None:
    (own / "a.csv").write_text("../town2/a.csv")
    with pytest.raises(UserError, match=OUTSIDE):
        found(own, "*.csv")


def test_a_folder_that_is_replaced_by_a_link_is_refused_when_it_is_listed_again(own: Path, tmp_path: Path) -> None:
    assert found(own, "below") == ["a.csv"]
    (own / "below" / "a.csv").unlink()
    (own / "below").rmdir()
    (own / "below").symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match=OUTSIDE):
        found(own, "below")


def test_the_root_and_single_paths_of_a_region_are_held_to_its_folders(own: Path) -> None:
    assert checked_base(own, "below", "region.yaml: ") == own / "below"
    for root in ("..", "/", "../../..", "../town2"):
        with pytest.raises(UserError, match=rf"region\.yaml: root is '{root}', which leads to .*{OUTSIDE}"):
            checked_base(own, root, "region.yaml: ")
    assert checked_path(own, "weights.pt", "encoder ") == own / "weights.pt"
    with pytest.raises(UserError, match=OUTSIDE):
        checked_path(own, "../town2/weights.pt", "encoder ")
    with pytest.raises(UserError, match="which is no path"):
        checked_base(own, "\0", "region.yaml: ")


def test_a_search_is_bounded_in_files_and_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.csv").write_text(f"a\n{number}\n")
    assert len(found(tmp_path, ".")) == 30
    with within(time.monotonic() - 1), pytest.raises(UserError, match=r"given up after .*: the time for it was over"):
        found(tmp_path, ".")
    monkeypatch.setattr(roots, "MOST_ENTRIES", 20)
    for pattern in (".", "*/*.csv", "**/a.csv"):
        with pytest.raises(UserError, match=r"given up after \d+ files and folders: the limit of 20\. Name the folder"):
            found(tmp_path, pattern)


def test_many_stars_take_no_longer_than_one(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(12):
        folder = folder / "d"
        folder.mkdir()
    (folder / "a.csv").write_text("a\n1\n")
    start = time.monotonic()
    assert found(tmp_path, "**/" * 30 + "a.csv") == ["a.csv"]
    assert time.monotonic() - start < 2
    with pytest.raises(UserError, match="a pattern of 101 folders; 64 are allowed"):
        found(tmp_path, "*/" * 100 + "a.csv")


def test_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "link.csv").symlink_to("a.csv")
    for pattern in ("a.csv", "a*.csv", "link.csv", "li*.csv"):
        with pytest.raises(UserError, match=r"\.csv is a pipe, not a file"):
            found(tmp_path, pattern)
    (tmp_path / "link.csv").unlink()
    (tmp_path / "b.csv").write_text("b\n1\n")
    assert found(tmp_path, ".") == ["b.csv"]
