"""Where a dataset lives: versions per region, committed in one atomic step.

``lake/<dataset>/region=<region>/<version>/part-*.parquet`` with ``current.json`` beside the versions. A draft is a
folder that no reader looks at; committing renames it and then replaces ``current.json``, so that a reader sees the
old version or the new one, and a killed process leaves nothing that anybody reads; the steps are in
`mora_pipeline.lake.commits`.
"""

import contextlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import mora_home
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.lake import commits, records
from mora_pipeline.lake.home import opened
from mora_pipeline.lake.records import DamagedRecordError

BATCH_ROWS = 1 << 20
PRIVATE = "quarantine"  # the first part of names of datasets that only the user may read: they hold raw rows
DATASET_NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)?")


@dataclass(frozen=True)
class Version:
    """A committed version of a dataset of a region.

    Attributes:
        contents: by path in its folder, the ``bytes`` and ``sha256`` of every file, and the ``rows`` of Parquet; empty
            for versions of before there were hashes.
    """

    dataset: str
    region: str
    version: str
    path: Path
    rows: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """One digest of the content of all its files, whatever their names; empty if there are no hashes."""
        return records.fingerprint(self.contents)

    def check(self) -> None:
        """Look cheaply whether its files are those that were committed: each is there, and of its size.

        Raises:
            UserError: if not; `lake.verify` looks at every byte.
        """
        for name, written in self.contents.items():
            file = self.path / name
            found = file.stat().st_size if file.exists() else None
            if found != written["bytes"]:
                state = "is gone" if found is None else f"has {found:,} bytes"
                raise UserError(
                    f"{file} {state}, but {written['bytes']:,} bytes were committed. If newer versions took its place "
                    f"meanwhile, run it again; otherwise see what is damaged and mend it: mora lake verify "
                    f"{self.region}, mora lake repair {self.region}"
                )

    def is_whole(self) -> bool:
        """As `check`, without the message."""
        try:
            self.check()
        except (UserError, OSError):
            return False
        return True

    @cached_property
    def _files(self) -> tuple[Path, ...]:
        return tuple(sorted(self.path.glob("*.parquet")))

    def files(self) -> list[Path]:
        """Its Parquet files in order, listed once: a file that goes meanwhile is missed when it is read."""
        return list(self._files)

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """All rows in file order, read in one go: for tables of cells, not for edges of a large region.

        Raises:
            UserError: if a file is missing, truncated or not Parquet.
        """
        for file in self.files():
            self._check_size(file)
        table = read_files(self.files(), columns)
        self._check_rows(table.num_rows)
        return table

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows in file order, BATCH_ROWS at a time: for what is too large to be read in one go.

        Raises:
            UserError: if a file is missing, truncated or not Parquet.
        """
        rows = 0
        for file in self.files():
            self._check_size(file)
            with readable(file), pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                    rows += batch.num_rows
                    yield batch
        self._check_rows(rows)

    def _check_size(self, file: Path) -> None:
        """A file of another size is not opened: cut short, or written by somebody else."""
        written = self.contents.get(file.name, {}).get("bytes")
        with readable(file):
            found = file.stat().st_size
            if written is not None and found != written:
                raise OSError(f"it has {found:,} bytes, but {written:,} were committed")

    def _check_rows(self, rows: int) -> None:
        if rows != self.rows:
            raise UserError(
                f"{self.path} holds {rows:,} rows, but {self.rows:,} were committed: a file is lost or was changed. "
                f"Materialise `{self.dataset}` of '{self.region}' again."
            )


def read_files(files: list[Path], columns: list[str] | None = None) -> pa.Table:
    """Read Parquet files in the given order.

    Raises:
        UserError: if a file is missing, truncated or not Parquet.
    """
    tables = []
    for file in files:
        with readable(file):
            tables.append(pq.read_table(file, columns=columns, partitioning=None))
    if not tables:
        raise UserError("There is no Parquet file to read: materialise the asset again.")
    return pa.concat_tables(tables)


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Tell which file it was that could not be read as Parquet."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is gone: newer versions took its place meanwhile, or somebody deleted it. Run it again; if that "
            "does not help, materialise its asset again."
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as Parquet ({error}). Materialise its asset again.") from error


class Draft:
    """A version under construction; nobody reads it before `commit`. Made by `Lake.begin`."""

    def __init__(self, lake: "Lake", dataset: str, region: str, inputs: Mapping[str, Version]) -> None:
        self.lake, self.dataset, self.region = lake, dataset, region
        self.inputs = {name: source.version for name, source in inputs.items()}
        self.version = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        self.path, self._life = commits.new_draft(lake.folder(dataset, region), self.version)
        if self._is_private:
            (lake.root / PRIVATE).chmod(0o700)  # nobody else sees the files, whatever writes them

    @property
    def _is_private(self) -> bool:
        return self.dataset.split("/")[0] == PRIVATE

    def write(self, table: pa.Table, name: str = "part-00000.parquet") -> None:
        """Write one Parquet file of the draft."""
        pq.write_table(table, self.path / name, compression="zstd")

    @cached_property
    def contents(self) -> records.Contents:
        """Size and SHA-256 of its files, which are on the disk then; nothing may be written after this was asked."""
        return records.contents_of(self.path)

    def is_like(self, version: Version, details: Mapping[str, Any]) -> bool:
        """Whether committing the draft would publish the same as a version: bytes, inputs, and what it says of them.

        Args:
            details: as for `commit`; the MLflow run, which says who made it, does not count.
        """
        told, before = ({**each, "mlflow_run": None} for each in (details, version.details))
        same = json.loads(records.text_of(told)) == before and self.inputs == dict(version.inputs)
        return same and bool(version.contents) and records.fingerprint(self.contents) == version.fingerprint

    def commit(self, details: Mapping[str, Any] | None = None, fence: Callable[[], None] = lambda: None) -> Version:
        """Make this draft the version that readers see, and drop versions beyond the last three.

        Args:
            fence: raises if the draft may not be published any more; see `commits.commit`.

        Raises:
            UserError: if a part of the draft is not whole Parquet; the committed version stays.
        """
        rows, schema = self._rows_and_schema()
        for path in (self.path, *self.path.rglob("*")) if self._is_private else ():
            path.chmod(0o700 if path.is_dir() else 0o600)
        contents = {
            name: {**file, "rows": rows[name]} if name in rows else file for name, file in self.contents.items()
        }
        record = {
            "version": self.version,
            "rows": sum(rows.values()),
            "inputs": self.inputs,
            "schema": {column.name: str(column.type) for column in schema},
            "details": dict(details or {}),
            "files": contents,
        }
        record = records.sealed(record)
        commits.commit(self.lake.folder(self.dataset, self.region), self.path, record, fence)
        commits.discard(self.path, self._life)
        return self.lake.version(self.dataset, self.region, record)

    def _rows_and_schema(self) -> tuple[dict[str, int], pa.Schema]:
        """The rows by file, and the columns of the last."""
        rows, schema = dict[str, int](), pa.schema([])
        for file in sorted(self.path.glob("*.parquet")):
            try:
                footer = pq.ParquetFile(file)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{file} is not a whole Parquet file ({error}). Nothing was committed.") from error
            rows[file.name], schema = footer.metadata.num_rows, footer.schema_arrow
        return rows, schema

    def discard(self) -> None:
        """Give the draft up; nothing happens to one that has been committed."""
        commits.discard(self.path, self._life)


@dataclass(frozen=True)
class Lake:
    """All datasets under one root."""

    root: Path

    @classmethod
    def at_home(cls) -> "Lake":
        return cls(opened(mora_home()) / "lake")

    def folder(self, dataset: str, region: str) -> Path:
        """The folder of the versions of a dataset of a region; both names are checked, so none can leave the lake."""
        if not DATASET_NAME.fullmatch(dataset):
            raise ValueError(f"'{dataset}' cannot name a dataset")
        return self.root / dataset / f"region={checked_region_name(region)}"

    def begin(self, dataset: str, region: str, inputs: Mapping[str, Version] | None = None) -> Draft:
        """Start a new version; what dead processes left behind is removed first."""
        return Draft(self, dataset, region, inputs or {})

    def read(self, dataset: str, region: str) -> Version:
        """The version that readers see.

        Raises:
            UserError: if there is none, or its record is damaged.
        """
        current = self.folder(dataset, region) / commits.CURRENT
        try:
            return self.version(dataset, region, records.read(current))
        except FileNotFoundError:
            raise UserError(
                f"`{dataset}` of region '{region}' has not been made yet: materialise it (mora materialize {region})."
            ) from None
        except DamagedRecordError as error:
            raise UserError(
                f"{current} is damaged ({error}). Point it at the newest whole version: mora lake repair {region}. Or "
                f"materialise `{dataset}` again."
            ) from error

    def has(self, dataset: str, region: str) -> bool:
        return (self.folder(dataset, region) / commits.CURRENT).exists()

    def versions(self, dataset: str, region: str) -> list[Version]:
        """Committed versions that are still kept, oldest first; those whose record is damaged are left out."""
        kept = []
        for path in commits.committed_versions(self.folder(dataset, region)):
            with contextlib.suppress(FileNotFoundError, DamagedRecordError):  # dropped a moment ago, or not to be read
                kept.append(self.version(dataset, region, records.read(path / records.RECORD)))
        return kept

    def restore(self, dataset: str, region: str, version: str) -> Version:
        """Point readers at an earlier version.

        Raises:
            UserError: if it is not kept any more.
        """
        kept = {item.version for item in self.versions(dataset, region)}
        try:
            if version not in kept:
                raise FileNotFoundError
            return self.version(dataset, region, commits.restore(self.folder(dataset, region), version))
        except FileNotFoundError:
            raise UserError(
                f"`{dataset}` of '{region}' has no version {version}; kept are {', '.join(sorted(kept)) or 'none'}."
            ) from None

    def version(self, dataset: str, region: str, record: dict[str, Any]) -> Version:
        """A version from its record."""
        return Version(
            dataset,
            region,
            record["version"],
            self.folder(dataset, region) / record["version"],
            record["rows"],
            record["inputs"],
            record["schema"],
            record["details"],
            record.get("files", {}),
        )
