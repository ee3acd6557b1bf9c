"""How messages show what is not ours: raw values by their shape, and names that a terminal or a log cannot print."""

import re
import traceback

_LONGEST = 24  # characters of a shape
_REPEATED = 12  # of one kind in a row, that a shape writes out


def shape(value: object) -> str:
    """What a raw value looks like, without what it says: ``9`` for a digit, ``a`` for a letter, marks as they are.

    A value of a raw file may be a person's: messages, logs and events tell how it is written and where it stands,
    and never what it is. ``40.7128`` is ``99.9999``, ``Ada Lovelace`` is ``aaa aaaaaaaa``.
    """
    text = str(value)
    short: list[str] = []
    for letter in map(_kind, text[: 8 * _LONGEST]):
        if letter not in "9a" or short[-_REPEATED:] != [letter] * _REPEATED:
            short.append(letter)
    whole = len(short) == len(text) <= _LONGEST
    return "".join(short[:_LONGEST]) + ("" if whole else "…")


def shape_of(value: object) -> str:
    """As `shape`, in quotes."""
    return f"'{shape(value)}'"


def _kind(letter: str) -> str:
    if letter.isdigit():
        return "9"
    if letter.isalpha():
        return "a"
    return letter if letter.isascii() and letter.isprintable() else "?"


def printable(text: str) -> str:
    """A text on one line that any log, terminal and database takes: what cannot be printed is escaped.

    Names of files may hold line breaks, codes that move a terminal's cursor, and bytes that are no UTF-8.
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def printable_lines(text: str) -> str:
    """As `printable`, with the line breaks of a message of several lines kept."""
    return "\n".join(map(printable, text.split("\n")))


_QUOTED = re.compile(r"(?<![\w])(['\"])(.*?)\1(?!\w)", re.DOTALL)
_ROW_OF_CSV = re.compile(r"(Expected \d+ columns, got \d+).*", re.DOTALL)


def scrubbed(text: str) -> str:
    """What a library says of a value that it cannot read, with the shape of each text that it quotes."""
    text = _ROW_OF_CSV.sub(r"\1", text)
    return _QUOTED.sub(lambda quoted: f"{quoted[1]}{shape(quoted[2])}{quoted[1]}", text)


def without_values(error: BaseException) -> str:
    """What is told of an error whose text may quote a row: its kind, and where in the code it happened."""
    place, frames = "", traceback.extract_tb(error.__traceback__)
    if frames:
        place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}, in {frames[-1].name}"
    return f"{type(error).__name__}{place} (what it says is left out, as it may quote a row)"
