"""A file counts once, however often it is there: by links, by hard links, as a copy."""

import os
import zipfile
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw import copies
from mora_pipeline.raw.folders import Found, find_files


def write(folder: Path, **contents: str) -> None:
    """Files by name, without `.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / f"{name}.csv").write_text(f"flow\n{text}\n")


def found(base: Path, pattern: str = "flows") -> Found:
    return find_files(base, pattern, "region.yaml: mobility.path ")


def names(base: Path, pattern: str = "flows") -> list[str]:
    return [str(path.relative_to(base / "flows")) for path in found(base, pattern).files]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    write(tmp_path / "flows", b_2024="1")
    return tmp_path / "flows"


@pytest.mark.parametrize("pattern", ["flows", "flows/*", "flows/*.csv", "flows/**/*.csv"])
@pytest.mark.parametrize("link", ["a_latest.csv", "z_latest.csv", "deeper/latest.csv"])
def test_a_link_to_a_file_that_is_there_counts_once(flows: Path, tmp_path: Path, pattern: str, link: str) -> None:
    """Whether its name comes before or after; the file itself is the one that is kept."""
    (flows / link).parent.mkdir(exist_ok=True)
    (flows / link).symlink_to(flows / "b_2024.csv")
    assert names(tmp_path, pattern) == ["b_2024.csv"]
    if "deeper" not in link or pattern != "flows/*.csv":
        assert "b_2024.csv, by a link: it is read once." in found(tmp_path, pattern).remarks[0]


def test_a_relative_link_and_one_to_a_link(flows: Path, tmp_path: Path) -> None:
    (flows / "c.csv").symlink_to("b_2024.csv")
    (flows / "a.csv").symlink_to("c.csv")
    assert names(tmp_path) == ["b_2024.csv"]
    assert names(tmp_path, "flows/[ac].csv") == ["a.csv"]
    assert names(tmp_path, "flows/a.csv") == ["a.csv"]


def test_links_to_files_elsewhere_are_files(flows: Path, tmp_path: Path) -> None:
    """Such as the snapshots of a hub's cache, whose blobs have no endings; two links to one file count once."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/9f3a").write_text("flow\n2\n")
    (flows / "a.csv").symlink_to(tmp_path / "blobs/9f3a")
    (flows / "c.csv").symlink_to(tmp_path / "blobs/9f3a")
    assert names(tmp_path) == ["a.csv", "b_2024.csv"]


def test_a_link_without_an_ending_leads_to_its_file(flows: Path, tmp_path: Path) -> None:
    write(tmp_path / "raw", d="2")
    (flows / "latest").symlink_to(tmp_path / "raw/d.csv")
    assert found(tmp_path).files == (flows / "b_2024.csv", tmp_path / "raw/d.csv")


def test_a_linked_folder_is_followed_under_its_own_name(flows: Path, tmp_path: Path) -> None:
    """The day of its rows may be in the name of the link."""
    write(tmp_path / "disk/deep", c="2")
    (flows / "date=2024-01-31").symlink_to(tmp_path / "disk")
    for pattern in ("flows", "flows/*", "flows/**/*.csv"):
        assert names(tmp_path, pattern) == ["b_2024.csv", "date=2024-01-31/deep/c.csv"]


@pytest.mark.parametrize("pattern", ["flows", "flows/**/*.csv", "flows/*"])
def test_a_folder_that_is_linked_and_there_is_read_once(flows: Path, tmp_path: Path, pattern: str) -> None:
    write(flows / "m", c="2")
    for link in ("a", "z"):
        (flows / link).symlink_to(flows / "m")
    assert names(tmp_path, pattern) == ["b_2024.csv", "m/c.csv"]
    write(tmp_path / "disk", d="3")
    for link in ("x", "y"):
        (flows / link).symlink_to(tmp_path / "disk")
    assert names(tmp_path, pattern) == ["b_2024.csv", "m/c.csv", "x/d.csv"]


def test_globs_through_a_linked_folder_keep_the_real_one(flows: Path, tmp_path: Path) -> None:
    write(flows / "m", c="2")
    (flows / "a").symlink_to(flows / "m")
    assert names(tmp_path, "flows/?/*.csv") == ["m/c.csv"]
    assert names(tmp_path, "flows/a/*.csv") == ["m/c.csv"]  # the way to it is the user's


def test_loops_end_and_do_not_leave_the_folder(flows: Path, tmp_path: Path) -> None:
    write(tmp_path, outside="5")
    write(tmp_path / "disk/inner", d="3")
    write(tmp_path / "disk", outside="6")
    (flows / "self").symlink_to(flows)
    (flows / "up").symlink_to("..")
    (flows / "inner").symlink_to(tmp_path / "disk/inner")
    (tmp_path / "disk/inner/up").symlink_to("..")
    (flows / "one").symlink_to("two")
    result = found(tmp_path, "flows/[!o]*")
    assert names(tmp_path, "flows/[!o]*") == ["b_2024.csv", "inner/d.csv"]
    assert sum("a folder that it lies in itself: not followed" in remark for remark in result.remarks) >= 2


@pytest.mark.parametrize("link", ["c.csv", "archive", "2024-01"])
@pytest.mark.parametrize("pattern", ["flows", "flows/*"])
def test_a_broken_link_is_named(flows: Path, tmp_path: Path, link: str, pattern: str) -> None:
    (flows / link).symlink_to("/not/there")
    with pytest.raises(UserError, match=rf"and .*/flows/{link} is a link to /not/there, which is not there\. Fetch it"):
        found(tmp_path, pattern)


def test_a_broken_link_that_is_named_or_goes_in_circles(flows: Path, tmp_path: Path) -> None:
    (flows / "c.csv").symlink_to("/not/there")
    with pytest.raises(UserError, match=r"is 'flows/c\.csv', a link to /not/there, which is not there"):
        found(tmp_path, "flows/c.csv")
    (flows / "c.csv").unlink()
    (flows / "c.csv").symlink_to("c.csv")
    with pytest.raises(UserError, match=r"c\.csv is a link to c\.csv, which is not there"):
        found(tmp_path)


def test_a_broken_link_that_is_no_data_is_passed_over(flows: Path, tmp_path: Path) -> None:
    (flows / "notes.md").symlink_to("/not/there")
    assert names(tmp_path) == ["b_2024.csv"]


def test_a_link_written_as_text_is_followed(flows: Path, tmp_path: Path) -> None:
    """As git checks it out where links are not allowed, without a line's end."""
    (flows / "latest.parquet").write_text("b_2024.csv")
    assert names(tmp_path) == ["b_2024.csv"]
    write(tmp_path / "raw", d="2")
    (flows / "latest.parquet").rename(flows / "c.csv")
    (flows / "c.csv").write_text("../raw/d.csv")
    result = found(tmp_path)
    assert result.files == (flows / "b_2024.csv", tmp_path / "raw/d.csv")
    assert "a link written as text" in result.remarks[0]


def test_a_hard_link_counts_once(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many files too, where contents are not compared."""
    (flows / "deeper").mkdir()
    os.link(flows / "b_2024.csv", flows / "deeper/b_2024.csv")
    os.link(flows / "b_2024.csv", flows / "a.csv")
    monkeypatch.setattr(copies, "COMPARED", 0)
    assert names(tmp_path) == ["b_2024.csv"]
    assert all("a hard link: it is left out" in remark for remark in found(tmp_path).remarks)


COPIES = [
    "b_2024 (1)", "b_2024(2)", "b_2024 - Copy", "b_2024 - Copy (2)", "b_2024 - Kopie", "b_2024 copy", "b_2024 copy 3",
    "Copy of b_2024", "b_2024_copy", "b_2024-copy2", "b_2024.bak", "b_2024_backup",
]  # fmt: skip


def test_compressed_copies_are_told_by_their_names_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "COMPARED", 0)
    (tmp_path / "flows").mkdir()
    for name in ("a.csv.bz2", "a (1).csv.bz2", "b.CSV.GZ", "b - Copy.CSV.GZ"):
        (tmp_path / "flows" / name).write_text(name[0])
    assert names(tmp_path) == ["a.csv.bz2", "b.CSV.GZ"]


def test_many_remarks_are_cut(flows: Path, tmp_path: Path) -> None:
    for number in range(30):
        (flows / f"{number}.csv").symlink_to("b_2024.csv")
    assert names(tmp_path) == ["b_2024.csv"]
    assert len(found(tmp_path).remarks) == 21
    assert found(tmp_path).remarks[-1] == "10 more remarks of such files."


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_counts_once_whatever_program_made_it(
    flows: Path, tmp_path: Path, copy: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "COMPARED", 0 if many else 200)
    write(flows, **{copy: "1"})
    assert names(tmp_path) == ["b_2024.csv"]
    assert found(tmp_path).remarks == (f"{flows}/{copy}.csv is a copy of {flows}/b_2024.csv: it is left out.",)


def test_a_copy_that_differs_is_read(flows: Path, tmp_path: Path) -> None:
    write(flows, **{"b_2024 (1)": "2"})
    assert names(tmp_path) == ["b_2024 (1).csv", "b_2024.csv"]


def test_a_copy_alone_is_a_file(flows: Path, tmp_path: Path) -> None:
    (flows / "b_2024.csv").rename(flows / "b (1).csv")
    assert names(tmp_path) == ["b (1).csv"]


def test_equal_contents_under_other_names(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that tells the year is kept. Many files are compared only where their names say so."""
    write(flows, latest="1")
    write(flows / "old", b_2024="1")
    assert names(tmp_path) == ["b_2024.csv"]
    monkeypatch.setattr(copies, "COMPARED", 3)
    assert len(names(tmp_path)) == 3


def test_two_days_on_which_the_same_happened_are_two(tmp_path: Path) -> None:
    write(tmp_path / "flows", trips_0101="1", trips_0102="1")
    for folder in ("date=2024-01-01", "date=2024-01-02", "mode=bus", "mode=car"):
        write(tmp_path / "flows" / folder, part="1")
    result = found(tmp_path)
    assert len(result.files) == 6
    assert len(result.remarks) == 1
    assert "hold the same. All are read, as their paths tell them apart." in result.remarks[0]


def test_large_files_that_differ_in_the_middle_are_two(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    for name in ("a", "b", "c"):
        middle = b"b" if name == "b" else b"x"
        (tmp_path / f"flows/{name}.csv").write_bytes(b"0" * 200_000 + middle + b"1" * 200_000)
    assert names(tmp_path) == ["a.csv", "b.csv"]


def test_empty_files_are_no_copies(tmp_path: Path) -> None:
    """Their reader tells them."""
    (tmp_path / "flows").mkdir()
    for name in "ab":
        (tmp_path / f"flows/{name}.csv").touch()
    assert names(tmp_path) == ["a.csv", "b.csv"]


def test_shapefiles_of_the_same_shapes_but_other_columns_are_two(tmp_path: Path) -> None:
    for name, content in {"a.shp": "s", "b.shp": "s", "a.dbf": "1", "b.dbf": "2", "c.shp": "s", "c.dbf": "1"}.items():
        (tmp_path / "flows").mkdir(exist_ok=True)
        (tmp_path / "flows" / name).write_text(content)
    assert names(tmp_path) == ["a.shp", "b.shp"]


def test_a_zip_beside_what_was_in_it_is_told(flows: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(flows / "download.zip", "w") as archive:
        archive.writestr("city/b_2024.csv", "flow\n1\n")
    with pytest.raises(UserError, match=r"both .*/flows/b_2024\.csv and .*/flows/download\.zip"):
        found(tmp_path)
    with zipfile.ZipFile(flows / "download.zip", "w") as archive:
        archive.writestr("city/b_2023.csv", "flow\n1\n")
    assert names(tmp_path) == ["b_2024.csv", "download.zip"]
