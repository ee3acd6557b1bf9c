"""Decimal marks and thousands are proven by a sample, or refused with both readings."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.number_format import null_texts, number_format


@pytest.mark.parametrize(
    ("values", "separator", "expected"),
    [
        (["1", "20", "x", ""], ",", (".", "")),
        ([], ",", (".", "")),
        (["40.7128", "-74.006"], ";", (".", "")),
        (["40,7128", "1"], ";", (",", "")),
        (["0,123", "0,456"], ";", (",", "")),
        (["1,234", "20"], ",", (".", ",")),
        (["1,234,567"], ";", (".", ",")),
        (["1,234.5"], ";", (".", ",")),
        (["1.234,5"], ";", (",", ".")),
        (["1.234.567", "12"], ";", (",", ".")),
        (["1 234", "5"], ";", (".", " ")),
        (["1\u202f234,5"], ";", (",", " ")),
        (["1'234.50"], ",", (".", "'")),
        (["1\u2019234", "1"], ";", (".", "'")),
        (["12.345", "1.000"], ",", (".", "")),
        (["1.5e3", "2e-5", "1e6"], ";", (".", "")),
        (["47.4", "1,234"], ";", (".", ",")),
        (["31.12.2019", "1.2.3", "127.0.0.1"], ";", (".", "")),
        (["1,234", "2,5"], ";", (",", "")),
        (["1,5", "2.345,5"], ";", (",", ".")),
    ],
)
def test_a_sample_proves_the_form(values: list[str], separator: str, expected: tuple[str, str]) -> None:
    assert number_format(values, {"separator": separator})[:2] == expected


@pytest.mark.parametrize(
    ("values", "separator", "readings"),
    [
        (["1,234", "20"], ";", ["1.234", "1234"]),
        (["1,234", "20"], None, ["1.234", "1234"]),
        (["1.234", "20"], ";", ["1.234", "1234"]),
        (["1.234", "20"], "|", ["1.234", "1234"]),
        (["1,234"] * 50 + [f"{number},{100 + number}" for number in range(1, 99)] + ["2,5"], ",", ["1.234", "1234"]),
    ],
)
def test_what_stays_open_is_refused_with_both_readings(
    values: list[str], separator: str | None, readings: list[str]
) -> None:
    """In the last one a slip of the pen ("2,5") would divide all other numbers by a thousand."""
    with pytest.raises(UserError) as error:
        number_format(values, {"separator": separator} if separator else {})
    assert all(f"{reading} (csv: {{" in str(error.value) for reading in readings)


def test_what_is_declared_holds() -> None:
    assert number_format(["1,234"], {"decimal": ","})[:2] == (",", "")
    assert number_format(["1,234"], {"thousands": ","})[:2] == (".", ",")
    assert number_format(["1,234"], {"thousands": ""})[:2] == (",", "")
    assert number_format(["1.234"], {"thousands": ".", "separator": ";"})[:2] == (",", ".")
    assert number_format(["1,5"], {"decimal": ".", "thousands": ""}) == (".", "", ())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.decimals(-(10**7), 10**7, places=2), min_size=1, max_size=30),
    st.sampled_from(
        [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", "\u00a0"), (".", "'"), (",", "'")]
    ),
    st.sampled_from(",;|\t"),
    st.integers(0, 3),
)
def test_numbers_written_in_a_form_are_never_read_in_another(
    values: list, form: tuple[str, str], separator: str, places: int
) -> None:
    """Except a decimal comma between commas as separators, where three digits behind it read as thousands."""
    import pyarrow as pa

    from mora_pipeline.raw.dialect import Dialect
    from mora_pipeline.raw.numbers import as_numbers

    decimal, thousands = form
    values = [round(value, places) for value in values]
    written = [
        f"{value:,.{places}f}".replace(",", "T").replace(".", decimal).replace("T", thousands) for value in values
    ]
    assume(separator != "," or decimal == ".")
    try:
        found = number_format(written, {"separator": separator})
    except UserError:
        return
    numbers = as_numbers(pa.array(written), Dialect(decimal=found[0], thousands=found[1]))
    assert numbers.to_pylist() == [float(value) for value in values]


def test_remarks_show_an_example() -> None:
    assert number_format(["1.234,5"], {})[2] == (
        "numbers have a decimal comma ('1.234,5')",
        "'.' separates thousands ('1.234,5' is 1234.5)",
    )


def test_known_null_texts_are_named() -> None:
    found = null_texts(["NA", "n/a", "12", "x", "-666666666", "-666666666.0", "(X)", "\\N", " - ", "-5"])
    assert set(found) == {"NA", "n/a", "-666666666", "-666666666.0", "(X)", "\\N", "-"}
    assert "Census" in found["-666666666.0"]
