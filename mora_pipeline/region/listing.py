"""A listing of raw files that the user keeps: what is there, and what tells that a file has changed."""

import csv
from collections.abc import Sequence
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.globs import real_path
from mora_pipeline.raw.roots import checked_path


def read_listing(path: Path, where: str) -> dict[str, str]:
    """The files of a listing, and what its other columns say of each.

    Args:
        path: a CSV with a column ``path``, a row a file.
        where: start of the messages, such as ``region.yaml: mobility.window.listing is 'files.csv', ``.

    Raises:
        UserError: if it cannot be read, or names no path, none in a row, or one twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}which cannot be read as CSV in UTF-8: {error}.") from None
    if not rows or "path" not in rows[0]:
        raise UserError(f"{where}but it lists no file: it needs a column path, and a row a file.")
    listed: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        name = row.pop("path")
        if not name:
            raise UserError(f"{where}and its row {number} names no path. Fix it.")
        if name in listed:
            raise UserError(f"{where}and names {name} twice. Keep one row of it.")
        listed[name] = str(sorted(map(str, row.items())))
    return listed


def listed_files(base: Path, path: str, files: Sequence[Path], where: str) -> dict[Path, str]:
    """Those of the files that a listing names, and what it says of each: another text is a changed file.

    Args:
        base: the folder that relative paths start from.
        path: of the listing.
        files: those that exist; one that is not listed (yet) is left out.
        where: start of the messages, such as ``region.yaml: mobility.window.listing ``.

    Raises:
        UserError: as `read_listing`, or if a file that is named is not there.
    """
    listing, where = checked_path(base, path, where), f"{where}is '{path}', "
    folders: dict[str, str] = {}
    listed = {real_path(str(base / name), folders): text for name, text in read_listing(listing, where).items()}
    found = {file: real_path(str(file), folders) for file in files}
    missing = sorted(listed.keys() - set(found.values()))
    if missing:
        raise UserError(f"{where}which names {missing[0]}, but mobility.path finds no such file. Fetch it.")
    return {file: listed[real] for file, real in found.items() if real in listed}
