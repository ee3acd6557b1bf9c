"""Which decimal mark and thousands separator a sample of numbers proves, and which of its texts mean no value."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from mora_pipeline.contract.errors import UserError

SPACES = " \u00a0\u2007\u2009\u202f"
APOSTROPHES = "'\u2019"
EXPONENT = "(?:[eE][+-]?[0-9]+)?"
PLAIN = re.compile(rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){EXPONENT}")
_WITH_MARKS = re.compile(rf"[+-]?[0-9.,][0-9.,{SPACES}{APOSTROPHES}]*{EXPONENT}")
_FORMS = [(decimal, thousands) for thousands in ("", ",", ".", " ", "'") for decimal in ".," if decimal != thousands]
_DIGITS = str.maketrans("123456789", "000000000")
_MOST_USUAL = 1000  # different texts of digits, signs and points that are looked at
_UNUSUAL = re.compile(r"^.*[^0-9.+\n-].*$", re.MULTILINE)
_CLEAR_SHARE = 0.05  # of the values that two readings read differently, how many must speak against one of them

CENSUS = {
    -666666666: "too few samples to compute an estimate",
    -999999999: "too few samples to display an estimate",
    -888888888: "not applicable",
    -222222222: "too few samples for a margin of error",
    -333333333: "a median in an open-ended interval",
    -555555555: "an estimate that is controlled",
}
_CENSUS_TEXTS = {"-", "**", "***", "*****", "(X)", "N"}
_NULL_TEXTS = {"na", "n/a", "#n/a", "<na>", "(na)", "null", "none", "nan", "\\n", "-", "--", ".", "..", ":"}


class AmbiguousNumberError(UserError):
    """Several forms fit; ``text``: a value that they read differently."""

    def __init__(self, text: str, message: str) -> None:
        super().__init__(message)
        self.text = text


@dataclass(frozen=True)
class _Form:
    """One way to write numbers."""

    decimal: str
    thousands: str

    def read(self, text: str) -> float | None:
        if not _compiled(self).fullmatch(text):
            return None
        for mark in kin(self.thousands):
            text = text.replace(mark, "")
        return float(text.replace(self.decimal, "."))

    def reads(self, text: str) -> bool:
        return self.read(text) is not None

    @property
    def keys(self) -> str:
        thousands = f", thousands: '{self.thousands}'" if self.thousands else ""
        return f"csv: {{decimal: '{self.decimal}'{thousands}}}"


@lru_cache
def _compiled(form: _Form) -> re.Pattern[str]:
    return re.compile(_pattern(form.decimal, form.thousands, strict=True))


def kin(mark: str) -> str:
    """All characters for which a thousands separator stands."""
    return SPACES if mark and mark in SPACES else APOSTROPHES if mark and mark in APOSTROPHES else mark


def number_pattern(decimal: str, thousands: str) -> str:
    """A regular expression of plain decimal numbers in a form, for RE2 and `re` alike."""
    return f"^(?:{_pattern(decimal, thousands)})$"


def _pattern(decimal: str, thousands: str, strict: bool = False) -> str:
    point = re.escape(decimal)
    whole = "[0-9]+"
    if thousands:
        first = "[1-9][0-9]{0,2}" if strict else "[0-9]{1,3}"
        whole = f"(?:[0-9]+|{first}(?:[{re.escape(kin(thousands))}][0-9]{{3}})+)"
    return f"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+){EXPONENT}"


def number_format(values: Sequence[str], declared: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """Decimal mark, thousands separator and remarks that a sample of numbers proves.

    Args:
        values: texts of columns that hold numbers; what is no number in any form counts for nothing.
        declared: ``decimal`` and ``thousands`` hold if they are there; ``separator`` of the file, where it has one.

    Raises:
        AmbiguousNumberError: if the sample leaves several forms that read a value differently.
    """
    forms = [_Form(*form) for form in _possible_forms(declared)]
    if len(forms) == 1:
        return forms[0].decimal, forms[0].thousands, ()
    texts = _shapes(values)
    counts = {form: sum(count for text, count in texts.items() if form.reads(text)) for form in forms}
    best = [form for form in forms if counts[form] == max(counts.values())]
    different = [form for form in best if _differing(form, best[0], texts)]
    if different:
        # Between commas that are no separators, a comma is not what marks decimals.
        points = [form for form in best if form.decimal == "."]
        if declared.get("separator") != "," or not points or any(_differing(f, points[0], texts) for f in points):
            raise _ambiguous(best[0], different[0], texts)
        best = points
    chosen = best[0]
    for form in forms:
        read_differently = sum(_differing(form, chosen, texts).values())
        against = sum(count for text, count in texts.items() if chosen.reads(text) and not form.reads(text))
        if read_differently and counts[form] < counts[chosen] and against < _CLEAR_SHARE * read_differently:
            raise _ambiguous(chosen, form, texts)
    return chosen.decimal, chosen.thousands, _remarks(chosen, declared, texts)


def _possible_forms(declared: Mapping[str, Any]) -> list[tuple[str, str]]:
    decimal, thousands = declared.get("decimal"), declared.get("thousands")
    if decimal is not None and thousands is not None:
        return [(decimal, thousands)]
    forms = [
        form for form in _FORMS if decimal in (None, form[0]) and (thousands is None or kin(thousands) == kin(form[1]))
    ]
    if forms:
        return forms
    return [(decimal or ("," if thousands == "." else "."), thousands or "")]


def _shapes(values: Iterable[str]) -> dict[str, int]:
    """One text of each shape that may be a number with marks, and how many have that shape.

    Forms tell texts apart by their marks, the numbers of digits between them and whether they begin with a zero.
    """
    totals = Counter(map(str.strip, values))
    usual = [text for text in islice(totals, _MOST_USUAL) if not text.isdigit()]
    unusual = [text for text in _UNUSUAL.findall("\n".join(totals)) if text in totals]
    firsts: dict[tuple[str, bool], str] = {}
    counts: Counter[str] = Counter()
    for text in dict.fromkeys([*unusual, *usual]):
        shape = text.translate(_DIGITS), text.lstrip("+-").startswith("0")
        counts[firsts.setdefault(shape, text)] += totals[text]
    return {text: count for text, count in counts.items() if _WITH_MARKS.fullmatch(text)}


def _differing(one: _Form, other: _Form, texts: Mapping[str, int]) -> dict[str, int]:
    """The texts that both forms read, but as different numbers."""
    pairs = {text: (one.read(text), other.read(text)) for text in texts}
    return {text: texts[text] for text, pair in pairs.items() if None not in pair and pair[0] != pair[1]}


def _ambiguous(one: _Form, other: _Form, texts: Mapping[str, int]) -> AmbiguousNumberError:
    text = next(iter(_differing(one, other, texts)))
    return AmbiguousNumberError(
        text,
        f"'{text}' may be {one.read(text):.15g} ({one.keys}) or {other.read(text):.15g} ({other.keys}). "
        "Declare which it is.",
    )


def _remarks(form: _Form, declared: Mapping[str, Any], texts: Iterable[str]) -> tuple[str, ...]:
    remarks = []
    example = next((text for text in texts if form.decimal in text and form.reads(text)), "")
    if form.decimal != "." and "decimal" not in declared and example:
        remarks.append(f"numbers have a decimal comma ('{example}')")
    example = next((text for text in texts if any(mark in text for mark in kin(form.thousands))), "")
    if form.thousands and "thousands" not in declared:
        remarks.append(f"'{form.thousands}' separates thousands ('{example}' is {form.read(example):.15g})")
    return tuple(remarks)


def null_texts(values: Iterable[str]) -> dict[str, str]:
    """The texts of a sample of numbers that are known to mean no value, and what each is called."""
    known: dict[str, str] = {}
    for text in dict.fromkeys(map(str.strip, values)):
        if text[:1].isdigit():
            continue
        if text.lower() in _NULL_TEXTS:
            known[text] = "no value"
        elif text in _CENSUS_TEXTS:
            known[text] = "an annotation of the Census: no value"
        elif text.startswith("-") and PLAIN.fullmatch(text) and float(text) in CENSUS:
            known[text] = f"an annotation of the Census: {CENSUS[int(float(text))]}"
    return known
