"""What is damaged in a lake is found and mended, and hides nothing else."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.cli import main
from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake, Version, records
from mora_pipeline.lake.commits import CURRENT, DAMAGED
from mora_pipeline.lake.records import RECORD, DamagedRecordError
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.repair import repair
from mora_pipeline.lake.verify import verify


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def commit(lake: Lake, value: int, dataset: str = "edges", region: str = "town") -> Version:
    draft = lake.begin(dataset, region)
    for part in range(2):
        draft.write(pa.table({"cell": [value] * 5}), f"part-{part:05d}.parquet")
    (draft.path / "encoder.json").write_text('{"kind": "none"}')
    return draft.commit({"value": value})


def values(lake: Lake, dataset: str = "edges") -> set[int]:
    return set(lake.read(dataset, "town").table()["cell"].to_pylist())


def as_format_0(lake: Lake, version: Version) -> None:
    """Rewrite a version's records as they were before there were formats and hashes."""
    folder = lake.folder(version.dataset, version.region)
    record = json.loads((folder / CURRENT).read_text())
    for key in ("format", "files", "sha256"):
        del record[key]
    for file in (folder / CURRENT, version.path / RECORD):
        file.write_text(records.text_of(record))


def test_a_record_tells_the_size_the_rows_and_the_hash_of_every_file(lake: Lake) -> None:
    made = commit(lake, 1)
    assert set(made.contents) == {"part-00000.parquet", "part-00001.parquet", "encoder.json"}
    part = made.contents["part-00000.parquet"]
    assert part == {**records.describe(made.path / "part-00000.parquet"), "rows": 5}
    assert "rows" not in made.contents["encoder.json"]
    assert json.loads((made.path / RECORD).read_text())["format"] == records.FORMAT


def test_the_same_bytes_under_other_names_have_the_same_fingerprint(lake: Lake) -> None:
    first, second, other = commit(lake, 1), commit(lake, 1), commit(lake, 2)
    assert first.fingerprint == second.fingerprint != other.fingerprint
    draft = lake.begin("edges", "town")
    for file in first.path.glob("[ep]*"):
        (draft.path / file.name.replace("part-", "piece-")).write_bytes(file.read_bytes())
    assert draft.commit().fingerprint == first.fingerprint


def test_a_whole_lake_has_no_damage(lake: Lake) -> None:
    commit(lake, 1)
    commit(lake, 2)
    commit(lake, 3, "features/poi")
    found = verify(lake)
    assert (found.versions, found.files, found.damages, found.unhashed) == (3, 9, [], 0)
    assert repair(lake) == []


@settings(max_examples=150)
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_found_and_mended(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("flips"))
    commit(lake, 1)
    commit(lake, 2)
    folder = lake.folder("edges", "town")
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(bytes(content))
    damages = verify(lake, "town").damages
    assert damages, file
    assert str(file) in damages[0].what
    assert "mora lake repair town" in damages[0].message
    assert repair(lake, "town")
    assert verify(lake).damages == []
    assert values(lake) in ({1}, {2})


@pytest.mark.parametrize("fast", [False, True])
def test_a_file_that_is_gone_cut_or_added_is_found(lake: Lake, fast: bool) -> None:
    for dataset in ("gone", "cut", "added"):
        commit(lake, 1, dataset)
    file = {name: lake.read(name, "town").files()[0] for name in ("gone", "cut", "added")}
    file["gone"].unlink()
    file["cut"].write_bytes(file["cut"].read_bytes()[:-1])
    file["added"].with_name("part-9.parquet").write_bytes(file["added"].read_bytes())
    found = {damage.dataset: damage.what for damage in verify(lake, fast=fast).damages}
    assert "is gone" in found["gone"]
    assert "were committed" in found["cut"]
    assert "part-9.parquet was never committed" in found["added"]


def test_readers_notice_another_size_before_they_read(lake: Lake) -> None:
    made = commit(lake, 1)
    lake.read("edges", "town").check()
    (made.path / "encoder.json").write_text("{}")
    with pytest.raises(UserError, match=r"has 2 bytes, but 16 bytes were committed.*mora lake repair town"):
        lake.read("edges", "town").check()
    (made.path / "encoder.json").unlink()
    with pytest.raises(UserError, match=r"encoder.json is gone"):
        lake.read("edges", "town").check()


def test_repair_goes_back_to_the_newest_whole_version(lake: Lake) -> None:
    for value in (1, 2, 3):
        commit(lake, value)
    second, third = lake.versions("edges", "town")[1:]
    for version in (second, third):
        content = bytearray(version.files()[0].read_bytes())
        content[30] ^= 1
        version.files()[0].write_bytes(content)
    said = "\n".join(repair(lake))
    assert values(lake) == {1}
    assert "readers now see" in said
    aside = {path.name for path in lake.folder("edges", "town").glob(f"{DAMAGED}*")}
    assert aside == {f"{DAMAGED}{second.version}", f"{DAMAGED}{third.version}"}
    commit(lake, 4)
    assert values(lake) == {4}


def test_without_a_whole_version_the_dataset_counts_as_not_made(lake: Lake) -> None:
    commit(lake, 5, "cells")
    commit(lake, 1).files()[0].unlink()
    assert "mora materialize town" in "\n".join(repair(lake))
    assert not lake.has("edges", "town")
    assert values(lake, "cells") == {5}
    with pytest.raises(UserError, match="has not been made yet"):
        lake.read("edges", "town")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", "\xff"])
def test_a_damaged_pointer_is_named_and_mended(lake: Lake, content: str) -> None:
    commit(lake, 1)
    commit(lake, 2)
    (lake.folder("edges", "town") / CURRENT).write_bytes(content.encode("latin-1"))
    (damage,) = verify(lake).damages
    assert damage.seen
    assert "current.json is damaged" in damage.what
    repair(lake)
    assert values(lake) == {2}


def test_a_damaged_copy_of_the_record_is_written_anew(lake: Lake) -> None:
    made = commit(lake, 1)
    (made.path / RECORD).write_text("{")
    assert "wrote the record" in repair(lake)[0]
    assert verify(lake).damages == []
    assert [version.version for version in lake.versions("edges", "town")] == [made.version]


def test_versions_of_before_there_were_hashes_stay_readable(lake: Lake) -> None:
    made = commit(lake, 1)
    as_format_0(lake, made)
    assert values(lake) == {1}
    found = verify(lake)
    assert (found.unhashed, found.damages) == (1, [])
    assert lake.read("edges", "town").fingerprint == ""
    made.files()[1].unlink()
    assert "holds 5 rows, but 10 were committed" in verify(lake).damages[0].what


def test_a_record_of_a_newer_format_says_what_to_install(lake: Lake) -> None:
    made = commit(lake, 1)
    record = json.loads((made.path / RECORD).read_text())
    newer = records.text_of(records.sealed(record) | {"format": 99})
    with pytest.raises(DamagedRecordError):
        records.parse(newer)
    records_format, records.FORMAT = records.FORMAT, 99
    try:
        newer = records.text_of(records.sealed(record | {"format": 99}))
    finally:
        records.FORMAT = records_format
    with pytest.raises(UserError, match="format 99, which a newer version"):
        records.parse(newer)


def test_one_damaged_record_hides_neither_the_other_datasets_nor_the_other_regions(mora_home: Path) -> None:
    lake, run = Lake(mora_home / "lake"), CliRunner()
    for dataset, region in (("embeddings", "town"), ("cells", "town"), ("embeddings", "city")):
        commit(lake, 1, dataset, region)
    Registry(mora_home).path.write_text('{"city": "/data/city/region.yaml", "town": "/data/town/region.yaml"}')
    (lake.folder("embeddings", "town") / CURRENT).write_text("{")
    listed = run.invoke(main, ["lake", "list", "town"])
    assert listed.exit_code == 0
    assert "cells" in listed.stdout
    assert "current.json is damaged" in listed.stderr
    regions = run.invoke(main, ["region", "list"])
    assert regions.exit_code == 0
    assert [line.split()[:2] for line in regions.stdout.splitlines()][1] == ["town", "damaged"]
    assert "UTC" in regions.stdout
    verified = run.invoke(main, ["lake", "verify", "--fast"])
    assert verified.exit_code == 1
    assert "mora lake repair town" in verified.stderr
    assert "readers now see" in run.invoke(main, ["lake", "repair"]).stdout
    assert run.invoke(main, ["lake", "verify"]).exit_code == 0


def test_nobody_else_may_read_what_is_in_quarantine(lake: Lake) -> None:
    made, other = commit(lake, 1, "quarantine/edges"), commit(lake, 1)
    assert {file.stat().st_mode & 0o777 for file in made.path.glob("*.parquet")} == {0o600}
    assert [path.stat().st_mode & 0o777 for path in (made.path, lake.root / "quarantine")] == [0o700, 0o700]
    assert other.files()[0].stat().st_mode & 0o444 == 0o444
