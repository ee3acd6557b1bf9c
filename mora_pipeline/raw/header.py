"""Where the header of a table is, among remarks before it."""

import re
from collections import Counter
from collections.abc import Collection

from mora_pipeline.raw.csv_text import LINE_END

SEPARATORS = (",", ";", "\t", "|")
MOST_REMARKS = 100  # records before the header
FITTING_SHARE = 0.9  # of the records, that must have as many values as the header
_NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:[.,][0-9]+)?\s*")


def remark_lines(text: str) -> int:
    """Leading lines that begin with #, except one that is the header of what follows."""
    lines = LINE_END.split(text[: 1 << 16])
    remarks = 0
    while remarks < len(lines) and lines[remarks].lstrip().startswith("#"):
        remarks += 1
    if not remarks or remarks >= len(lines):
        return 0
    last, following = lines[remarks - 1], lines[remarks : remarks + 5]
    for separator in SEPARATORS:
        widths = {line.count(separator) for line in [last, *filter(None, following)]}
        names = last.split(separator)
        if len(names) > 1 and len(widths) == 1 and looks_like_data(following[0].split(separator), []):
            return remarks - 1
    return remarks


def header_position(records: list[tuple[str, ...]], numbers: Collection[str]) -> int:
    """Where the header is: the first record of the usual width that is more than a title in a padded row."""
    usual = _usual_width([len(record) for record in records])
    candidates = [at for at, record in enumerate(records[:MOST_REMARKS]) if len(record) == usual]
    for at in candidates:
        if numbers and set(numbers) <= {name.strip() for name in records[at]}:
            return at
    for at in candidates:
        if 2 * sum(bool(name.strip()) for name in records[at]) > usual:
            return at
    return candidates[0] if candidates else len(records)


def _usual_width(widths: list[int]) -> int:
    """The width, more than 1 if there is one, that most records have from one of the first records on."""
    left = Counter(widths)
    for at, width in enumerate(widths[:MOST_REMARKS]):
        rows, misfits = left[width] - 1, len(widths) - at - left[width]
        if width > 1 and is_few(misfits, rows) and 2 * rows >= at:
            return width
        left[width] -= 1
    return widths[0] if widths else 0


def is_few(misfits: int, rows: int) -> bool:
    return not misfits or (misfits < rows and misfits <= max(1, (1 - FITTING_SHARE) * (rows + misfits)))


def looks_like_data(record: Collection[str], rows: Collection[tuple[str, ...]]) -> bool:
    """Whether a record holds numbers, other than years, in every column in which `rows` do."""
    cells = list(record)
    numeric = [
        column
        for column in range(len(cells))
        if not rows or sum(bool(_NUMBER.fullmatch(row[column])) for row in rows) > 0.8 * len(rows)
    ]
    found = [cells[column] for column in numeric if _NUMBER.fullmatch(cells[column])]
    years = all(cell.strip().isdigit() and 1800 <= int(cell) <= 2200 for cell in found)
    return bool(found) and not (years and len(set(found)) == len(found)) and (not rows or len(found) == len(numeric))
