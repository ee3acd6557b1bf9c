"""``time_format``: how a region.yaml says that its times are written, as strptime has it or by name."""

import re
from functools import lru_cache

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.written_times import DAY, MONTHS, OFFSET, PLACE, Form

UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0.001, "epoch_days": DAY}  # microseconds
NAMED = (*UNITS, "excel_days")
_LONG_MONTHS = "january|february|march|april|june|july|august|september|sept|october|november|december"
_MONTH = rf"(?i:{_LONG_MONTHS}|{'|'.join(MONTHS)})"
# Of each directive: what it stands for (two that stand for the same exclude one another), how it is written, and how
# many digits it has where digits stand beside it.
DIRECTIVES = {
    "Y": ("year", r"\d{4}", 4), "y": ("year", r"\d{2}", 2), "m": ("month", r"\d{1,2}", 2), "b": ("month", _MONTH, 0),
    "d": ("day", r"\d{1,2}", 2), "j": ("day of the year", r"\d{1,3}", 3), "H": ("hour", r"\d{1,2}", 2),
    "I": ("hour", r"\d{1,2}", 2), "M": ("minute", r"\d{1,2}", 2), "S": ("second", r"\d{1,2}", 2),
    "f": ("fraction", r"\d+", 6), "p": ("half of the day", "[AaPp]", 0), "a": ("weekday", r"[A-Za-z]+", 0),
    "z": ("zone", "", 0), "Z": ("zone", "", 0),
}  # fmt: skip
WHOLE = {  # directives that are more than one group
    "b": rf"(?P<b>{_MONTH})\.?",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "a": r"[A-Za-z]+\.?",
    "z": rf"(?:(?P<zn>[Zz]|(?i:utc|gmt))|(?i:utc|gmt)?{OFFSET})",
    "Z": rf"(?P<zn>[Zz]|(?i:utc|gmt)|{PLACE})",
}
ALIASES = {"B": "%b", "h": "%b", "e": "%d", "A": "%a", "T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y"}
DATES = ({"year", "month", "day"}, {"year", "day of the year"})
COARSER = {"minute": "hour", "second": "minute", "fraction": "second"}
FOREIGN = {"yyyy": "%Y", "YYYY": "%Y", "MM": "%m", "dd": "%d", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
SPACE = "(?:\\s|\u00a0|\u202f)+"  # browsers write a narrow one before PM
_PIECE = re.compile(r"%(.?)|\s+|[^%\s]", re.DOTALL)


def checked_time_format(text: str) -> str:
    """The format itself, if it says a full date.

    Raises:
        UserError: if it has an unknown directive, one twice, or no day.
    """
    if text not in NAMED:
        form_of(text)
    return text


@lru_cache(64)
def form_of(text: str) -> Form:
    """The form of a format as strptime has it.

    Raises:
        UserError: as `checked_time_format`.
    """
    pieces = _pieces(text)
    _check(text, [letter for letter, _ in pieces if letter])
    widths = [DIRECTIVES[letter][2] if letter else int(literal.isdigit()) for letter, literal in pieces]
    beside = zip([0, *widths[:-1]], [*widths[1:], 0], strict=True)
    pattern = "".join(
        _written(letter, literal, before, after)
        for (letter, literal), (before, after) in zip(pieces, beside, strict=True)
    )
    return Form(pattern, sum(widths) if all(widths) else 0)


def _written(letter: str, literal: str, before: int, after: int) -> str:
    """A piece as RE2 has it, with the number of digits that stand before and after."""
    if not letter:
        return SPACE if literal.isspace() else re.escape(literal)
    if letter in WHOLE:
        return WHOLE[letter]
    _, digits, width = DIRECTIVES[letter]
    if after or (before and letter != "f"):
        digits = rf"\d{{{width}}}"
    return f"(?P<{letter}>{digits})"


def _pieces(text: str) -> list[tuple[str, str]]:
    """The directives (their letters) and what stands between them."""
    if "%" not in text:
        instead = text
        for foreign, ours in FOREIGN.items():
            instead = instead.replace(foreign, ours)
        hint = f" Say {instead}." if instead != text else ""
        raise UserError(f"time_format is '{text}': say it as in %d/%m/%Y %H:%M, or {', '.join(NAMED)}.{hint}")
    pieces: list[tuple[str, str]] = []
    for match in _PIECE.finditer(text.strip()):
        letter = match[1]
        if letter is None or letter == "%":
            pieces.append(("", match[0][-1:] if letter else match[0]))
        elif letter in ALIASES:
            pieces += _pieces(ALIASES[letter])
        elif letter in DIRECTIVES:
            pieces.append((letter, match[0]))
        else:
            known = ", ".join(f"%{each}" for each in [*DIRECTIVES, *ALIASES])
            hint = " Say epoch_s for seconds since 1970." if letter == "s" else ""
            raise UserError(f"time_format is '{text}': '%{letter}' is unknown. There are {known}.{hint}")
    return pieces


def _check(text: str, letters: list[str]) -> None:
    """Refuse what cannot be a moment, or is a slip."""
    meanings = [DIRECTIVES[letter][0] for letter in letters]
    problem = None
    twice = next((each for place, each in enumerate(meanings) if each in meanings[:place]), None)
    lacking = [each for each in ("year", "month", "day") if each not in meanings]
    coarser = next((each for each in meanings if COARSER.get(each, each) not in meanings), None)
    if twice:
        problem = f"it has the {twice} twice (%m is the month, %M the minute)"
    elif not any(date <= set(meanings) for date in DATES):
        problem = f"it lacks the {' and the '.join(lacking)}, and a moment needs a full date"
    elif "day of the year" in meanings and {"month", "day"} & set(meanings):
        problem = "the day of the year (%j) excludes the month and the day"
    elif ("I" in letters) != ("p" in letters):
        problem = "%I (hours up to 12) and %p (AM, PM) go together; %H are hours up to 23"
    elif coarser:
        problem = f"it has the {coarser} but not the {COARSER[coarser]}"
    if problem:
        raise UserError(f"time_format is '{text}': {problem}.")
