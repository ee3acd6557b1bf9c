"""How the lines of a text fall into records and values: the one reading that fits, or a refusal that shows several."""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import shape
from mora_pipeline.raw.csv_text import LINE_END, position_after, rows_of
from mora_pipeline.raw.header import SEPARATORS, header_position, is_few, looks_like_data, remark_lines

NAMES = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
_MOST_OPEN_LINES = 100  # of a record that the end of the sample cuts
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
        return self.fault is None and bool(self.header) and is_few(self.misfits, len(self.rows))

    @property
    def content(self) -> tuple[object, ...]:
        return self.skip_lines, self.header, self.rows

    def describe(self, row: int = 0) -> str:
        """Marks, header and the shapes of one row, for a message that shows readings side by side."""
        quote = f", quoted by {self.quote}" if self.quote not in ('"', "") else ""
        escape = f", with {self.escape} before quotes" if self.escape else ""
        first = f", then {list(map(shape, self.rows[row]))}" if row < len(self.rows) else ""
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
    escapes = ["", "\\"] if "\\" in text else [""]
    for separator in separators or [","]:
        for quote in [declared["quote"]] if "quote" in declared else quotes:
            for escape in [declared["escape"]] if "escape" in declared else escapes:
                yield Layout(separator, quote, escape)


def _read(text: str, whole: bool, layout: Layout, declared: Mapping[str, Any], numbers: Collection[str]) -> Layout:
    skipped = declared.get("skip_lines")
    if skipped is None:
        skipped = remark_lines(text)
    body = text[position_after(text, skipped) :]
    records, fault = _records(body, whole, layout)
    if fault:
        return replace(layout, skip_lines=skipped, fault=(skipped + fault[0], fault[1]))
    start = 0 if "skip_lines" in declared else header_position([values for _, _, values in records], numbers)
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
    if layout.escape == "\\":  # a bare \N is MySQL's null, and stays what it is
        text = re.sub(
            rf"(?<![^{re.escape(layout.separator)}\r\n])\\N(?![^{re.escape(layout.separator)}\r\n])", r"\\\\N", text
        )
    reader = rows_of(text, layout, strict=True)
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


def _check_header(layout: Layout, text: str, declared: Mapping[str, Any]) -> None:
    """Refuse a header that is the first row below a header of another width."""
    if "skip_lines" in declared or not layout.skip_lines:
        return
    last_empty = bool(layout.rows) and all(not row[-1] for row in layout.rows) and not layout.header[-1]
    before = text[: position_after(text, layout.skip_lines)].rstrip("\r\n")
    line = LINE_END.split(before)[-1]
    if looks_like_data(layout.header, layout.rows[:100]) or (
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
