"""Walks folders for data files: links are followed once, tables of Delta and Iceberg are read from their logs."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.formats import COMPANIONS, ending, file_format, is_document, is_partial
from mora_pipeline.raw.globs import entries, is_hidden
from mora_pipeline.raw.roots import Bounds
from mora_pipeline.raw.table_formats import current_files, table_kind

_SHOWN = 5  # names that a remark lists


class Walk:
    """Gathers the data files of one path of region.yaml.

    Attributes:
        files: the path of each data file, and the number of its inode; 0 for a link.
        partitions: of the files of tables, the partition columns as the log has them.
        kind: ``files``, ``delta`` or ``iceberg``.
    """

    def __init__(self, bounds: Bounds, formats: Mapping[str, str]) -> None:
        self.bounds, self.said, self.formats = bounds, bounds.said, formats
        self.files: dict[str, int] = {}
        self.partitions: dict[str, dict[str, str]] = {}
        self.kind = "files"
        self._real: dict[str, str] = {}  # where a file is, links resolved -> its path here
        self._folders: dict[str, str] = {}  # the same of folders
        self._above: set[str] = set()  # folders in which those that are searched lie
        self._links: list[str] = []
        self._others: list[str] = []
        self._remarks: list[str] = []
        self._table_of: dict[str, str | None] = {}  # a folder -> the table that it belongs to
        self._plain: set[str] = set()  # folders that are no tables
        self._current: dict[str, dict[str, dict[str, str]]] = {}  # a table -> its current files

    def take(self, path: str) -> None:
        """Take a file that region.yaml names itself.

        Raises:
            UserError: if the table that it lies in has it no longer, or it lies outside of the bounds.
        """
        self.bounds.check(os.path.realpath(path))
        self.files[path] = 0
        self._without_removed()

    def add(self, paths: Iterable[str]) -> None:
        """Take files, and all data files below folders; absolute paths without '..'.

        Raises:
            UserError: if a link leads nowhere, a folder or a table cannot be read, lies outside of the bounds or holds
                too much.
        """
        real_folders: dict[str, str] = {}
        for path in paths:
            folder = path.rpartition("/")[0]
            if folder not in real_folders:
                real_folders[folder] = os.path.realpath(folder or "/").rstrip("/")
                self._above |= _and_above(real_folders[folder])
            self.bounds.check(f"{real_folders[folder]}/{path.rpartition('/')[2]}")
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode) or real_folders[folder] != folder:
                self._links.append(path)
            elif stat.S_ISDIR(status.st_mode):
                self._below(path, path)
            elif stat.S_ISREG(status.st_mode):
                self._file(path, path, status.st_ino)
            else:
                self.bounds.check_kind(path)
        while self._links:
            links, self._links = sorted(set(self._links)), []
            for link in links:
                self._link(link)
        self._without_removed()
        self._without_texts()

    def passed_over(self) -> str:
        """Files that were left out for their endings, as a message names them; empty if there are none."""
        return _listed(self._others)

    def remarks(self) -> list[str]:
        """What was left out, and why."""
        partial = [path for path in self._others if is_partial(os.path.basename(path))]
        others = [path for path in self._others if not is_partial(os.path.basename(path))]
        remarks = list(self._remarks)
        if partial:
            remarks.append(f"Left out, being downloads that have not ended, or open in a program: {_listed(partial)}.")
        if others:
            remarks.append(f"Left out, being no data by their names: {_listed(others)}.")
        return remarks

    def _below(self, top: str, real_top: str) -> None:
        self._above |= _and_above(os.path.dirname(real_top))
        waiting = [(top, real_top)]
        while waiting:
            folder, real = waiting.pop()
            if real in self._folders:
                continue
            self._folders[real] = folder
            self.bounds.check(f"{real}/")
            listing = entries(folder, self.bounds)
            if kind := table_kind(folder, {entry.name for entry in listing}, self.said):
                self._table_of[folder] = folder
                self._take_table(folder, kind)
                continue
            self._plain.add(folder)
            for entry in listing:
                if is_hidden(entry.name):
                    continue
                if entry.is_symlink():
                    self._links.append(entry.path)
                elif entry.is_dir():
                    waiting.append((entry.path, f"{real}/{entry.name}"))
                elif entry.is_file():
                    self._file(entry.path, f"{real}/{entry.name}", entry.inode())

    def _file(self, path: str, real: str, inode: int) -> None:
        name = path.rpartition("/")[2]
        if file_format(name, self.formats) and not is_partial(name) and not is_document(name):
            if self._real.setdefault(real, path) == path:
                self.files[path] = inode
            else:
                self._remarks.append(f"{path} is the same file as {self._real[real]}, by a link: it is read once.")
        elif not name.lower().endswith(COMPANIONS):
            self._others.append(path)

    def _link(self, link: str) -> None:
        """Follow a link, or a path that leads through one, unless what it leads to is read anyway."""
        try:
            target = os.path.realpath(link, strict=True)
        except OSError:
            name = os.path.basename(link)
            if ending(name)[1:].isalpha() and not file_format(name, self.formats):
                self._others.append(link)
                return
            raise UserError(
                f"{self.said}and {link} is a link to {os.readlink(link)}, which is not there. "
                "Fetch it, or remove the link."
            ) from None
        self.bounds.check(target)
        if not os.path.isdir(target):
            self.bounds.check_kind(target)
            self._file(link if file_format(Path(link), self.formats) else target, target, 0)
        elif (here := self._folders.get(target, link)) != link:
            self._remarks.append(f"{link} is the same folder as {here}, by a link: it is read once.")
        elif target in self._above:
            self._remarks.append(f"{link} is a link to {target}, a folder that it lies in itself: not followed.")
        else:
            self._below(link, target)

    def _take_table(self, folder: str, kind: str) -> None:
        self.kind = kind
        self._current[folder] = current = current_files(folder, kind, self.said)
        self.files |= dict.fromkeys(current, 0)
        self.partitions |= current

    def _table(self, folder: str) -> str | None:
        """The table whose folder this is, or lies in."""
        above: list[str] = []
        while folder not in self._table_of:
            above.append(folder)
            if folder not in self._plain and (kind := table_kind(folder, None, self.said)):
                self._table_of[folder] = folder
                self._current[folder] = current_files(folder, kind, self.said)
                self.kind = kind
            elif (parent := os.path.dirname(folder)) == folder:
                self._table_of[folder] = None
            else:
                folder = parent
        self._table_of |= dict.fromkeys(above, self._table_of[folder])
        return self._table_of[folder]

    def _without_removed(self) -> None:
        """Leave out files that lie in the folder of a table, but not in its current version."""
        removed: dict[str, list[str]] = {}
        for path in [path for path in self.files if path not in self.partitions]:
            folder = path.rpartition("/")[0]
            table = self._table_of[folder] if folder in self._table_of else self._table(folder)
            if table:
                if path in self._current[table]:
                    self.partitions[path] = self._current[table][path]
                else:
                    del self.files[path]
                    removed.setdefault(table, []).append(path)
        for table, paths in removed.items():
            if not self.files:
                raise UserError(
                    f"{self.said}and the current version of the table {table} has no such file. Name the table's "
                    "folder, or copy the files elsewhere."
                )
            self._remarks.append(f"Left out, not being in the current version of the table {table}: {_listed(paths)}.")

    def _without_texts(self) -> None:
        """Leave out .txt beside other data: it tells of the data, as a rule."""
        texts = [path for path in self.files if ".txt" in path.lower()[-8:] and path not in self.partitions]
        if len(texts) < len(self.files):
            for path in texts:
                del self.files[path]
            self._others += texts


def _and_above(folder: str) -> set[str]:
    return {folder, *map(str, Path(folder).parents)}


def _listed(paths: Iterable[str]) -> str:
    names = sorted({os.path.basename(path) for path in paths})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
