"""Which files a user's listing names, and what tells that they changed."""

from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region.listing import listed_files


def test_a_listing_says_which_files_count_and_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "listing.csv").write_text("path,size,etag\nraw/a.csv,12,x1\nother/../raw/b.csv,14,x2\n")
    files = [tmp_path / f"raw/{name}.csv" for name in "abc"]
    first = listed_files(tmp_path, "listing.csv", files, "")
    assert list(first) == files[:2]  # c is not listed yet
    (tmp_path / "listing.csv").write_text("etag,path,size\nx1,raw/a.csv,12\nx3,raw/b.csv,14\n")
    second = listed_files(tmp_path, "listing.csv", files, "")
    assert first[files[0]] == second[files[0]]
    assert first[files[1]] != second[files[1]]


def test_a_file_is_the_one_that_is_listed_however_either_is_linked(tmp_path: Path) -> None:
    for folder in ("disk", "raw"):
        (tmp_path / folder).mkdir()
    for name in ("disk/a.csv", "raw/b.csv"):
        (tmp_path / name).touch()
    (tmp_path / "raw/linked").symlink_to(tmp_path / "disk")
    (tmp_path / "raw/latest.csv").symlink_to("b.csv")
    (tmp_path / "l.csv").write_text("path,size\ndisk/a.csv,1\nraw/latest.csv,2\n")
    files = [tmp_path / "raw/b.csv", tmp_path / "raw/linked/a.csv"]
    assert list(listed_files(tmp_path, "l.csv", files, "")) == files
    (tmp_path / "l.csv").write_text("path,size\nraw/linked/a.csv,1\nraw/../raw/b.csv,2\n")
    files = [tmp_path / "disk/a.csv", tmp_path / "raw/latest.csv"]
    assert list(listed_files(tmp_path, "l.csv", files, "")) == files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^w is 'l\.csv', which cannot be read as CSV"),
        ("", "lists no file: it needs a column path"),
        ("file,size\na.csv,1\n", "lists no file: it needs a column path"),
        ("path,size\nraw/z.csv,1\n", r"names .*/raw/z\.csv, but mobility\.path finds no such file\. Fetch it\."),
        ("size,path\n3,raw/a.csv\n4\n", "its row 3 names no path"),
        ("path,size\nraw/a.csv,1\nraw/a.csv,2\n", r"names raw/a\.csv twice"),
    ],
)
def test_a_listing_that_cannot_be_used_is_reported(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "l.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        listed_files(tmp_path, "l.csv", [tmp_path / "raw/a.csv"], "w ")
