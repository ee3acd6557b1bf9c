"""Numbers are plain decimal numbers, whatever holds them."""

import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.numbers import amounts, as_numbers, is_null_text

ORACLE = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


def numbers(values: list[object], kind: pa.DataType | None = None, **more: object) -> list[float | None]:
    return as_numbers(pa.array(values, kind), **more).to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        "inf",
        "-Infinity",
        "nan",
        "1_000",
        "0x10",
        "0x1p3",
        "12d",
        "7f",
        "١٢",
        "1e",
        "",
        " ",
        "- 5",
        "1 234",
        "1,234",
        "1.2.3",
        "--1",
        "1e5.5",
        "$75",
        "5%",
        "(12)",
        "1e999",
        "e5",
        ".",
    ],
)
def test_what_is_no_plain_decimal_number_is_null(text: str) -> None:
    assert numbers([text]) == [None]
    assert numbers(["1", text, "2"]) == [1, None, 2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.577e+09", 1.577e9),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5),
        (" 7 ", 7),
        ("\u00a07\n", 7),
        ("-0", 0),
        ("007", 7),
        ("1E-3", 0.001),
        ("12345678901234567890", 12345678901234567168.0),
    ],
)
def test_a_plain_decimal_number_is_read(text: str, number: float) -> None:
    assert numbers([text]) == [number]
    assert numbers(["x", text]) == [None, number]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("0123456789+-.eE _,xdfinaNIty\u00a0\u0661"), max_size=9)))
def test_texts_are_numbers_where_a_plain_expression_says_so(texts: list[str]) -> None:
    """Arrow's cast takes inf and nan; the two ways through the function must agree on all else too."""
    expected = [float(text) if ORACLE.fullmatch(text) else None for text in texts]
    expected = [number if number is None or np.isfinite(number) else None for number in expected]
    assert numbers(texts, pa.string()) == expected
    assert [numbers([text], pa.string())[0] for text in texts] == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.decimals(-(10**9), 10**9, places=3), min_size=1),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", ""), (".", "\u202f")]),
)
def test_numbers_written_in_a_form_are_read_in_it(values: list[Decimal], form: tuple[str, str]) -> None:
    decimal, thousands = form
    written = [f"{value:,f}".replace(",", "T").replace(".", decimal).replace("T", thousands) for value in values]
    dialect = Dialect(decimal=decimal, thousands=thousands)
    assert numbers(written, dialect=dialect) == [float(value) for value in values]


@pytest.mark.parametrize("text", ["1,23", "1234,567", "12,34,567", ",123", "1,,234", "1,234,", "1.234,5"])
def test_groups_that_are_not_of_three_digits_are_no_thousands(text: str) -> None:
    assert numbers([text, "1,234,567.5"], dialect=Dialect(thousands=",")) == [None, 1234567.5]


def test_kin_of_the_thousands_separator_count_as_it() -> None:
    spaces = ["1 234", "1\u00a0234", "1\u202f234", "1\u2009234"]
    assert numbers(spaces, dialect=Dialect(thousands=" ")) == [1234] * 4
    assert numbers(["1'234", "1\u2019234"], dialect=Dialect(thousands="'")) == [1234] * 2


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(9, 2),
        pa.decimal256(9, 2),
        pa.decimal32(5, 1),
    ],
)
def test_stored_numbers_are_numbers(kind: pa.DataType) -> None:
    one, two = (np.float16(1), np.float16(2)) if kind == pa.float16() else (1, 2)
    values = pa.array([one, None, two], kind)
    assert as_numbers(values).to_pylist() == [1, None, 2]
    assert as_numbers(values).type == pa.float64()


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
)
def test_texts_of_any_kind_are_read(kind: pa.DataType) -> None:
    assert numbers(["1.5", None, "12d", "1.5"], kind) == [1.5, None, None, 1.5]


def test_dictionaries_and_runs_of_numbers_are_read() -> None:
    coded = pa.array([7, None, 7]).dictionary_encode()
    assert as_numbers(coded).to_pylist() == [7, None, 7]
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([7, 8]))
    assert as_numbers(runs).to_pylist() == [7, 7, 8]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True]),
        pa.array([1], pa.timestamp("s")),
        pa.array([[1]]),
        pa.nulls(1),
        pa.array([b"1"]),
        pa.array([{"a": 1}]),
    ],
)
def test_what_is_no_number_by_its_type_is_null(values: pa.Array) -> None:
    assert as_numbers(values).to_pylist() == [None]


def test_stored_nan_and_infinity_are_no_numbers() -> None:
    assert numbers([1.0, float("nan"), float("inf"), -float("inf")]) == [1, None, None, None]


def test_null_texts_that_are_numbers_hold_for_numbers() -> None:
    """The Census writes -666666666 for an estimate that it lacks; some exports add a .0."""
    null = ["NA", "-666666666"]
    assert numbers(["1", "NA", "-666666666", "-666666666.0"], null=null) == [1, None, None, None]
    assert numbers([1, -666666666], null=null) == [1, None]
    assert numbers(["-666666666"], dialect=Dialect(null=("", "-666666666"))) == [None]


def test_large_whole_numbers_do_not_overflow() -> None:
    assert numbers([2**64 - 1], pa.uint64()) == [float(2**64 - 1)]
    assert numbers([2**53 + 1]) == [float(2**53 + 1)]


def test_slices_are_read_from_where_they_begin() -> None:
    assert as_numbers(pa.array(["x", "1", "y", "2"])[1:]).to_pylist() == [1, None, 2]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("48,210", 48210),
        ("250,000+", 250000),
        ("1 234", 1234),
        ("$75", 75),
        ("12d", 12),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("3,5", 3.5),
        ("1,234,567", 1234567),
        ("~5", 5),
        ("-", None),
        ("", None),
        (None, None),
        ("-1,500", -1500),
        ("1e3x", 1000),
        ("5.", 5),
        ("1'234", 1234),
        ("<.5", 0.5),
        ("1.2.3", 123),
        ("100 (estimated)", 100),
    ],
)
def test_what_a_bad_value_carries_is_estimated(text: str | None, amount: float | None) -> None:
    assert amounts(pa.array([text], pa.string())).to_pylist() == [amount]


def test_amounts_take_any_type() -> None:
    assert amounts(pa.array([1, None])).to_pylist() == [1, None]
    assert amounts(pa.array(["48,210", None]).dictionary_encode()).to_pylist() == [48210, None]
    assert amounts(pa.array(["48,210"], pa.string_view())).to_pylist() == [48210]


def test_null_texts_are_compared_trimmed() -> None:
    values = pa.array([" NA ", "", None, "N A", "0"])
    assert is_null_text(values, ["", "NA"]).to_pylist() == [True, True, True, False, False]
    assert is_null_text(pa.array([-666666666, 1, None]), ["-666666666"]).to_pylist() == [True, False, True]
