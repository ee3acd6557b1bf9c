"""Whatever lies under the watched root, the folders that are right are taken, and each other one is named."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mora_pipeline.lake import arrivals, fingerprint
from mora_pipeline.lake.arrivals import Arrivals, look
from mora_pipeline.lake.registry import Registry

WriteRegion = Callable[..., Path]
LAUGHS = "\n".join(
    ["a0: &a0 x", *(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 12))]
)


def garbled(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "region.yaml").write_bytes(content)


def twice(root: Path, seconds: float = 40.0) -> Arrivals:
    """The second of two looks: what is right is taken by it."""
    first = look(root, Registry.at_home(), (), {}, seconds)
    return look(root, Registry.at_home(), (), first.seen, seconds)


@pytest.fixture
def root(mora_home: Path, write_region: WriteRegion) -> Path:
    """The watched root, with a region that is right, after all others by name."""
    write_region(mora_home / "regions" / "zz_town")
    return mora_home / "regions"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"x: " + b"[" * 60_000, "nested deeper than 24 levels"),
        (LAUGHS.encode(), "it holds more than 20,000 values"),
        (b"x: &x [*x]\n", "is inside of what it repeats"),
        (b"x: " + b"9" * 100_000, "characters; 20,000 are allowed"),
        (b"x: " + b"9" * 5_000, "not valid YAML"),
        (b"\0" * 1000, "not valid YAML"),
        (os.urandom(4096) + b"\xff", "cannot be read as text"),
        (b"x" * (1 << 20), "is larger than 256 KB"),
        (b"? {a: b}\n: c\n", "a key is a word"),
        (b"region: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        (b"region: 2020-02-30\n", "not valid YAML"),
        (b'region: zz\nresolution: 7\nroot: "\\0"\n', "holds the character '\\x00'"),
    ],
    ids=["deep", "laughs", "loop", "long", "number", "nulls", "bytes", "large", "key", "code", "date", "null path"],
)
def test_a_region_yaml_of_any_content_is_that_folders_problem(root: Path, content: bytes, what: str) -> None:
    garbled(root / "bad", content)
    start = time.monotonic()
    found = twice(root)
    assert time.monotonic() - start < 10
    assert list(found.regions) == ["zz_town"]
    (problem,) = found.problems
    assert problem.startswith("bad: ")
    assert what in problem
    assert problem.isprintable()


def test_pipes_sockets_devices_and_loops_are_told_and_not_waited_for(root: Path, write_region: WriteRegion) -> None:
    """Each stands in the place of a region.yaml, or of the data that one names."""
    for name in ("a_pipe", "b_socket", "c_device", "d_loop", "e_folder"):
        (root / name).mkdir()
    os.mkfifo(root / "a_pipe" / "region.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root / "b_socket")  # the path of a socket may be no longer than 108 bytes
        server.bind("region.yaml")
        os.chdir(here)
    (root / "c_device" / "region.yaml").symlink_to("/dev/zero")
    (root / "d_loop" / "region.yaml").symlink_to("region.yaml")
    (root / "e_folder" / "region.yaml").mkdir()
    for name in ("f_pipe", "g_loop", "h_pipes"):
        write_region(root / name).with_name("trips.csv").unlink()
    os.mkfifo(root / "f_pipe" / "trips.csv")
    (root / "g_loop" / "trips.csv").symlink_to("trips.csv")
    many = root / "h_pipes" / "region.yaml"
    many.write_text(many.read_text().replace("trips.csv", "'*.csv'"))
    os.mkfifo(root / "h_pipes" / "a.csv")
    found = twice(root)
    assert list(found.regions) == ["zz_town"]
    assert [problem.split(": ")[0] for problem in found.problems] == sorted(
        path.name for path in root.iterdir() if path.name != "zz_town"
    )
    assert "trips.csv is a pipe, not a file" in found.problems[5]
    assert "a.csv is a pipe, not a file" in found.problems[7]


def test_a_path_out_of_the_folder_is_refused_until_it_is_allowed(
    root: Path, write_region: WriteRegion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out, by a root, by a glob, by a link of a file, of a folder, and of the region's folder itself."""
    outside = tmp_path / "outside"
    data = write_region(outside).with_name("trips.csv")
    ways = {"a": str(data), "b": "../../../outside/trips.csv", "c": "../../../*/trips.csv", "d": "way/trips.csv"}
    for name, path in {**ways, "e": "way.csv", "f": "trips.csv"}.items():
        description = write_region(root / name)
        description.write_text(description.read_text().replace("trips.csv", path))
    (root / "d" / "way").symlink_to(outside)
    (root / "e" / "way.csv").symlink_to(data)
    description = root / "f" / "region.yaml"
    description.write_text(description.read_text() + "root: ../../../outside\n")
    write_region(outside / "g")
    (root / "g").symlink_to(outside / "g")
    found = twice(root)
    assert list(found.regions) == ["zz_town"]
    assert [problem[0] for problem in found.problems] == ["a", "b", "c", "d", "e", "f", "g"]
    for problem in found.problems:
        assert "outside of the folders that this region may read" in problem
        assert "name its folder in MORA_DATA_ROOTS" in problem
    monkeypatch.setenv("MORA_DATA_ROOTS", f"/nowhere:{outside}")
    allowed = twice(root)
    assert set(allowed.regions) == {*"abdefg", "zz_town"}
    (glob,) = allowed.problems  # it looks through a folder that is still none of its own
    assert glob.startswith("c: ")


@pytest.mark.parametrize("path", ["/proc", "/proc/*/mem", "/proc/self/fd/*", "/sys/**", "/dev/zero", "/dev/stdin"])
def test_folders_of_the_kernel_are_refused_at_once_whoever_adds_the_region(
    tmp_path: Path, write_region: WriteRegion, mora_home: Path, path: str
) -> None:
    description = write_region(tmp_path / "town")
    description.write_text(description.read_text().replace("trips.csv", path))
    start = time.monotonic()
    with pytest.raises(arrivals.UserError, match="where the kernel shows itself and no data is"):
        Registry.at_home().add(description)
    assert time.monotonic() - start < 2


def test_names_that_cannot_be_printed_are_told_escaped(root: Path, write_region: WriteRegion) -> None:
    for name in (b"bad\nname", b"no\xff utf", b"\x1b[31mred"):
        garbled(Path(os.fsdecode(os.fsencode(root) + b"/" + name)), b"region: [")
    write_region(root / "town").with_name(os.fsdecode(b"odd\xff\n.csv")).write_text("a\n")
    found = twice(root)
    assert set(found.regions) == {"town", "zz_town"}
    assert len(found.problems) == 3
    assert all(problem.isprintable() and problem.encode() for problem in found.problems)


def test_a_folder_too_large_to_be_watched_is_told(
    root: Path, write_region: WriteRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "MOST_ENTRIES", 100)
    for number in range(200):
        write_region(root / "large").with_name(f"{number}.csv").touch()
    found = twice(root)
    assert list(found.regions) == ["zz_town"]
    assert "large: it holds more than 100 files and folders" in found.problems[0]


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), OverflowError(), UnicodeError("x"), KeyError()]
)
def test_what_a_folder_does_to_the_code_that_reads_it_is_its_problem(
    root: Path, write_region: WriteRegion, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_region(root / "bad")
    load = arrivals.RegionConfig.load

    def loaded(path: Path) -> arrivals.RegionConfig:
        if path.parent.name == "bad":
            raise error
        return load(path)

    monkeypatch.setattr(arrivals.RegionConfig, "load", loaded)
    found = twice(root)
    assert list(found.regions) == ["zz_town"]
    assert f"bad: it cannot be looked at ({type(error).__name__}" in found.problems[0]


def test_a_look_ends_in_time_and_the_next_begins_with_the_rest(root: Path, write_region: WriteRegion) -> None:
    write_region(root / "a_town")
    first = look(root, Registry.at_home(), (), {}, seconds=-1)
    assert first.problems == ["a_town, zz_town: not looked at yet, as the others took -1 seconds. Wait a minute."]
    second = look(root, Registry.at_home(), (), {**first.seen, "a_town": "1"})
    assert [problem.split(":")[0] for problem in second.problems] == ["zz_town", "a_town"]
    assert set(look(root, Registry.at_home(), (), second.seen).regions) == {"a_town", "zz_town"}


def test_files_that_are_right_are_not_opened_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = look(root, Registry.at_home(), (), {})
    monkeypatch.setattr(arrivals, "check_files", lambda config: pytest.fail("opened"))
    assert list(look(root, Registry.at_home(), (), first.seen).regions) == ["zz_town"]
