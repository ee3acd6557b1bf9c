"""The home: the folder of all that runs make, its format, and where it was when it was last used."""

import json
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import locked, replace_file
from mora_pipeline.lake.relocation import former_place, relocate

FORMAT = 1
MARKER = "format.json"


def opened(home: Path, create: bool = False) -> Path:
    """The home itself, once its format is one that this software knows and nothing in it names another place.

    A home of before there were formats gets its marker; one that was moved or copied is made to name its new place.

    Args:
        create: make it if it is not there.

    Raises:
        UserError: if a newer version of this software made it, or its marker is damaged.
    """
    if not create and not home.is_dir():
        return home
    if _is_at_home(_marker(home), home):
        return home
    try:
        with locked(home / f".{MARKER}.lock"):
            marker = _marker(home)
            if not _is_at_home(marker, home):
                before = former_place(home) if marker is None else Path(marker["home"])
                if before is not None and before != home:
                    relocate(home, before)
                replace_file(home / MARKER, json.dumps({"format": FORMAT, "home": str(home)}, indent=2))
    except PermissionError:
        if create:
            raise
        # Who may only read a home reads its lake, which names no places.
    return home


def format_of(home: Path) -> int | None:
    """The format of a home; 0 of before there were formats, None if there is no home."""
    if not home.is_dir():
        return None
    return int((_marker(home) or {"format": 0})["format"])


def _is_at_home(marker: dict[str, Any] | None, home: Path) -> bool:
    """Whether a home's marker names the place where the home is; two mounts of one folder are the same place."""
    if marker is None:
        return False
    there = Path(marker["home"])
    return there == home or (there.is_dir() and there.samefile(home))


def _marker(home: Path) -> dict[str, Any] | None:
    """What a home says of its format and place; None of before there were formats.

    Raises:
        UserError: if it is damaged, or of a newer format.
    """
    file = home / MARKER
    try:
        marker = json.loads(file.read_text(encoding="utf-8"))
        number = marker["format"]
        if not isinstance(number, int) or not isinstance(marker["home"], str):
            raise ValueError("`format` must be a number and `home` a path")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged ({error}). Write into it: "
            f"{json.dumps({'format': FORMAT, 'home': str(home)})} — or put it back from a backup."
        ) from error
    if number > FORMAT:
        raise UserError(
            f"{home} has format {number}, which a newer version of mora-pipeline made; this one knows formats up to "
            f"{FORMAT}. Install the newer version, or choose another folder by MORA_HOME."
        )
    if number < 1:
        raise UserError(f"{file} names format {number}; formats begin with 1. Put it back from a backup.")
    return dict(marker)
