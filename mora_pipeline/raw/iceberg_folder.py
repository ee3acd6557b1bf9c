"""An Iceberg table as a folder: its metadata read from there alone, wherever it was written.

Imported only where such a table is read: it needs pyiceberg.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO

from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")


class OutsideError(ValueError):
    """A log names a file that is not in the table's folder."""


class FolderFile(InputFile):
    """A file of the table, opened for reading."""

    def __len__(self) -> int:
        return os.stat(self._location).st_size

    def exists(self) -> bool:
        return Path(self._location).is_file()

    def open(self, seekable: bool = True) -> BinaryIO:
        return Path(self._location).open("rb")


class FolderIO(FileIO):
    """Finds the files that a log names in the folder where the table lies now; reads nothing else, and writes nothing.

    Args:
        folder: where the table lies.
        location: where it was written, as its metadata says.
    """

    def __init__(self, folder: str, location: str) -> None:
        super().__init__()
        self.folder, self.location = folder, _bare(location)

    def relative(self, location: str) -> str:
        """A file's path below the table's folder.

        Raises:
            OutsideError: if it is elsewhere.
        """
        path = _bare(location)
        below = path.removeprefix(f"{self.location}/")
        inside = os.path.realpath(f"{self.folder}/{below}").startswith(f"{os.path.realpath(self.folder)}/")
        if below == path or ".." in below.split("/") or not inside:
            raise OutsideError(f"It names {location}, which is outside of it.")
        return below

    def new_input(self, location: str) -> InputFile:
        return FolderFile(f"{self.folder}/{self.relative(location)}")

    def new_output(self, location: str) -> OutputFile:
        raise NotImplementedError("a raw table is only read")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise NotImplementedError("a raw table is only read")


def newest_metadata(folder: str, names: list[str]) -> TableMetadata:
    """The table's metadata of the highest version, of two of a version the later one.

    Args:
        names: of its metadata files.
    """
    version = {name: int(re.sub(r"\D", "", re.split("[-.]", name)[0])) for name in names}
    newest = [name for name in names if version[name] == max(version.values())]
    read = [FromInputFile.table_metadata(FolderFile(f"{folder}/metadata/{name}")) for name in sorted(newest)]
    return max(read, key=lambda metadata: metadata.last_updated_ms)


def _bare(location: str) -> str:
    """A location without its scheme and the slashes at its ends: they differ among writers."""
    return _SCHEME.sub("", location).strip("/")
