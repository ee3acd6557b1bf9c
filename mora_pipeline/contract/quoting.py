"""How messages show what is not ours: raw values by their shape, and names that a terminal or a log cannot print."""

_LONGEST = 24  # characters of a shape
_REPEATED = 4  # of one kind in a row, that a shape writes out


def shape_of(value: object) -> str:
    """What a raw value looks like, without what it says: ``9`` for a digit, ``a`` for a letter, marks as they are.

    A value of a raw file may be a person's: messages, logs and events tell how it is written and where it stands,
    and never what it is. ``40.7128`` is ``99.9999``, ``Ada Lovelace`` is ``aaa aaaa…``.
    """
    if value is None:
        return "nothing"
    shape = "".join(map(_kind, str(value)[: 8 * _LONGEST]))
    short: list[str] = []
    for letter in shape:
        if letter not in "9a" or short[-_REPEATED:] != [letter] * _REPEATED:
            short.append(letter)
    text = "".join(short)
    cut = len(text) > _LONGEST or len(str(value)) > 8 * _LONGEST
    more = cut or len(short) < len(shape)
    return f"'{text[:_LONGEST]}{'…' if more else ''}'"


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
