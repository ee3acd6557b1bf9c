"""The words of an expression, and the limits that keep it small."""

import re
from dataclasses import dataclass
from typing import NoReturn

from mora_pipeline.contract.errors import UserError

LONGEST, DEEPEST, MOST_STEPS = 2000, 50, 200  # characters, parentheses one in another, operations one in another
SHOWN = 120  # characters of an expression in a message
KEYWORDS = frozenset({"and", "or", "not", "is", "in", "between", "like", "null", "true", "false"})
TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<name>[^\W\d]\w*)
    | '(?P<text>(?:[^']|'')*)'
    | `(?P<ticked>(?:[^`]|``)+)`
    | "(?P<quoted>(?:[^"]|"")+)"
    | (?P<sign>\|\||==|!=|<>|<=|>=|[-+*/%=<>().,\[\]])
    )""",
    re.VERBOSE,
)
QUOTES = {"text": "'", "ticked": "`", "quoted": '"'}
HINTS = {
    "&": "Say and.", "|": "Say or; || puts texts together.", "!": "Say not, or != between values.",
    "'": "A text opens here and does not end.", '"': "A name opens here and does not end.",
    "`": "A name opens here and does not end.", ":": "Say number(x), integer(x) or text(x) to convert.",
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """``kind``: number, text, name (``plain`` if not in quotes), word (a keyword), sign, end."""

    kind: str
    value: str
    at: int
    plain: bool = False

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.value}'"


def refuse(text: str, at: int, message: str) -> NoReturn:
    """Refuse an expression for what stands at a place of it, counted from 0."""
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    raise UserError(f"'{shown}', position {at + 1}: {message}")


def tokens_of(text: str) -> list[Token]:
    """The tokens of an expression, and an end.

    Raises:
        UserError: if it is too long or holds a character that no expression has.
    """
    if len(text) > LONGEST:
        raise UserError(f"'{text[:40]}…' has {len(text):,} characters; an expression has at most {LONGEST:,}.")
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            refuse(text, at, f"{text[at]!r} is not expected here. {HINTS.get(text[at], '')}".rstrip())
        found.append(_token(match))
        at = match.end()
    return [*found, Token("end", "", end)]


def _token(match: re.Match[str]) -> Token:
    kind = match.lastgroup or ""
    value, at = match[kind], match.start(kind)
    if kind in QUOTES:
        at, value = at - 1, value.replace(QUOTES[kind] * 2, QUOTES[kind])
        return Token("text" if kind == "text" else "name", value, at)
    if kind == "name" and value.lower() in KEYWORDS:
        return Token("word", value.lower(), at, plain=True)
    return Token(kind, value, at, plain=kind == "name")
