"""From a path in region.yaml to data files: CSV, gzipped CSV and Parquet."""

import glob
from collections.abc import Iterator
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean

FORMATS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
IMAGE_FORMATS = {".tif": "geotiff", ".tiff": "geotiff"}


def data_files(base: Path, pattern: str, where: str, formats: dict[str, str] = FORMATS) -> list[Path]:
    """The files that `pattern` (a file, a folder or a glob, relative to `base`) names; absolute, sorted.

    Names that start with ``_`` or ``.`` are left out of folders and globs, as Spark does.

    Args:
        where: start of the message if something is wrong, such as ``region.yaml: mobility.path ``.

    Raises:
        UserError: if there are none, if one has an unknown format, if formats are mixed.
    """
    if "://" in pattern:
        raise UserError(
            f"{where}is '{pattern}', an address; a region takes files. Mount the store as a folder. (The Spark jobs "
            "read such addresses where they are started by hand: docs/operations.md.)"
        )
    path, known = base / pattern, " or ".join(formats)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [item for item in path.rglob("*") if _visible(item, path) and file_format(item, formats)]
        if not files:
            raise UserError(f"{where}is '{pattern}', a folder without {known} files: {path}. Put the data there.")
    elif glob.has_magic(pattern):
        files = [item for item in matches(base, pattern) if _visible(item, base)]
        if not files:
            raise UserError(f"{where}is '{pattern}', which matches no file under {base}. Fix the pattern or the root.")
    else:
        near = did_you_mean(path.name, [item.name for item in path.parent.glob("*")])
        raise UserError(f"{where}is '{pattern}', but there is no {path}.{near or ' Fix the path or the root.'}")
    for item in files:
        if file_format(item, formats) is None:
            raise UserError(
                f"{where}is '{pattern}', and {item.name} is not a {known} file. Convert it or leave it out."
            )
    if len({file_format(item, formats) for item in files}) > 1:
        raise UserError(
            f"{where}is '{pattern}', which has both CSV and Parquet files. Keep one format, or write a glob."
        )
    return sorted(without_dots(Path(item)) for item in files)


def without_dots(file: Path) -> Path:
    """A file's absolute path without '..', as Spark names the source of a row."""
    return file.parent.resolve() / file.name


def matches(base: Path, pattern: str) -> Iterator[Path]:
    """What a glob, relative to `base` or absolute, matches; special characters in `base` have no meaning."""
    absolute = Path(pattern)
    if not absolute.is_absolute():
        return base.glob(pattern)
    return Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))


def file_format(path: Path, formats: dict[str, str] = FORMATS) -> str | None:
    """`csv`, `parquet` or `geotiff` by the file's ending; None for any other."""
    return next((name for ending, name in formats.items() if path.name.lower().endswith(ending)), None)


def _visible(path: Path, below: Path) -> bool:
    parts = path.relative_to(below).parts if path.is_relative_to(below) else path.parts[-1:]
    return path.is_file() and not any(part.startswith(("_", ".")) for part in parts if part != "..")
