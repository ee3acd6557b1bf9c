"""Regular expressions of users: RE2's, which takes time in proportion to the text whatever the pattern."""

import re

import pyarrow as pa
import pyarrow.compute as pc

GROUP = re.compile(r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\((?!\?)|\(\?P?<\w+>", re.DOTALL)


def _named(pattern: str) -> tuple[str, int]:
    """A pattern with its groups named g1, g2, … in a group g0, and the number of groups."""
    count = 0

    def name(match: re.Match[str]) -> str:
        nonlocal count
        if not match[0].startswith("("):
            return match[0]
        count += 1
        return f"(?P<g{count}>"

    named = GROUP.sub(name, pattern)
    return f"(?P<g0>{named})", count


def extract(values: pa.Array, pattern: str, group: int | None = None) -> pa.Array:
    """What a pattern finds first in each text: its first group, the one given, or all of it (0, or without groups).

    Null where it is not found.
    """
    named, count = _named(pattern)
    found = pc.extract_regex(values, named)
    return pc.struct_field(found, f"g{min(count, 1) if group is None else group}")


def fault(pattern: str, group: int | None = None) -> str | None:
    """What is wrong with a pattern, if anything is."""
    named, count = _named(pattern)
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
        pc.extract_regex(pa.array([""]), named)
    except pa.ArrowInvalid as error:
        return f"a pattern of RE2 ({str(error).removeprefix('Invalid regular expression: ').splitlines()[0]})"
    if group is not None and not 0 <= group <= count:
        return f"a group of the pattern: there is no group {group}, there are {count}"
    return None
