"""Expressions over columns: what each gives, against Python row by row; what is refused; what can never run."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.expressions import parse, parse_filter

NAMES = pa.struct([("primary", pa.string()), ("common", pa.map_(pa.string(), pa.string()))])
CATEGORIES = pa.struct([("primary", pa.string()), ("alternate", pa.list_(pa.string()))])
PLACES = pa.record_batch(
    {
        "names": pa.array(
            [{"primary": "Café", "common": [("en", "Cafe")]}, None, {"primary": None, "common": []}], NAMES
        ),
        "bbox": pa.array([{"ymin": 1.5}, {"ymin": None}, None], pa.struct([("ymin", pa.float32())])),
        "categories": pa.array(
            [{"primary": "cafe", "alternate": ["bar", "shop"]}, {"primary": "x", "alternate": []}, None], CATEGORIES
        ),
        "taxonomy": pa.array(
            [{"hierarchy": ["food", "cafe"]}, {"hierarchy": None}, {"hierarchy": ["a", None]}],
            pa.struct([("hierarchy", pa.large_list(pa.string()))]),
        ),
        "tags": pa.array(
            [[("amenity", "cafe"), ("addr:street", "Fő")], [], None],
            pa.map_(pa.string(), pa.dictionary(pa.int8(), pa.string())),
        ),
        "sources": pa.array([[{"dataset": "meta"}], [], None], pa.list_(pa.struct([("dataset", pa.string())]))),
        "confidence": pa.array([0.9, float("nan"), 0.25]),
        "kind": pa.array(["a", "b", None]).dictionary_encode(),
    }
)  # fmt: skip
TABLE = pa.record_batch(
    {
        "n": pa.array([7, None, -3], pa.int32()),
        "x": [1.5, 0.0, None],
        "flow": ["12", "x", " 3.5 "],
        "name": ["Fő utca", None, "ab'c"],
        "open": [True, False, None],
        "when": pa.array([1_577_836_800_000_000, None, 1_593_600_000_000_000], pa.timestamp("us")),
        "there": pa.array([1_577_836_800, None, 1_593_600_000], pa.timestamp("s", "Europe/Berlin")),
        "day": pa.array([18_262, 0, None], pa.date32()),
        "cell": pa.array([617700169958293503, None, 1], pa.uint64()),
        "none": pa.nulls(3),
        "odd name (x)": [1, 2, 3],
        "a.b": [4, 5, 6],
        "in": [1, 2, 3],
        "order": ["10", "9", ""],
        "short": pa.array([1.5, 2, None], pa.float16()),
        "price": pa.array(["1.50", None, "2.00"]).cast(pa.decimal128(10, 2)),
        "big": pa.array(["L", None, "l"], pa.large_string()),
        "view": pa.array(["V", None, "v"], pa.string_view()),
        "blob": pa.array([b"x", None, b"y"]),
    }
)  # fmt: skip


def types_of(batch: pa.RecordBatch) -> dict[str, pa.DataType]:
    return {column.name: column.type for column in batch.schema}


def values(text: str, batch: pa.RecordBatch = TABLE, written: Dialect | None = None) -> list[Any]:
    expression = parse(text, types_of(batch))
    found = expression.evaluate(batch, written)
    assert len(found) == batch.num_rows
    assert found.type == expression.type or expression.is_plain, (found.type, expression.type)
    assert found.null_count == len(found) or found.validate(full=True) is None
    return found.to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names.primary", ["Café", None, None]),
        ("bbox.ymin", [1.5, None, None]),
        ("bbox.ymin * 2", [3.0, None, None]),
        ("categories.alternate[0]", ["bar", None, None]),
        ("categories.alternate[-1]", ["shop", None, None]),
        ("first(categories.alternate)", ["bar", None, None]),
        ("taxonomy.hierarchy[-1]", ["cafe", None, None]),
        ("taxonomy.hierarchy[0]", ["food", None, "a"]),
        ("taxonomy.hierarchy[-3]", [None, None, None]),
        ("join(taxonomy.hierarchy, ' > ')", ["food > cafe", None, "a"]),
        ("join(categories.alternate, ',')", ["bar,shop", "", None]),
        ("list_size(categories.alternate)", [2, 0, None]),
        ("contains(categories.alternate, 'shop')", [True, False, None]),
        ("names.common.en", ["Cafe", None, None]),
        ("names.common['fr']", [None, None, None]),
        ("tags['amenity']", ["cafe", None, None]),
        ("tags.amenity", ["cafe", None, None]),
        ("tags.`addr:street` || '!'", ["Fő!", None, None]),
        ("sources[0].dataset", ["meta", None, None]),
        ("first(sources).dataset", ["meta", None, None]),
        ("sources is null", [False, False, True]),
        ("names['primary']", ["Café", None, None]),
        ("kind = 'a'", [True, False, None]),
        ("confidence > 0.5", [True, None, False]),
        ("confidence is null", [False, True, False]),
        ("coalesce(names.primary, categories.primary, 'none')", ["Café", "x", "none"]),
    ],
)
def test_nested_columns_are_reached(text: str, expected: list[Any]) -> None:
    assert values(text, PLACES) == expected
    assert values(text, PLACES.slice(1)) == expected[1:], "a slice has offsets"
    assert values(text, PLACES.slice(0, 0)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n + 1", [8, None, -2]),
        ("n / 2", [3.5, None, -1.5]),
        ("n / x", [7 / 1.5, None, None]),
        ("1 / x", [1 / 1.5, None, None]),
        ("n % 4", [3, None, -3]),
        ("n % 0", [None, None, None]),
        ("-n * 2 + 1", [-13, None, 7]),
        ("2 - 3 - 4", [-5, -5, -5]),
        ("1 + 2 * 3", [7, 7, 7]),
        ("9223372036854775807 - 1", [9.223372036854775807e18] * 3),
        ("100000000000000000 * 100 + n", [None, None, None]),
        ("flow * 2", [24.0, None, 7.0]),
        ("flow > 4", [True, None, False]),
        ("4 < flow", [True, None, False]),
        ("order < '9'", [True, False, True]),
        ("order < 9", [False, False, None]),
        ("order = '10' or order = '9'", [True, True, False]),
        ("name = 'ab''c'", [False, None, True]),
        ("open = true", [True, False, None]),
        ("open and n > 0", [True, False, False]),
        ("open or n is null", [True, True, None]),
        ("not open", [False, True, None]),
        ("n is not null and not (n < 0)", [True, False, False]),
        ("n in (7, 8)", [True, None, False]),
        ("n not in (7)", [False, None, True]),
        ("n in (1, null)", [None, None, None]),
        ("n in (7, null)", [True, None, None]),
        ("n in (x, 7)", [True, None, None]),
        ("flow in (12, 3.5)", [True, None, True]),
        ("flow in ('12', '3.5')", [True, False, False]),
        ("n between -3 and 0", [False, None, True]),
        ("n not between -3 and 0", [True, None, False]),
        ("name like 'F_ %'", [True, None, False]),
        ("name not like '%c'", [True, None, False]),
        ("n != 7", [False, None, True]),
        ("n <> 7", [False, None, True]),
        ("n == 7", [True, None, False]),
        ("none = 1", [None, None, None]),
        ("none is null", [True, True, True]),
        ("none + 1", [None, None, None]),
        ("cell = 617700169958293503", [True, None, False]),
        ("cell % 10", [3, None, 1]),
        ("short + 1", [2.5, 3.0, None]),
        ("price * 2", [3.0, None, 4.0]),
        ("lower(big) = lower(view)", [False, None, False]),
        ("big || view", ["LV", None, "lv"]),
        ("when >= '2020-06-01'", [False, None, True]),
        ("day = '2020-01-01'", [True, False, None]),
        ("when = there", [True, None, True]),
        ("text(day)", ["2020-01-01", "1970-01-01", None]),
        ("year(when) * 100 + month(when)", [202001, None, 202007]),
        ("hour(there)", [1, None, 12]),
        ("hour(when)", [0, None, 10]),
        ("day(date(there))", [1, None, 1]),
        ("`odd name (x)` + \"in\"", [2, 4, 6]),
        ("a.b + 1", [5, 6, 7]),
        ("n||'-'||x", ["7-1.5", None, None]),
        ("text(x)", ["1.5", "0", None]),
        ("text(open)", ["true", "false", None]),
        ("integer('617700169958293503')", [617700169958293503] * 3),
        ("integer(x)", [1, 0, None]),
        ("integer(flow)", [12, None, 3]),
        ("number(flow)", [12.0, None, 3.5]),
        ("number(open)", [1, 0, None]),
        ("lower(name)", ["fő utca", None, "ab'c"]),
        ("upper(name)", ["FŐ UTCA", None, "AB'C"]),
        ("trim(flow)", ["12", "x", "3.5"]),
        ("length(name)", [7, None, 4]),
        ("substring(name, 2, 3)", ["ő u", None, "b'c"]),
        ("substring(name, 2)", ["ő utca", None, "b'c"]),
        ("substring(name, -2)", ["ca", None, "'c"]),
        ("substring(name, -2, 1)", ["c", None, "'"]),
        ("left(name, 2)", ["Fő", None, "ab"]),
        ("right(name, 2)", ["ca", None, "'c"]),
        ("right(name, 0)", ["", None, ""]),
        ("replace(name, 'u', '')", ["Fő tca", None, "ab'c"]),
        ("pad(n, 3, '0')", ["007", None, "0-3"]),
        ("concat(n, name)", ["7Fő utca", None, "-3ab'c"]),
        ("coalesce(n, 0)", [7, 0, -3]),
        ("coalesce(n, x)", [7.0, 0.0, -3.0]),
        ("coalesce(flow, 0) || ''", ["12", "x", " 3.5 "]),
        ("if(n > 0, 'up', 'down')", ["up", "down", "down"]),
        ("if(open, n, 0)", [7, 0, 0]),
        ("abs(n)", [7, None, 3]),
        ("floor(x)", [1.0, 0.0, None]),
        ("floor(-1.5)", [-2.0] * 3),
        ("round(2.5)", [3.0] * 3),
        ("round(-2.345, 2)", [-2.35] * 3),
        ("least(n, x, 5)", [1.5, 0.0, -3.0]),
        ("greatest(n, x)", [7.0, 0.0, -3.0]),
        ("greatest(order, 9.5)", [10.0, 9.5, 9.5]),
        ("split(name, ' ')[1]", ["utca", None, None]),
        ("regexp_extract(name, '[a-z]+')", ["utca", None, "ab"]),
        (r"regexp_extract(name, '(\w)(?P<second>.)(?:c|$)', 2)", ["t", None, "'"]),
        (r"regexp_extract('[x](y)', '\[x\]\((.)\)')", ["y"] * 3),
        ("regexp_extract('a(b', '[(]([a-z])')", ["b"] * 3),
        ("starts_with(name, 'F')", [True, None, False]),
        ("ends_with(name, 'c')", [False, None, True]),
        ("contains(name, '.')", [False, None, False]),
        ("null", [None, None, None]),
        ("'x'", ["x", "x", "x"]),
        ("NOT (n > 1) IS NULL", [True, False, True]),
        ("1.5e2", [150.0] * 3),
        ("  n  ", [7, None, -3]),
    ],
)  # fmt: skip
def test_expressions_give(text: str, expected: list[Any]) -> None:
    found = values(text)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_the_name_of_a_column_is_that_column() -> None:
    """Whatever it holds, even if it reads as an expression or a keyword; a plain column is as it lies."""
    batch = pa.record_batch({"n + 1": pa.array([1], pa.int8()), "n": [5], "not": [2.5], "when(x)": ["a"], " n ": [6]})
    for name in batch.schema.names:
        expression = parse(name, types_of(batch))
        assert expression.is_plain
        assert expression.columns == (name,)
        assert expression.evaluate(batch) == batch[name]
        assert expression.type == batch[name].type
    assert not parse("n+1", types_of(batch)).is_plain
    assert parse("`n + 1`", types_of(batch)).is_plain


def test_what_is_needed_of_a_table_is_known() -> None:
    assert parse("n + x * n - a.b", types_of(TABLE)).columns == ("n", "x", "a.b")
    assert parse("names.common.en", types_of(PLACES)).columns == ("names",)
    assert parse("1 + 1", types_of(TABLE)).columns == ()


def test_an_expression_travels_to_tasks() -> None:
    expression = parse("coalesce(regexp_extract(name, '([a-z]+)'), left(flow, 1))", types_of(TABLE))
    travelled = pickle.loads(pickle.dumps(expression))  # noqa: S301
    assert travelled.evaluate(TABLE) == expression.evaluate(TABLE)
    assert travelled == expression


def test_a_filter_is_true_or_false() -> None:
    assert parse_filter("n > 0", types_of(TABLE)).evaluate(TABLE).to_pylist() == [True, False, False]
    assert parse_filter("open", types_of(TABLE)).evaluate(TABLE).to_pylist() == [True, False, False]
    for text in ("n", "name", "n + 1"):
        with pytest.raises(UserError, match="not true or false"):
            parse_filter(text, types_of(TABLE))


def test_texts_are_read_by_the_dialect_of_the_file() -> None:
    """A decimal comma holds in expressions as it does in columns, and null texts are null."""
    batch = pa.record_batch({"price": ["1.234,5", "2,25", " NA ", ""], "mode": ["all", "NA", "", None]})
    german = Dialect(decimal=",", thousands=".", null=("", "NA"))
    assert values("price * 2", batch, german) == [2469.0, 4.5, None, None]
    assert values("price > 2.5", batch, german) == [True, False, None, None]
    assert values("integer(price)", batch, german) == [1234, 2, None, None]
    assert values("mode is null", batch, german) == [False, True, True, True]
    assert values("mode is null", batch) == [False, False, False, True]
    assert values("coalesce(mode, 'none')", batch, german) == ["all", "none", "none", "none"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("naem", r"position 1: there is no column 'naem'; .* Did you mean 'name'\?"),
        ("n + naem", "position 5: there is no column 'naem'"),
        ("lowr(name)", r"position 1: there is no function 'lowr'; there are abs, .* Did you mean 'lower'\?"),
        ("cast(n as text)", "Say number"),
        ("left(name)", "left takes 2 arguments, not 1"),
        ("abs(n, 2)", "abs takes 1 argument, not 2"),
        ("if(open, 1)", "if takes 3 arguments, not 2"),
        ("coalesce()", "coalesce takes 1 or more arguments, not 0"),
        ("substring(name)", "substring takes 2 to 3 arguments"),
        ("left(name, n)", "position 12: left takes a whole number here, written out"),
        ("left(name, 1.5)", "left takes a whole number"),
        ("left(name, -1)", "0 or more"),
        ("substring(name, 0)", "start from 1"),
        ("split(name, '')", "not empty"),
        ("pad(n, 3, '00')", "one character"),
        ("pad(n, 99999999, '0')", "up to 1000"),
        ("starts_with(name, name)", "written out"),
        ("starts_with(name, 5)", "a 'text'"),
        ("regexp_extract(name, '(')", "missing"),
        ("regexp_extract(name, 'a', 1)", "no group 1"),
        ("regexp_extract(name, '(a*)*b', 2)", "no group 2"),
        (r"regexp_extract(name, '(a)\1')", "invalid escape"),
        ("regexp_extract(name, '(?=a)')", "invalid"),
        ("n +", "position 4: a column, a value or a function is expected, not the end"),
        ("(n", r"position 3: '\)' is expected"),
        ("n)", r"position 2: an operator or the end is expected, not '\)'"),
        ("n n", "position 3: an operator or the end is expected, not 'n'"),
        ("n < 1 < 2", "position 7: comparisons do not follow one another"),
        ("n is 5", "position 6: 'null' is expected"),
        ("n not 5", "in, between or like is expected"),
        ("n in 5", r"'\(' is expected"),
        ("n in ()", "in takes"),
        ("n between 1 or 2", "'and' is expected"),
        ("coalesce(n,, 1)", "position 12"),
        ("coalesce(n, )", "position 13"),
        ("'abc", "position 1: .* opens here and does not end"),
        ("n; x", "position 2: ';' is not expected"),
        ("n && x", "position 3: '&' is not expected here. Say and"),
        ("5x", "position 1"),
        ("1.2.3", "position 4"),
        ("n = 'all'", "position 5: 'all' is no number"),
        ("when > 'later'", "'later' is no time"),
        ("name + 'x'", "'x' is no number"),
        ("when = 5", "cannot be compared"),
        ("n and open", "n is a number, not true or false: compare it"),
        ("when + 1", r"when is a time, which \+ does not take"),
        ("coalesce(when, 1)", "values of one kind"),
        ("coalesce(when, there)", "with a zone and without"),
        ("n.x", "n is a number and has no parts"),
        ("n[0]", "n is a number and has no parts"),
        ("split(name, ',')", "is a list"),
        ("flow = 617700169958293503", "say '617700169958293503'"),
        ("blob || 'x'", "blob is binary"),
        ("open = 'maybe'", "'maybe' is no true or false"),
        ("", "position 1"),
        ("`", "position 1"),
        ("x" * 2001, "at most 2,000"),
        ("(" * 51 + "1" + ")" * 51, "more than 50"),
        ("-" * 60 + "n", "more than 50"),
        ("not " * 60 + "open", "more than 50"),
        ("n" + "+n" * 250, "more than 200"),
        ("abs(" * 60 + "n" + ")" * 60, "more than 50"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        parse(text, types_of(TABLE))
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names = 'x'", "names is a struct of primary, common: say names.primary"),
        ("names.primry", r"position 7: names has no field 'primry'; it has primary, common. Did you mean 'primary'\?"),
        ("categories.alternate = 'x'", r"categories.alternate is a list: say categories.alternate\[0\]"),
        ("categories.alternate", r"categories.alternate is a list: say categories.alternate\[0\]"),
        ("categories.alternate.x", "categories.alternate is a list"),
        ("names.common", "names.common is a map: say names.common"),
        ("names[0]", "names is a struct"),
        ("tags[0]", "tags is a map"),
        ("tags[kind]", "in brackets"),
        ("join(names.primary, ',')", "join takes a list, and names.primary is a text"),
        ("length(categories.alternate)", "categories.alternate is a list"),
        ("join(sources, ',')", r"sources\[0\] is a struct of dataset"),
        ("contains(sources, 'x')", r"sources\[0\] is a struct of dataset"),
        ("first(sources)", r"first\(sources\) is a struct of dataset"),
    ],
)
def test_a_struct_or_a_list_is_no_value(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text, types_of(PLACES))


def test_a_plain_struct_says_what_it_is() -> None:
    """It may be a geometry, so that it is for the caller to refuse it."""
    assert parse("names", types_of(PLACES)).not_a_value == "names is a struct of primary, common: say names.primary"
    assert parse("kind", types_of(PLACES)).not_a_value is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "__import__('os').system('true')", "reflect('java.lang.System', 'exit', 1)",
        "java_method('java.lang.Runtime', 'getRuntime')", "open('/etc/passwd')", "read_csv('/etc/passwd')",
        "eval('1')", "exec('1')", "name.__class__", "name.__class__.__mro__", "names.__class__", "().__class__",
        "lambda: 1", "[x for x in n]", "{n}", "n if n else 1", "n := 1", "name.upper()", "f'{n}'", "n ** 2", "n @ n",
        "getattr(n, 'x')", "name['__class__']", "(n).to_pylist()", "pc.add(n, 1)", "select 1", "n; drop table x",
        "input_file_name()", "\\n", "$HOME", "`rm -rf /`", "#n", "/* x */ n", "n // x",
    ],
)  # fmt: skip
def test_no_expression_reaches_beyond_the_row(text: str) -> None:
    with pytest.raises(UserError):
        parse(text, types_of(TABLE) | types_of(PLACES))


def test_a_pattern_takes_no_more_time_than_its_text_is_long() -> None:
    """Backtracking would take 2^5000 steps."""
    batch = pa.record_batch({"s": ["a" * 5000]})
    assert values("regexp_extract(s, '^(a+)+$b')", batch) == [None]


def test_an_odd_name_is_told_how_to_be_said() -> None:
    with pytest.raises(UserError, match="In an expression say `start-lat`"):
        parse("start-lat + 1", {"start-lat": pa.float64()})


LISTS = draw.lists(draw.none() | draw.lists(draw.none() | draw.sampled_from(["a", "b", ""]), max_size=4), max_size=6)
LIST_TYPES = [
    pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_view(pa.string()),
    pa.list_(pa.dictionary(pa.int8(), pa.string())),
]  # fmt: skip


@given(LISTS, draw.sampled_from(LIST_TYPES), draw.integers(-5, 4), draw.integers(0, 3))
def test_lists_of_every_type_give_what_python_gives(rows: list[Any], kind: pa.DataType, index: int, cut: int) -> None:
    batch = pa.record_batch({"x": pa.array(rows, kind)}).slice(cut)
    rows = rows[cut:]
    there = [row is not None and -len(row) <= index < len(row) for row in rows]
    assert values(f"x[{index}]", batch) == [row[index] if ok else None for row, ok in zip(rows, there, strict=True)]
    assert values("list_size(x)", batch) == [None if row is None else len(row) for row in rows]
    assert values("contains(x, 'a')", batch) == [None if row is None else "a" in row for row in rows]
    joined = [None if row is None else "-".join(each for each in row if each is not None) for row in rows]
    assert values("join(x, '-')", batch) == joined


ENTRIES = draw.lists(draw.tuples(draw.sampled_from(["a", "b", "c"]), draw.none() | draw.integers(0, 9)), max_size=4)
PAIR = pa.struct([("key", pa.string()), ("value", pa.int64())])


@given(draw.lists(draw.none() | ENTRIES, max_size=6), draw.integers(0, 3))
def test_maps_give_what_python_gives(rows: list[Any], cut: int) -> None:
    """Stored as maps, and as the lists of pairs that some write instead."""
    expected = [dict(reversed(row)).get("a") if row is not None else None for row in rows][cut:]
    pairs = [None if row is None else [{"key": key, "value": value} for key, value in row] for row in rows]
    for array in (pa.array(rows, pa.map_(pa.string(), pa.int64())), pa.array(pairs, pa.list_(PAIR))):
        batch = pa.record_batch({"tags": array}).slice(cut)
        assert values("tags.a", batch) == values("tags['a']", batch) == expected


def test_fixed_lists_and_repeats_are_read() -> None:
    batch = pa.record_batch(
        {
            "point": pa.array([[1.0, 2.0], None, [3.0, None]], pa.list_(pa.float64(), 2)),
            "run": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["a", None])),
        }
    )
    for part, first in ((batch, 0), (batch.slice(1), 1)):
        assert values("point[1]", part) == [2.0, None, None][first:]
        assert values("upper(run)", part) == ["A", "A", None][first:]


# Random expressions over random rows, against Python row by row.
Row = dict[str, Any]
Naive = Callable[[Row], Any]
Drawn = tuple[str, Naive]


def lifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Null if any argument is."""
    return lambda *values: None if None in values else function(*values)


def fits(value: Any) -> Any:
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return value if math.isfinite(value) else None


def either(left: Any, right: Any) -> Any:
    return True if True in (left, right) else None if None in (left, right) else False


def both(left: Any, right: Any) -> Any:
    return False if False in (left, right) else None if None in (left, right) else True


ARITHMETIC = {
    "+": lambda a, b: fits(a + b), "-": lambda a, b: fits(a - b), "*": lambda a, b: fits(a * b),
    "/": lambda a, b: a / b if b else None,
    "%": lambda a, b: None if not b else math.fmod(a, b) if isinstance(a, float) or isinstance(b, float)
    else abs(a) % abs(b) * (-1 if a < 0 else 1),
}  # fmt: skip
COMPARED = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def column(name: str) -> Drawn:
    return name, lambda row: row[name]


def binary(sign: str, function: Callable[..., Any], left: Drawn, right: Drawn) -> Drawn:
    return f"({left[0]} {sign} {right[0]})", lambda row: function(left[1](row), right[1](row))


def operations(table: dict[str, Any], part: draw.SearchStrategy[Drawn]) -> draw.SearchStrategy[Drawn]:
    def built(drawn: tuple[str, Drawn, Drawn]) -> Drawn:
        return binary(drawn[0], lifted(table[drawn[0]]), drawn[1], drawn[2])

    return draw.tuples(draw.sampled_from(sorted(table)), part, part).map(built)


def call(name: str, function: Callable[..., Any], *parts: Drawn) -> Drawn:
    texts = ", ".join(part[0] for part in parts)
    return f"{name}({texts})", lambda row: function(*(part[1](row) for part in parts))


def constant(value: Any) -> Drawn:
    text = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
    return text, lambda _: value


WORDS = draw.text(alphabet="aB'ő ", max_size=4)
NUMBERS = draw.recursive(
    draw.one_of(draw.sampled_from(["i", "j"]).map(column), draw.integers(-9, 9).map(constant)),
    lambda part: draw.one_of(
        operations({sign: ARITHMETIC[sign] for sign in "+-*%"}, part),
        draw.tuples(part, part).map(lambda two: call("coalesce", lambda a, b: b if a is None else a, *two)),
        part.map(lambda one: call("abs", lifted(lambda a: fits(abs(a))), one)),
    ),
    max_leaves=8,
)
TEXTS = draw.recursive(
    draw.one_of(draw.sampled_from(["s", "t"]).map(column), WORDS.map(constant)),
    lambda part: draw.one_of(
        draw.tuples(part, part).map(lambda two: binary("||", lifted(lambda a, b: a + b), *two)),
        part.map(lambda one: call("trim", lifted(str.strip), one)),
        draw.tuples(part, draw.integers(0, 3)).map(
            lambda two: (f"left({two[0][0]}, {two[1]})", lambda row: lifted(lambda a: a[: two[1]])(two[0][1](row)))
        ),
    ),
    max_leaves=4,
)
CONDITIONS = draw.recursive(
    draw.one_of(operations(COMPARED, NUMBERS), operations(COMPARED, TEXTS)),
    lambda part: draw.one_of(
        draw.tuples(part, part).map(lambda two: binary("and", both, *two)),
        draw.tuples(part, part).map(lambda two: binary("or", either, *two)),
        part.map(lambda one: (f"(not {one[0]})", lambda row: lifted(lambda a: not a)(one[1](row)))),
        part.map(lambda one: (f"({one[0]} is null)", lambda row: one[1](row) is None)),
    ),
    max_leaves=4,
)
WHOLE = draw.one_of(draw.none(), draw.integers(-20, 20), draw.integers(-(2**63), 2**63 - 1))
ROWS = draw.lists(
    draw.fixed_dictionaries({"i": WHOLE, "j": WHOLE, "s": draw.none() | WORDS, "t": draw.none() | WORDS}), max_size=5
)
SCHEMA = pa.schema({"i": pa.int64(), "j": pa.int64(), "s": pa.string(), "t": pa.string()})


@given(draw.one_of(NUMBERS, TEXTS, CONDITIONS), ROWS)
def test_random_expressions_give_what_python_gives(drawn: Drawn, rows: list[Row]) -> None:
    text, naive = drawn
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA)
    expected = [naive(row) for row in rows]
    for part in (batch, batch.slice(1)):
        assert values(text, part) == expected[len(rows) - part.num_rows :]


@given(draw.sampled_from(sorted(ARITHMETIC)), draw.lists(draw.tuples(draw.floats(), draw.floats()), min_size=1))
def test_fractions_never_run_over(sign: str, pairs: list[tuple[float, float]]) -> None:
    """What is infinite or no number is null, on the way in and on the way out."""

    def naive(left: float, right: float) -> float | None:
        if not (math.isfinite(left) and math.isfinite(right)):
            return None
        found = ARITHMETIC[sign](left, right)
        return None if found is None else fits(found)

    batch = pa.record_batch({"a": [left for left, _ in pairs], "b": [right for _, right in pairs]})
    assert values(f"a {sign} b", batch) == [naive(*pair) for pair in pairs]


@given(draw.text(max_size=60) | draw.text(alphabet="n x.[]()'`\"+-*/%<>=!|,0e1notinadrlikebtwus", max_size=60))
def test_any_text_is_an_expression_or_one_message(text: str) -> None:
    try:
        found = parse(text, types_of(TABLE))
    except UserError:
        return
    assert len(found.evaluate(TABLE)) == TABLE.num_rows
