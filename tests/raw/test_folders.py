"""Which files a path of region.yaml names, and what is said of the others."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw import copies
from mora_pipeline.raw.folders import Found, find_files
from mora_pipeline.raw.formats import IMAGE_FORMATS, file_format


def write(folder: Path, *names: str) -> list[Path]:
    """Files, each with its own name as its content."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"column\n{name}\n")
    return [folder / name for name in names]


def found(base: Path, pattern: str = "flows") -> Found:
    return find_files(base, pattern, "region.yaml: mobility.path ")


def names(base: Path, pattern: str = "flows") -> list[str]:
    """What is found, relative to the folder `flows`."""
    return [str(path.relative_to(base / "flows")) for path in found(base, pattern).files]


ENDINGS = {
    "csv": ["csv", "csv.gz", "csv.zst", "csv.bz2", "csv.zip", "zip", "tsv", "tsv.gz", "txt", "txt.zst"],
    "parquet": ["parquet", "snappy.parquet", "parq", "pq", "geoparquet"],
    "vector": ["gpkg", "shp", "geojson", "fgb"],
}


@pytest.mark.parametrize(("kind", "ending"), [(kind, ending) for kind in ENDINGS for ending in ENDINGS[kind]])
def test_a_format_is_known_by_its_ending_in_any_case(tmp_path: Path, kind: str, ending: str) -> None:
    for name in (f"a.{ending}", f"A.b.{ending.upper()}", f"c.{ending.title()}"):
        assert file_format(name) == kind
        write(tmp_path, name)
        assert found(tmp_path, name).files == (tmp_path / name,)


@pytest.mark.parametrize("name", ["a.json", "csv", ".csv", "a.csv.xz", "a.parquet.gz", "a.csvx", "", "a."])
def test_other_endings_are_no_data(name: str) -> None:
    assert file_format(name) is None


@pytest.mark.parametrize(
    "pattern", ["flows", "flows/", "flows/*", "fl*", "flows/**", "**", "./flows", "flows/../flows"]
)
def test_a_folder_and_a_glob_of_folders_take_what_is_below(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, "flows/b.csv", "flows/2024/01/a.csv.gz", "flows/2024/C.CSV")
    assert names(tmp_path, pattern) == ["2024/01/a.csv.gz", "2024/C.CSV", "b.csv"]


def test_globs_name_files_at_their_depth(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.csv", "flows/2023/b.csv", "flows/2024/b.csv", "flows/2024/x/c.csv")
    assert names(tmp_path, "flows/*.csv") == ["a.csv"]
    assert names(tmp_path, "flows/202[34]/*.csv") == ["2023/b.csv", "2024/b.csv"]
    assert names(tmp_path, "flows/**/*.csv") == ["2023/b.csv", "2024/b.csv", "2024/x/c.csv", "a.csv"]
    assert names(tmp_path, f"{tmp_path}/flows/?.csv") == ["a.csv"]
    assert names(tmp_path, "flows/2023/../*.csv") == ["a.csv"]


def test_an_output_of_spark_that_is_a_folder_named_like_a_file(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.csv/part-0.csv", "flows/a.csv/_SUCCESS", "flows/b.csv/part-0.csv")
    assert names(tmp_path, "flows/*.csv") == ["a.csv/part-0.csv", "b.csv/part-0.csv"]


def test_hidden_files_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.csv", "flows/_b.csv", "flows/.c.csv", "flows/__MACOSX/a.csv", "flows/__MACOSX/._a.csv")
    for pattern in ("flows", "flows/*", "flows/**/*.csv", "**/*.csv"):
        assert names(tmp_path, pattern) == ["a.csv"]
    assert names(tmp_path, "flows/_*.csv") == ["_b.csv"]
    assert names(tmp_path, "flows/.c.csv") == [".c.csv"]


def test_other_files_are_passed_over_and_told(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.csv", "flows/notes.md", "flows/b.csv.crdownload", "flows/~$a.csv", "flows/c.csv.part")
    result = found(tmp_path)
    assert [path.name for path in result.files] == ["a.csv"]
    assert result.remarks == (
        "Left out, being downloads that have not ended, or open in a program: b.csv.crdownload, c.csv.part, ~$a.csv.",
        "Left out, being no data by their names: notes.md.",
    )


def test_a_long_list_of_other_files_is_cut(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.csv", *(f"flows/{number}.json" for number in range(9)))
    assert found(tmp_path).remarks[0].endswith(": 0.json, 1.json, 2.json, 3.json, 4.json and 4 more.")


@pytest.mark.parametrize("data", ["a.csv", "a.tsv", "a.parquet"])
def test_texts_beside_data_are_no_data(tmp_path: Path, data: str) -> None:
    """README.txt beside Parquet is no second format."""
    write(tmp_path, f"flows/{data}", "flows/README.txt", "flows/columns.txt")
    assert names(tmp_path) == [data]
    assert "README.txt, columns.txt" in found(tmp_path).remarks[0]


def test_texts_alone_are_data(tmp_path: Path) -> None:
    write(tmp_path, "flows/a.txt", "flows/b.txt.gz", "flows/LICENSE.txt")
    assert names(tmp_path) == ["a.txt", "b.txt.gz"]


def test_a_shapefile_is_one_file(tmp_path: Path) -> None:
    write(tmp_path, *(f"flows/zones.{ending}" for ending in ("shp", "dbf", "shx", "prj", "cpg", "shp.xml")))
    result = found(tmp_path)
    assert ([path.name for path in result.files], result.remarks) == (["zones.shp"], ())


def test_images_have_their_own_endings(tmp_path: Path) -> None:
    write(tmp_path, "a.TIF", "b.tiff", "c.csv")
    assert [path.name for path in find_files(tmp_path, "*", "w ", IMAGE_FORMATS).files] == ["a.TIF", "b.tiff"]


SAID = r"^region\.yaml: mobility\.path is '"
MISTAKES = [
    (["flows/a.csv", "flows/b.parquet"], "flows", "which has both CSV and Parquet files. Keep one format"),
    (["flows/a.csv", "flows/b.pq", "flows/c.shp"], "flows", "which has CSV, Parquet and vector files. Keep one"),
    (["flows/a.md", "flows/b.json"], "flows", r"a folder without a CSV, .*: .*/flows holds only a\.md, b\.json\. Put"),
    (["flows/_a.csv"], "flows", r"a folder without a CSV, .*: .*/flows\. Put the data there"),
    (["flows/a.md"], "flows/*", r"which matches a\.md, but no CSV, Parquet or vector file"),
    (["flows/a.csv"], "flows/*.gz", "which matches no file under .* Fix the pattern or the root"),
    (["flows/a.csv"], "flow/*.csv", "which matches no file under"),
    (
        ["flows/a.CSV"],
        "flows/*.csv",
        r"which matches no file .* There is .*/flows/a\.CSV, but upper and lower case",
    ),
    (["flows/a.csv"], "flows/b.csv", r"but there is no .*/flows/b\.csv\. Did you mean 'a\.csv'"),
    (["flows/a.xlsx"], "flows/a.xlsx", r"and a\.xlsx is not a CSV, .*\)\. Save its sheet as CSV\.$"),
    (["flows/a.gz"], "flows/a.gz", r"and a\.gz is not a .* Name it after what it holds, such as flows\.csv\.gz"),
    (["flows/a.rar"], "flows/a.rar", r"Unpack it\.$"),
    (["flows/a.dat"], "flows/a.dat", r"Convert it or leave it out\.$"),
    (["flows/a.csv"], "s3://flows/a.csv", "an address; a region takes files. Mount the store as a folder"),
    (["flows/a.csv", "flows/a.csv.gz"], "flows", r"both .*/flows/a\.csv and .*/flows/a\.csv\.gz, the same by name"),
    (["flows/a.csv.gz", "flows/A.CSV.zst"], "flows", r"both .*/flows/A\.CSV\.zst and .*/flows/a\.csv\.gz"),
    (["flows/a.tsv", "flows/a.zip"], "flows", r"both .*/flows/a\.tsv and .*/flows/a\.zip"),
]


@pytest.mark.parametrize(("files", "pattern", "message"), MISTAKES)
def test_what_cannot_be_read_is_told(tmp_path: Path, files: list[str], pattern: str, message: str) -> None:
    write(tmp_path, *files)
    with pytest.raises(UserError, match=SAID + ".*" + message):
        found(tmp_path, pattern)


def test_a_closed_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "flows/a.csv", "flows/closed/b.csv")
    scan = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    for pattern in ("flows", "flows/*/*.csv", "flows/**/*.csv"):
        with pytest.raises(UserError, match=r"/flows/closed cannot be read: Permission denied\."):
            found(tmp_path, pattern)


@pytest.mark.parametrize("pattern", ["flows", "flows/*"])
def test_a_large_folder_is_listed_without_asking_for_every_file(
    tmp_path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 files take about two seconds so. The number of questions to the file system does not grow with them."""
    write(tmp_path, *(f"flows/day={day}/{number}.csv" for day in range(3) for number in range(100)))
    monkeypatch.setattr(copies, "COMPARED", 100)
    monkeypatch.setattr(copies, "_LOOKED_AT", 100)
    asked: list[object] = []

    def counted(answer: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*args: Any, **more: Any) -> Any:
            asked.append(args[0])
            return answer(*args, **more)

        return ask

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    assert len(found(tmp_path, pattern).files) == 300
    assert len(asked) < 100


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    """Not that in which the file system lists them."""
    listed = write(tmp_path / "flows", *(f"{number * 7919 % 101}/{number * 31 % 53}.csv" for number in range(300)))
    assert found(tmp_path).files == tuple(sorted(set(listed)))


name = draw.text("ab[]*?!é -", min_size=1, max_size=5).filter(lambda text: text.strip() == text)


@given(draw.sets(draw.tuples(name, name), min_size=1, max_size=4))
def test_a_folder_of_any_name_is_found_by_it(tmp_path_factory: pytest.TempPathFactory, chosen: set) -> None:
    """Special characters of globs as well, if the path is there."""
    base = tmp_path_factory.mktemp("any")
    for folder, file in chosen:
        write(base, f"{folder}/{file}.csv")
        assert base / folder / f"{file}.csv" in found(base, folder).files
        assert found(base, f"{folder}/{file}.csv").files == (base / folder / f"{file}.csv",)
