"""How the lines of a text fall into records and values: the one reading that fits, or a refusal that shows several."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mora_pipeline.contract.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
NAMES = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
_FITTING_SHARE = 0.9  # of the records, that must have as many values as the header
_MOST_REMARKS = 100  # records before the header
_MOST_OPEN_LINES = 100  # of a record that the end of the sample cuts
_NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:[.,][0-9]+)?\s*")
_NULL = re.compile(r"""(?<![^,;|\s"'])\\N(?![^,;|\s"'])""")  # a whole value: how databases write that there is none
_LINE_END = re.compile(r"\r\n|\n|\r")
csv.field_size_limit(1 << 26)


Record = tuple[int, int, tuple[str, ...]]  # first line, last line, values


@dataclass(frozen=True)
class Layout:
    """A reading of a sample: ``header`` and ``rows`` (those of the header's width), ``skip_lines`` before the header.

    ``misfits``: records of another width; ``fault``: where the quotes do not fit, as line and reason.
    """

    separator: str
    quote: str
    escape: str
    skip_lines: int = 0
    multiline: bool = False
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    misfits: int = 0
    fault: tuple[int, str] | None = None

    @property
    def fits(self) -> bool:
        return self.fault is None and bool(self.header) and _is_few(self.misfits, len(self.rows))

    @property
    def content(self) -> tuple[object, ...]:
        return self.skip_lines, self.header, self.rows

    def describe(self, row: int = 0) -> str:
        """Marks, header and one row, for a message that shows readings side by side."""
        quote = f", quoted by {self.quote}" if self.quote not in ('"', "") else ""
        escape = f", with {self.escape} before quotes" if self.escape else ""
        first = f", then {list(self.rows[row])}" if row < len(self.rows) else ""
        name = NAMES.get(self.separator, repr(self.separator))
        return f"separator {name}{quote}{escape}: columns {list(self.header)}{first}"


def find_layout(text: str, whole: bool, declared: Mapping[str, Any], numbers: Collection[str]) -> Layout:
    """The one layout that fits a text.

    Args:
        text: whole lines, from the begin of a file.
        whole: whether the file ends with them.
        declared: ``separator``, ``quote``, ``escape``, ``skip_lines`` and ``multiline`` hold where they are there.
        numbers: columns that the header must have.

    Raises:
        UserError: if none fits, or several do.
    """
    tried = [_read(text, whole, layout, declared, numbers) for layout in _possible(text, declared)]
    fitting = [layout for layout in tried if layout.fits]
    if "separator" not in declared:
        one_column = [layout for layout in fitting if len(layout.header) == 1 and not layout.misfits]
        fitting = [layout for layout in fitting if len(layout.header) > 1]
        if not fitting and len(one_column) == len(tried):
            fitting = one_column[:1]
    if not fitting:
        raise UserError(_unfitting(tried, declared))
    named = [layout for layout in fitting if numbers and set(numbers) <= set(layout.header)]
    fitting = named or fitting
    first = min(layout.skip_lines for layout in fitting)
    fitting = _without_weaker_quotes([layout for layout in fitting if layout.skip_lines == first])
    different = {layout.content: layout for layout in reversed(fitting)}
    if len(different) > 1:
        rows = zip(*(layout.rows for layout in different.values()), strict=False)
        row = next((row for row, texts in enumerate(rows) if len(set(texts)) > 1), 0)
        readings = "; or ".join(layout.describe(row) for layout in reversed(different.values()))
        marks = ("separator", "quote", "escape")
        keys = " or ".join(key for key in marks if len({getattr(layout, key) for layout in fitting}) > 1)
        raise UserError(f"can be read in several ways: {readings}. Declare csv: {{{keys}: …}}.")
    if "quote" not in declared and _is_doubtful(fitting[0], tried):
        raise UserError(
            f"seems to be quoted by single quotes, but some values begin with double ones: {fitting[0].describe()}. "
            "Declare csv: {quote: …}."
        )
    _check_header(fitting[0], text, declared)
    return fitting[0]


def _is_doubtful(layout: Layout, tried: Collection[Layout]) -> bool:
    """Single quotes in a file in which double ones only fail to fit."""
    if layout.quote != "'" or any(_is_variant(layout, plain) and plain.fits for plain in tried):
        return False
    return any(cell.startswith('"') for cell in _cells(layout))


def _possible(text: str, declared: Mapping[str, Any]) -> Iterator[Layout]:
    """The layouts worth trying, the most usual first."""
    separators = [declared["separator"]] if "separator" in declared else [mark for mark in SEPARATORS if mark in text]
    starts = "".join(map(re.escape, separators))
    quotes = ['"', "'"] if re.search(rf"(?:^|[\n\r{starts}])'", text) else ['"']
    escapes = ["", "\\"] if "\\" in _NULL.sub("", text) else [""]
    for separator in separators or [","]:
        for quote in [declared["quote"]] if "quote" in declared else quotes:
            for escape in [declared["escape"]] if "escape" in declared else escapes:
                yield Layout(separator, quote, escape)


def _read(text: str, whole: bool, layout: Layout, declared: Mapping[str, Any], numbers: Collection[str]) -> Layout:
    skipped = declared.get("skip_lines")
    if skipped is None:
        skipped = _remark_lines(text)
    body = text[_position_after(text, skipped) :]
    records, fault = _records(body, whole, layout)
    if fault:
        return replace(layout, skip_lines=skipped, fault=(skipped + fault[0], fault[1]))
    start = 0 if "skip_lines" in declared else _header_at([values for _, _, values in records], numbers)
    if start >= len(records):
        return replace(layout, skip_lines=skipped)
    line, _, header = records[start]
    found = replace(layout, skip_lines=skipped if "skip_lines" in declared else skipped + line - 1)
    after = records[start + 1 :]
    rows = tuple(values for _, _, values in after if len(values) == len(header))
    broken = any(last > first for first, last, _ in after)
    return replace(
        found,
        header=tuple(name.strip() for name in header),
        rows=rows,
        misfits=len(after) - len(rows),
        multiline=broken,
        fault=_broken_line(after, skipped) if broken and declared.get("multiline") is False else None,
    )


def _records(text: str, whole: bool, layout: Layout) -> tuple[list[Record], tuple[int, str] | None]:
    """Records that are not empty, each with its first and last line from 1; and the first that is not well quoted."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=layout.separator,
        quotechar=layout.quote or None,
        escapechar=layout.escape or None,
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
        strict=True,
    )
    records, line = [], 0
    try:
        for values in reader:
            if values:
                records.append((line + 1, reader.line_num, tuple(values)))
            line = reader.line_num
    except csv.Error as error:
        is_cut = not whole and "unexpected end" in str(error) and reader.line_num - line < _MOST_OPEN_LINES
        if not is_cut:
            return records, (line + 1, str(error))
    return records, None


def _remark_lines(text: str) -> int:
    """Leading lines that begin with #, except one that is the header of what follows."""
    lines = _LINE_END.split(text[: 1 << 16])
    remarks = 0
    while remarks < len(lines) and lines[remarks].lstrip().startswith("#"):
        remarks += 1
    if not remarks or remarks >= len(lines):
        return 0
    last, following = lines[remarks - 1], lines[remarks : remarks + 5]
    for separator in SEPARATORS:
        widths = {line.count(separator) for line in [last, *filter(None, following)]}
        names = last.split(separator)
        if len(names) > 1 and len(widths) == 1 and _looks_like_data(following[0].split(separator), []):
            return remarks - 1
    return remarks


def _position_after(text: str, lines: int) -> int:
    position = 0
    for _ in range(lines):
        found = _LINE_END.search(text, position)
        if not found:
            return len(text)
        position = found.end()
    return position


def _header_at(records: list[tuple[str, ...]], numbers: Collection[str]) -> int:
    """Where the header is: the first record of the usual width that is more than a title in a padded row."""
    usual = _usual_width([len(record) for record in records])
    candidates = [at for at, record in enumerate(records[:_MOST_REMARKS]) if len(record) == usual]
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
    for at, width in enumerate(widths[:_MOST_REMARKS]):
        rows, misfits = left[width] - 1, len(widths) - at - left[width]
        if width > 1 and _is_few(misfits, rows) and 2 * rows >= at:
            return width
        left[width] -= 1
    return widths[0] if widths else 0


def _is_few(misfits: int, rows: int) -> bool:
    return not misfits or (misfits < rows and misfits <= max(1, (1 - _FITTING_SHARE) * (rows + misfits)))


def _looks_like_data(record: Collection[str], rows: Collection[tuple[str, ...]]) -> bool:
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


def _check_header(layout: Layout, text: str, declared: Mapping[str, Any]) -> None:
    """Refuse a header that is the first row below a header of another width."""
    if "skip_lines" in declared or not layout.skip_lines:
        return
    last_empty = bool(layout.rows) and all(not row[-1] for row in layout.rows) and not layout.header[-1]
    before = text[: _position_after(text, layout.skip_lines)].rstrip("\r\n")
    line = _LINE_END.split(before)[-1]
    if _looks_like_data(layout.header, layout.rows[:100]) or (
        last_empty and line.count(layout.separator) + 2 == len(layout.header)
    ):
        raise UserError(
            f"line {layout.skip_lines} ('{line[:80]}') has another number of columns than the following lines, which "
            f"have {len(layout.header)}. Correct the header, or declare csv: {{skip_lines: …}}."
        )


def _without_weaker_quotes(fitting: list[Layout]) -> list[Layout]:
    """Decide between the usual dialect and its variants where the sample speaks clearly."""
    kept = []
    for layout in fitting:
        plain = next((other for other in fitting if _is_variant(layout, other)), None)
        if plain is None or not _is_refuted(layout, plain):
            kept.append(layout)
    return [
        layout for layout in kept if not any(_is_variant(other, layout) and _is_proven(other, layout) for other in kept)
    ]


def _is_variant(layout: Layout, plain: Layout) -> bool:
    """Whether `layout` is `plain` but for one unusual mark."""
    return layout.separator == plain.separator and (
        (layout.escape == plain.escape and layout.quote == "'" and plain.quote == '"')
        or (layout.quote == plain.quote and layout.escape != "" and plain.escape == "")
    )


def _cells(layout: Layout) -> Iterator[str]:
    yield from layout.header
    for row in layout.rows:
        yield from row


def _is_refuted(layout: Layout, plain: Layout) -> bool:
    """Whether nobody who writes in `layout` would have written this."""
    if layout.misfits < plain.misfits:
        return False
    if layout.escape != plain.escape:
        return any(re.search(r"\\[^\\\"'\s,;|]", cell.replace("\\\\", "")) and cell != "\\N" for cell in _cells(plain))
    wrapped = [_is_wrapped(column) for column in zip(plain.header, *plain.rows, strict=True)]
    doubled = any(_is_wrapped([cell]) and "''" in cell[1:-1] for cell in _cells(plain))
    return not any(wrapped) and not any(map(_is_wrapped, zip(*plain.rows, strict=True))) and not doubled


def _is_proven(layout: Layout, plain: Layout) -> bool:
    """Whether nobody who writes in `plain` would have written this."""
    if plain.misfits and not layout.misfits:
        return True
    return layout.escape == plain.escape and _is_wrapped(plain.header)


def _is_wrapped(cells: Collection[str]) -> bool:
    cells = [cell for cell in cells if cell]
    return bool(cells) and all(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells)


def _broken_line(records: list[Record], skipped: int) -> tuple[int, str]:
    line = next(first for first, last, _ in records if last > first)
    return skipped + line, "a value in quotes holds a line break, and multiline is declared false"


def _unfitting(tried: list[Layout], declared: Mapping[str, Any]) -> str:
    faults = sorted((layout.fault for layout in tried if layout.fault), key=lambda fault: fault[0])
    if len(faults) == len(tried):
        line, reason = faults[-1]
        return (
            f"line {line}: the quotes of this record do not fit ({reason}). Correct it, or declare how quotes are "
            "written: csv: {escape: '\\'} if a backslash stands before quotes inside values, csv: {quote: ''} if "
            "quotes are plain characters."
        )
    if "separator" in declared:
        layout = next(layout for layout in tried if not layout.fault)
        if not layout.header:
            return "holds no header."
        return (
            f"separated by {NAMES.get(layout.separator, repr(layout.separator))} the header has "
            f"{len(layout.header)} columns, and {layout.misfits} of {layout.misfits + len(layout.rows)} lines have "
            "another number. Declare csv: {separator: …, skip_lines: …} as the file has them."
        )
    counts = "; ".join(
        f"{NAMES[layout.separator]}: {len(layout.rows)} of {layout.misfits + len(layout.rows)} lines have "
        f"{len(layout.header)}"
        for layout in tried
        if layout.header and not layout.fault
    )
    return (
        f"no separator gives most lines as many columns as the header ({counts}). Declare csv: {{separator: …}}, and "
        "skip_lines if remarks stand before the header."
    )
