"""Tables of Delta and Iceberg, written by their libraries: the files of the current version, and nothing else."""

import datetime
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.folders import Found, find_files

FLOWS = pa.table({"flow": [1, 2, 3, 4], "mode": ["bus", "car", "bus", "car"]})
LATER = pa.table({"flow": [10, 20], "mode": ["bus", "a b/ü=%"]})


def found(base: Path, pattern: str = "flows") -> Found:
    return find_files(base, pattern, "region.yaml: mobility.path ")


def rows(result: Found) -> list[tuple[Any, ...]]:
    """All rows of the files found, partition columns as the log has them."""
    values = []
    for path in result.files:
        for row in pq.ParquetFile(path).read().to_pylist():
            values.append(tuple(sorted({**row, **result.columns.get(path, {})}.items())))
    return sorted(values)


def expected(*tables: pa.Table) -> list[tuple[Any, ...]]:
    return sorted(tuple(sorted(row.items())) for table in tables for row in table.to_pylist())


def add_to_log(table: Path, *actions: dict[str, Any]) -> None:
    """A further commit to a Delta table's log."""
    number = len(list((table / "_delta_log").glob("*.json")))
    (table / "_delta_log" / f"{number:020}.json").write_text("\n".join(map(json.dumps, actions)))


def added(path: str, **more: Any) -> dict[str, Any]:
    return {"add": {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True, **more}}


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    """Written, overwritten, added to, and a row deleted: seven files lie there, some of old versions."""
    from deltalake import DeltaTable, write_deltalake

    table = tmp_path / "flows"
    write_deltalake(table, pa.table({"flow": [7, 8], "mode": ["bus", "car"]}), partition_by=["mode"])
    write_deltalake(table, FLOWS, mode="overwrite", partition_by=["mode"])
    write_deltalake(table, LATER, mode="append", partition_by=["mode"])
    DeltaTable(table).delete("flow = 4")
    return table


def test_a_delta_table_is_its_current_version(delta: Path, tmp_path: Path) -> None:
    result = found(tmp_path)
    assert result.kind == "delta"
    assert rows(result) == expected(FLOWS.slice(0, 3), LATER)
    assert len(result.files) < len(list(delta.rglob("*.parquet")))
    assert list(result.files) == sorted(result.files)
    assert found(tmp_path, "fl*").files == found(tmp_path, ".").files == result.files


def test_a_table_may_hold_the_same_rows_twice(tmp_path: Path) -> None:
    """Two files of one content are no copies where the log names both."""
    table = tmp_path / "flows"
    (table / "_delta_log").mkdir(parents=True)
    for name in ("a", "a (1)"):
        pq.write_table(FLOWS, table / f"{name}.parquet")
    add_to_log(table, added("a.parquet"), added("a%20(1).parquet"))
    result = found(tmp_path)
    assert (rows(result), result.remarks) == (expected(FLOWS, FLOWS), ())


def test_a_checkpoint_takes_the_place_of_the_log(delta: Path, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    before = found(tmp_path)
    DeltaTable(delta).create_checkpoint()
    for commit in (delta / "_delta_log").glob("*.json"):
        if commit.stem != f"{3:020}":
            commit.unlink()
    assert found(tmp_path) == before


def test_partition_columns_are_those_of_the_log(tmp_path: Path) -> None:
    """As text, as Spark writes them in folders; one without a value is absent."""
    from deltalake import write_deltalake

    columns = {
        "day": [datetime.date(2024, 1, 31), None],
        "weekend": [True, False],
        "zone": [7, 8],
        "name": ["x/y=%41", "b"],
    }
    write_deltalake(tmp_path / "flows", pa.table({"flow": [1, 2], **columns}), partition_by=list(columns))
    by_flow = {
        pq.ParquetFile(path).read()["flow"][0].as_py(): values for path, values in found(tmp_path).columns.items()
    }
    assert by_flow == {
        1: {"day": "2024-01-31", "weekend": "true", "zone": "7", "name": "x/y=%41"},
        2: {"weekend": "false", "zone": "8", "name": "b"},
    }


def test_a_glob_into_a_table_leaves_out_what_was_removed(delta: Path, tmp_path: Path) -> None:
    every = found(tmp_path)
    for pattern in ("flows/*", "flows/*/*.parquet", "flows/**/*.parquet"):
        result = found(tmp_path, pattern)
        assert (result.kind, result.files, result.columns) == ("delta", every.files, every.columns)
        assert "not being in the current version of the table" in result.remarks[0]
    part = found(tmp_path, "flows/mode=bus")
    assert part.files == tuple(path for path in every.files if path.parent.name == "mode=bus")


def test_a_file_that_a_table_has_no_longer_is_refused(delta: Path, tmp_path: Path) -> None:
    current = set(found(tmp_path).files)
    for path in delta.rglob("*.parquet"):
        if path in current:
            assert found(tmp_path, str(path)).files == (path,)
        else:
            with pytest.raises(UserError, match=r"the current version of the table .*/flows has no such file"):
                found(tmp_path, str(path))


def test_tables_below_a_folder_are_tables(delta: Path, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    shutil.copytree(delta, tmp_path / "all/2024 [new]")
    DeltaTable(delta).delete("flow < 10")
    shutil.copytree(delta, tmp_path / "all/2023")
    assert rows(found(tmp_path, "all")) == expected(FLOWS.slice(0, 3), LATER, LATER)


def test_a_log_without_a_schema_is_replayed(tmp_path: Path) -> None:
    """deltalake refuses it, but it says which files count."""
    table = tmp_path / "flows"
    (table / "_delta_log").mkdir(parents=True)
    for name in ("a%20b", "c", "d"):
        pq.write_table(pa.table({"flow": [len(name)]}), table / f"{name}.parquet")
    add_to_log(table, added("a%2520b.parquet"), added("c.parquet", partitionValues={"mode": "bus", "day": None}))
    add_to_log(table, {"remove": {"path": "a%2520b.parquet", "dataChange": True}}, {"commitInfo": {}})
    assert found(tmp_path).columns == {table / "c.parquet": {"mode": "bus"}}
    (table / "_delta_log" / f"{0:020}.json").unlink()  # now it is not whole
    with pytest.raises(UserError, match="is a table of Delta whose log cannot be read"):
        found(tmp_path)


ELSEWHERE = [
    "../secret.parquet", "/tmp/secret.parquet", "x/../../secret.parquet", "%2e%2e/secret.parquet",
    "file:///tmp/secret.parquet", "s3://bucket/secret.parquet", "link/secret.parquet",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize("bare", [True, False])
def test_a_log_cannot_name_files_outside_of_its_table(delta: Path, tmp_path: Path, path: str, bare: bool) -> None:
    pq.write_table(FLOWS, tmp_path / "secret.parquet")
    table = tmp_path / "bare" if bare else delta
    (table / "_delta_log").mkdir(parents=True, exist_ok=True)
    (table / "link").symlink_to(tmp_path)
    add_to_log(table, added(path, partitionValues={} if bare else {"mode": "bus"}))
    with pytest.raises(UserError, match=r"whose log names .*secret\.parquet, which is outside of it"):
        found(tmp_path, table.name)


def test_a_file_that_a_log_names_must_be_there(delta: Path, tmp_path: Path) -> None:
    gone = found(tmp_path).files[0]
    gone.unlink()
    with pytest.raises(
        UserError, match=rf"whose log names .*{gone.name}, which is not there\. Copy the table as a whole"
    ):
        found(tmp_path)


def test_rows_that_are_deleted_in_the_log_alone_are_refused(delta: Path, tmp_path: Path) -> None:
    """Their files still have them. A vector within the log: one row, number 0 (a roaring bitmap, Z85)."""
    add_to_log(
        delta,
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"],
            }
        },
    )
    assert rows(found(tmp_path)) == expected(FLOWS.slice(0, 3), LATER)  # the feature alone deletes nothing
    path = found(tmp_path).files[0]
    vector = {
        "storageType": "i",
        "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 44,
        "cardinality": 6,
    }
    values = found(tmp_path).columns[path]
    add_to_log(
        delta,
        added(str(path.relative_to(delta)), size=path.stat().st_size, partitionValues=values, deletionVector=vector),
    )
    with pytest.raises(UserError, match="with deletion vectors: rows that are deleted are still in its files"):
        found(tmp_path)


def test_columns_that_are_renamed_in_the_log_alone_are_refused(delta: Path, tmp_path: Path) -> None:
    first = (delta / "_delta_log" / f"{0:020}.json").read_text()
    metadata = next(json.loads(line) for line in first.splitlines() if "metaData" in line)
    metadata["metaData"]["configuration"] = {"delta.columnMapping.mode": "name"}
    schema = json.loads(metadata["metaData"]["schemaString"])
    for number, field in enumerate(schema["fields"], 1):
        physical = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": field["name"]}
        field.update(metadata=physical, name="trips" if field["name"] == "flow" else field["name"])
    metadata["metaData"]["schemaString"] = json.dumps(schema)
    add_to_log(delta, {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, metadata)
    with pytest.raises(UserError, match="column mapping"):
        found(tmp_path)


@pytest.mark.parametrize(
    "spoil", ["{", "[]", '{"add": {}}', '{"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}}']
)
def test_a_damaged_log_is_told(delta: Path, tmp_path: Path, spoil: str) -> None:
    (delta / "_delta_log" / f"{4:020}.json").write_text(spoil)
    with pytest.raises(UserError, match="is a table of Delta whose log cannot be read: "):
        found(tmp_path)


def test_a_table_whose_rows_are_all_gone_is_told(delta: Path, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    DeltaTable(delta).delete()
    with pytest.raises(UserError, match="whose current version has no files"):
        found(tmp_path)


@pytest.mark.parametrize(("kind", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg")])
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, kind: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flows/_delta_log" if kind == "delta" else tmp_path / "flows/metadata").mkdir(parents=True)
    (tmp_path / "flows/metadata/v1.metadata.json").write_text("{}") if kind == "iceberg" else None
    for name in [name for name in sys.modules if name.split(".")[0] == package or name.endswith("iceberg_folder")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs the package {package}.*: pip install 'mora-pipeline\[{kind}\]'"):
        found(tmp_path)


def test_a_hudi_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flows/.hoodie").mkdir(parents=True)
    pq.write_table(FLOWS, tmp_path / "flows/a.parquet")
    for pattern in ("flows", "flows/*.parquet", "flows/a.parquet"):
        with pytest.raises(UserError, match=r"/flows is a Hudi table, .* Write the current version as plain Parquet"):
            found(tmp_path, pattern)


IcebergTable = Any


@pytest.fixture
def iceberg(tmp_path: Path) -> Callable[..., IcebergTable]:
    """Creates a table in the folder `flows`, with FLOWS in it."""
    from pyiceberg.catalog.sql import SqlCatalog

    def create(**properties: str) -> IcebergTable:
        catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
        catalog.create_namespace("n")
        location = f"file://{tmp_path}/flows"
        table = catalog.create_table("n.flows", schema=FLOWS.schema, location=location, properties=properties)
        table.append(FLOWS)
        return table

    return create


def test_an_iceberg_table_is_its_current_version(iceberg: Callable[..., IcebergTable], tmp_path: Path) -> None:
    table = iceberg()
    with table.update_spec() as spec:
        spec.add_identity("mode")
    table.overwrite(FLOWS)
    table.append(LATER)
    table.delete("flow = 4")
    for pattern in ("flows", "flows/data/**/*.parquet", "fl*"):
        result = found(tmp_path, pattern)
        assert (result.kind, rows(result)) == ("iceberg", expected(FLOWS.slice(0, 3), LATER))
    assert {values["mode"] for values in result.columns.values()} == {"bus", "car", "a b/ü=%"}
    assert len(result.files) < len(list((tmp_path / "flows").rglob("*.parquet")))


def test_partitions_of_iceberg_are_written_as_text(iceberg: Callable[..., IcebergTable], tmp_path: Path) -> None:
    """Its manifests have days as numbers."""
    from pyiceberg.types import BooleanType, DateType

    table = iceberg()
    with table.update_schema() as update:
        update.add_column("day", DateType())
        update.add_column("weekend", BooleanType())
    with table.update_spec() as spec:
        spec.add_identity("day").add_identity("weekend")
    days = pa.array([datetime.date(2024, 1, 31), None], pa.date32())
    table.overwrite(pa.table({"flow": [1, 2], "mode": ["bus", "car"], "day": days, "weekend": [True, False]}))
    values = sorted(map(dict, found(tmp_path).columns.values()), key=len)
    assert values == [{"weekend": "false"}, {"day": "2024-01-31", "weekend": "true"}]


def test_an_iceberg_table_may_lie_elsewhere_than_it_was_written(
    iceberg: Callable[..., IcebergTable], tmp_path: Path
) -> None:
    """Fetched from a store, say: nothing is read from where its metadata says that it is."""
    iceberg()
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "flows", tmp_path / "elsewhere/flows [1]")
    result = found(tmp_path, "elsewhere/flows [1]")
    assert rows(result) == expected(FLOWS)
    assert all(path.is_relative_to(tmp_path / "elsewhere/flows [1]/data") for path in result.files)


def test_two_metadata_files_of_one_version(iceberg: Callable[..., IcebergTable], tmp_path: Path) -> None:
    """A writer that came second leaves its own behind; the later one counts, whatever its name."""
    iceberg()
    newest = max((tmp_path / "flows/metadata").glob("*.metadata.json"))
    content = json.loads(newest.read_text())
    content["last-updated-ms"] -= 1000
    content["current-snapshot-id"] = None
    content["refs"] = {}
    for name in ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"):
        (newest.parent / f"00001-{name}.metadata.json").write_text(json.dumps(content))
    assert rows(found(tmp_path)) == expected(FLOWS)


def test_an_iceberg_table_with_renamed_columns_is_refused(iceberg: Callable[..., IcebergTable], tmp_path: Path) -> None:
    table = iceberg()
    with table.update_schema() as update:
        update.add_column("users", __import__("pyiceberg.types", fromlist=["LongType"]).LongType())
    assert rows(found(tmp_path)) == expected(FLOWS)  # a further column does no harm
    with table.update_schema() as update:
        update.rename_column("flow", "trips")
    with pytest.raises(UserError, match="whose column trips has another name in files written before"):
        found(tmp_path)


def test_a_column_that_took_the_name_of_another_is_refused(
    iceberg: Callable[..., IcebergTable], tmp_path: Path
) -> None:
    from pyiceberg.types import LongType

    table = iceberg()
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("flow")
    with table.update_schema() as update:
        update.add_column("flow", LongType())
    with pytest.raises(UserError, match="whose column flow has another name in files written before"):
        found(tmp_path)


def test_rows_that_are_deleted_by_an_iceberg_file_are_refused(
    iceberg: Callable[..., IcebergTable], tmp_path: Path
) -> None:
    """Other writers delete so; pyiceberg does not, so its manifest of deleted rows is put together here."""
    from pyiceberg.manifest import (
        DataFile,
        DataFileContent,
        FileFormat,
        ManifestContent,
        ManifestEntry,
        ManifestEntryStatus,
        ManifestWriterV2,
        write_manifest_list,
    )
    from pyiceberg.typedef import Record

    class DeletesWriter(ManifestWriterV2):
        def content(self) -> ManifestContent:
            return ManifestContent.DELETES

        @property
        def _meta(self) -> dict[str, str]:
            return {**super()._meta, "content": "deletes"}

    table = iceberg()
    snapshot, io = table.metadata.current_snapshot(), table.io
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=f"file://{tmp_path}/flows/data/deletes.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=1,
        file_size_in_bytes=1,
    )
    output = io.new_output(f"file://{tmp_path}/flows/metadata/deletes-m0.avro")
    with DeletesWriter(table.spec(), table.schema(), output, snapshot.snapshot_id, "null") as writer:
        added_entry = ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=snapshot.snapshot_id, sequence_number=2, data_file=deletes
        )
        writer.add_entry(added_entry)
    lists = io.new_output(f"file://{tmp_path}/flows/metadata/snap-2-deletes.avro")
    with write_manifest_list(2, lists, snapshot.snapshot_id, None, 2, "null") as writer_of_list:
        writer_of_list.add_manifests([*snapshot.manifests(io), writer.to_manifest_file()])
    spoilt(tmp_path / "flows", snapshot.manifest_list, lists.location)
    with pytest.raises(UserError, match="with delete files: rows that are deleted are still in its data files"):
        found(tmp_path)


def spoilt(folder: Path, old: str, new: str) -> None:
    """Replace text in the newest metadata file."""
    newest = max((folder / "metadata").glob("*.metadata.json"))
    newest.write_text(newest.read_text().replace(old, new))


def test_an_iceberg_table_cannot_name_files_outside_of_it(iceberg: Callable[..., IcebergTable], tmp_path: Path) -> None:
    table = iceberg()
    snapshot = table.metadata.current_snapshot().manifest_list
    for elsewhere in ("s3://bucket/list.avro", f"file://{tmp_path}/flows/../list.avro", "/etc/passwd"):
        spoilt(tmp_path / "flows", snapshot, elsewhere)
        with pytest.raises(UserError, match=r"whose log cannot be read: It names .*, which is outside of it"):
            found(tmp_path)
        spoilt(tmp_path / "flows", elsewhere, snapshot)
    assert rows(found(tmp_path)) == expected(FLOWS)


@pytest.mark.parametrize("name", ["metadata.json", "-m0.avro", "snap-"])
def test_a_damaged_iceberg_table_is_told(iceberg: Callable[..., IcebergTable], tmp_path: Path, name: str) -> None:
    iceberg()
    for path in (tmp_path / "flows/metadata").iterdir():
        if name in path.name:
            path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="is a table of Iceberg whose log cannot be read: "):
        found(tmp_path)


def test_a_folder_of_other_metadata_is_no_iceberg_table(tmp_path: Path) -> None:
    (tmp_path / "flows/metadata").mkdir(parents=True)
    (tmp_path / "flows/metadata/trips.metadata.json").write_text("{}")
    pq.write_table(FLOWS, tmp_path / "flows/a.parquet")
    assert found(tmp_path).kind == "files"
