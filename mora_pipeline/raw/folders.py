"""From a path in region.yaml to data files: a file, a folder or a glob, links and copies counted once."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.contract.quoting import printable
from mora_pipeline.raw.copies import in_order, without_copies
from mora_pipeline.raw.formats import FORMATS, IMAGE_FORMATS, file_format, fix, known, named
from mora_pipeline.raw.globs import expand, in_any_case
from mora_pipeline.raw.path_columns import folder_columns, name_columns
from mora_pipeline.raw.roots import Bounds
from mora_pipeline.raw.walk import Walk

_NEARBY = 10_000  # names in a folder, among which the one that was meant is looked for
_REMARKS = 20  # that are made of one path; each may be of a file

__all__ = ["Found", "find_files", "folder_columns", "name_columns", "without_dots"]


@dataclass(frozen=True)
class Found:
    """What a path of region.yaml names.

    Attributes:
        files: absolute, without '..', sorted; each once.
        remarks: plain sentences about what was left out or looks odd.
        kind: ``files``, ``delta`` or ``iceberg``.
        columns: of the files of a Delta or Iceberg table, the partition columns as its log has them.
    """

    files: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    kind: str = "files"
    columns: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)


def find_files(base: Path, pattern: str, where: str, formats: Mapping[str, str] = FORMATS) -> Found:
    """The data files that `pattern` (a file, a folder or a glob, relative to `base`) names.

    A folder is searched through all its levels, linked folders as well; a glob that matches a folder takes what is
    below it. Names that start with ``_`` or ``.`` are left out, as Spark does; so are files of other formats, with a
    remark. Of a Delta or Iceberg table the files of its current version are taken.

    Args:
        where: start of the message if something is wrong, such as ``region.yaml: mobility.path ``.
        formats: the endings that count, and the format that each means.

    Raises:
        UserError: if there are none, if formats are mixed, if a link leads nowhere, if a file is there both plain and
            compressed, if a table cannot be read, if a file lies outside of the region's roots
            (`mora_pipeline.raw.roots`), if the search takes too long.
    """
    if "://" in pattern:
        raise UserError(
            f"{where}is '{pattern}', an address; a region takes files. Mount the store as a folder. (The Spark jobs "
            "read such addresses where they are started by hand: docs/operations.md.)"
        )
    said, path = f"{where}is '{pattern}', ", base / pattern
    bounds = Bounds.of(base, said)
    walk = Walk(bounds, formats)
    try:
        if not glob.has_magic(pattern) or path.exists():
            bounds.check(os.path.realpath(path))
        is_file, is_folder = path.is_file(), path.is_dir()
    except PermissionError as error:
        raise UserError(f"{said}and {path} cannot be read: {error.strerror}. Give access to it.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{where}is '{printable(pattern[:80])}', which is no path: {reason}. Fix it.") from None
    if is_file:
        if file_format(path, formats) is None:
            raise UserError(f"{said}and {path.name} is not a {known(formats)}. {fix(path.name)}.")
        walk.take(str(without_dots(path)))
    elif is_folder:
        walk.add([str(path.resolve())])
    elif glob.has_magic(pattern):
        walk.add(expand(base, pattern, bounds))
    else:
        bounds.check_kind(str(path))
        raise UserError(_missing(said, path))
    loose = {item: inode for item, inode in walk.files.items() if item not in walk.partitions}
    pictures = formats is IMAGE_FORMATS  # the same pixels twice are no row twice
    files, remarks = (list(loose), list[str]()) if pictures else without_copies(loose, said)
    for item in files:
        if item not in loose:  # where a link that is written as text leads
            bounds.check(os.path.realpath(item))
    files = in_order([*files, *walk.partitions])  # a table may hold the same rows twice
    if not files:
        raise UserError(_nothing(said, base, pattern, walk))
    kinds = {file_format(os.path.basename(item), formats) or "parquet" for item in files}
    if len(kinds) > 1:
        both = "both " if len(kinds) == 2 else ""
        raise UserError(f"{said}which has {both}{named(kinds)} files. Keep one format, or write a glob.")
    columns = {Path(item): values for item, values in walk.partitions.items() if values}
    return Found(tuple(map(Path, files)), _shortened([*walk.remarks(), *remarks]), walk.kind, columns)


def without_dots(file: Path) -> Path:
    """A file's absolute path without '..', as Spark names the source of a row."""
    return file.parent.resolve() / file.name


def _shortened(remarks: list[str]) -> tuple[str, ...]:
    more = len(remarks) - _REMARKS
    return (*remarks[:_REMARKS], *([f"{more} more remarks of such files."] if more > 0 else []))


def _missing(said: str, path: Path) -> str:
    if path.is_symlink():
        return f"{said}a link to {path.readlink()}, which is not there. Fetch it, or fix the link."
    near = did_you_mean(path.name, [item.name for item in islice(path.parent.glob("*"), _NEARBY)])
    return f"{said}but there is no {path}.{near or ' Fix the path or the root.'}"


def _nothing(said: str, base: Path, pattern: str, walk: Walk) -> str:
    path, there, needed = base / pattern, walk.passed_over(), known(walk.formats)
    if path.is_dir():
        holds = f" holds only {there}" if there else ""
        return f"{said}a folder without a {needed}: {path}{holds}. Put the data there."
    if there:
        return f"{said}which matches {there}, but no {needed}. Convert them, or fix the pattern."
    other = next(expand(base, in_any_case(pattern)), None) if glob.has_magic(pattern) else None
    hint = f"There is {other}, but upper and lower case differ." if other else "Fix the pattern or the root."
    return f"{said}which matches no file under {base}. {hint}"
