"""Files as people have them: read rightly, or refused by a message that names file, line or column, cause and fix."""

import re
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.csv_files import csv_batches, csv_header, csv_splits
from mora_pipeline.raw.dialect import Dialect, detect
from tests.raw.writing import Table, read


def detected(file: Path, content: str | bytes, numbers: list[str] | None = None, **declared: object) -> Table:
    """The header and the rows of a file with a content, none of them malformed."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    found = detect(str(file), declared, numbers or [])
    assert csv_header(str(file), found.dialect) == found.columns
    rows, malformed = read(file, found.dialect, found.columns)
    assert malformed == []
    return [list(found.columns), *rows]


def refusal(file: Path, content: str | bytes, numbers: list[str] | None = None, **declared: object) -> str:
    """The message with which a file is refused, by its sample or when it is read."""
    with pytest.raises(UserError) as error:
        detected(file, content, numbers, **declared)
    assert str(file) in str(error.value)
    return str(error.value).replace(str(file), "FILE")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flows.csv"


TABLE = [["origin", "flow"], ["P1", "5"], ["P2", "7"], ["P3", "9"]]


def text(separator: str = ",", line_end: str = "\n") -> str:
    return "".join(separator.join(row) + line_end for row in TABLE)


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(file: Path, separator: str, line_end: str) -> None:
    assert detected(file, text(separator, line_end)) == TABLE


def test_another_separator_is_declared(file: Path) -> None:
    assert detected(file, text("^"), separator="^") == TABLE
    assert detected(file, text("\t"), separator="tab") == TABLE


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_says_the_encoding(file: Path, encoding: str) -> None:
    assert detected(file, text().encode(encoding)) == TABLE


def test_utf_16_without_a_mark_is_declared(file: Path) -> None:
    assert "{encoding: utf-16-le}" in refusal(file, text().encode("utf-16-le"))
    assert "{encoding: utf-16-be}" in refusal(file, text().encode("utf-16-be"))
    assert detected(file, text().encode("utf-16-le"), encoding="utf-16-le") == TABLE


def test_latin_1_is_refused_with_what_it_would_read_and_read_where_declared(file: Path) -> None:
    content = "name,flow\nA,1\nCafé Müller,2\n".encode("latin-1")
    assert "FILE, line 3: not in utf-8. In latin-1 it would read 'Café Müller,2'" in refusal(file, content)
    assert detected(file, content, encoding="latin-1")[2] == ["Café Müller", "2"]


def test_windows_quotes_suggest_cp1252(file: Path) -> None:
    content = "name,flow\nBob’s,1\nA,2\n".encode("cp1252")
    assert "In cp1252 it would read 'Bob’s,1'" in refusal(file, content)


@pytest.mark.parametrize("target", [1 << 26, 10_000, 999])
def test_a_late_byte_that_is_not_utf_8_is_told_with_its_line(file: Path, target: int) -> None:
    """300 kB of plain lines come first, and splits begin within the file."""
    lines = [b"name,flow"] + [b"Shop number %06d,1" % number for number in range(20_000)]
    lines[17_000] = "Café,1".encode("latin-1")
    file.write_bytes(b"\n".join(lines))
    dialect = detect(str(file), {}).dialect
    with pytest.raises(UserError, match=r"line 17001: not in utf-8\. In latin-1 it would read 'Café,1'"):
        read(file, dialect, ["flow"], target)


def test_a_byte_that_is_not_in_the_declared_encoding_is_told_with_its_line(file: Path) -> None:
    content = b"name,flow\n" + b"A,1\n" * 100_000 + b"\x81,2\n"
    assert "line 100002: not in cp1252" in refusal(file, content, encoding="cp1252")
    assert "line 100002" in refusal(file, (content[:-4] + b"\xff\xff,2\n"), encoding="shift_jis")


def test_line_breaks_in_quotes_are_found(file: Path) -> None:
    content = 'name,flow\n"Joe\'s\nBar",1\nA,2\n"\r\n",3\n'
    assert detected(file, content)[1:] == [["Joe's\nBar", "1"], ["A", "2"], ["\r\n", "3"]]
    assert detect(str(file), {}).remarks == ("values in quotes hold line breaks",)


@pytest.mark.parametrize("target", [1 << 26, 10_000])
def test_a_late_line_break_in_quotes_is_told_with_its_line(file: Path, target: int) -> None:
    """The sample holds none, so the file is read in splits, in which such a record would be cut in two."""
    lines = ["name,flow"] + [f"Shop number {number:06},1" for number in range(20_000)]
    lines[17_000] = '"Joe\'s\nBar",1'
    file.write_text("\n".join(lines))
    dialect = detect(str(file), {}).dialect
    assert not dialect.multiline
    with pytest.raises(UserError, match=r"line 17001: a value in quotes does not end on its line.*multiline: true"):
        read(file, dialect, ["flow"], target)
    assert len(detected(file, file.read_text(), multiline=True)) == 20_001


@pytest.mark.parametrize("multiline", [False, True])
def test_a_quote_that_never_closes_is_told_with_its_line(file: Path, multiline: bool) -> None:
    lines = ["name,flow"] + ["A,1"] * 100_000
    lines[90_000] = '"A,1'
    file.write_text("\n".join(lines))
    with pytest.raises(UserError, match="line 90001"):
        read(file, Dialect(multiline=multiline), ["flow"])
    file.write_text('name,flow\nA,"1')
    with pytest.raises(UserError, match="line 2"):
        read(file, Dialect(multiline=multiline), ["flow"])


@pytest.mark.parametrize("multiline", [False, True])
def test_text_behind_a_closing_quote_is_told_with_its_line(file: Path, multiline: bool) -> None:
    r"""A later \" in a file whose sample has none: read by doubled quotes the name would be The \Old\" Pub"."""
    file.write_text('name,flow\n"A",1\n' + '"B, C",2\n' * 10 + '"The \\"Old\\" Pub",3\n')
    with pytest.raises(UserError, match=r"line 13: the quotes of this record do not fit.*escape"):
        read(file, Dialect(multiline=multiline), ["flow"])


def test_quotes_inside_a_plain_value_are_part_of_it(file: Path) -> None:
    assert detected(file, 'name,flow\n5" pipe,1\n6" pipe,2\na "b" c,3\n')[1:] == [
        ['5" pipe', "1"],
        ['6" pipe', "2"],
        ['a "b" c', "3"],
    ]


def test_a_value_that_begins_with_a_lone_quote_is_refused_or_declared(file: Path) -> None:
    content = 'name\tflow\n"Big Apple\t1\nA\t2\nB\t3\n'
    assert "FILE: line 2: the quotes" in refusal(file, content)
    assert detected(file, content, quote="")[1] == ['"Big Apple', "1"]


def test_a_backslash_before_quotes_is_found(file: Path) -> None:
    content = '"name","flow"\n"The \\"Old\\" Pub, Inn","1"\n"A","2"\n"B","3"\n'
    assert detected(file, content)[1] == ['The "Old" Pub, Inn', "1"]


def test_plain_backslashes_are_plain(file: Path) -> None:
    content = 'name,flow\nC:\\dir,1\n"D:\\a, b",2\n\\N,3\n'
    assert [row[0] for row in detected(file, content)[1:]] == ["C:\\dir", "D:\\a, b", "\\N"]


def test_the_null_of_mysql_is_no_letter(file: Path) -> None:
    content = 'name,flow\n"a \\"b\\"",1\n\\N,2\nC,\\N\n'
    assert [row[0] for row in detected(file, content, escape="\\")[1:]] == ['a "b"', "\\N", "C"]


def test_the_null_of_mysql_alone_needs_no_declaration(file: Path) -> None:
    assert detected(file, "name,flow\nA,1\n\\N,\\N\nC,\\N\n")[1:] == [["A", "1"], ["\\N", "\\N"], ["C", "\\N"]]
    assert detect(str(file), {}, ["flow"]).dialect.null == ("", "\\N")


def test_single_quotes_around_all_names_are_quotes(file: Path) -> None:
    assert detected(file, "'name','flow'\n'A, B','1'\n'C','2'\n'it''s','3'\n")[1:] == [
        ["A, B", "1"],
        ["C", "2"],
        ["it's", "3"],
    ]


def test_apostrophes_are_no_quotes(file: Path) -> None:
    assert detected(file, "name,flow\n's-Hertogenbosch,1\nJoe's,2\n'n Bietjie',3\n")[1:] == [
        ["'s-Hertogenbosch", "1"],
        ["Joe's", "2"],
        ["'n Bietjie'", "3"],
    ]


@pytest.mark.parametrize(
    ("remarks", "lines"),
    [
        ("# Source: agency, 2019\n# preliminary\n", 2),
        ("Commuters 2019\n\nSource: agency, 2019, preliminary\n", 3),
        ('Table 5: "flows"\n', 1),
        ("Commuters 2019,\n,\n", 2),
        ("# id,year\n", 1),
    ],
)
def test_remarks_before_the_header_are_skipped_and_said(file: Path, remarks: str, lines: int) -> None:
    assert detected(file, remarks + text()) == TABLE
    assert detect(str(file), {}).dialect.skip_lines == lines
    assert detect(str(file), {}).remarks == (f"the header is in line {lines + 1}, after remarks",)
    assert detected(file, remarks + text(), skip_lines=lines) == TABLE


def test_a_header_that_begins_with_a_hash_is_a_header(file: Path) -> None:
    assert detected(file, "#id,flow\n1,5\n2,6\n")[0] == ["#id", "flow"]


def test_named_columns_tell_the_header(file: Path) -> None:
    """A title row as wide as the table, and a separator within the names."""
    assert detected(file, "Commuters, 2019\n" + text(), ["flow"]) == TABLE
    assert detected(file, "a;b,c\n1;2,3\n4;5,6\n", ["c"])[0] == ["a;b", "c"]


def test_twin_columns_are_refused_by_name(file: Path) -> None:
    assert refusal(file, "origin,flow,flow\nP1,5,1\nP2,6,1\n") == (
        "FILE has several columns named 'flow'. Give each its own name."
    )
    file.write_text("flow, flow \n1,2\n")
    with pytest.raises(UserError, match="several columns named 'flow'"):
        list(csv_batches(str(file), Dialect(), ["flow"]))


def test_columns_without_a_name_do_not_matter(file: Path) -> None:
    file.write_text("origin,flow,,\nP1,5,,\nP2,6,,\n")
    found = detect(str(file), {}, ["flow"])
    assert read(file, found.dialect, ["origin", "flow"]) == ([["P1", "5"], ["P2", "6"]], [])


def test_names_are_trimmed(file: Path) -> None:
    assert detected(file, '\ufeff"origin" , flow\nP1,5\nP2,6\n', separator=",", quote="")[0] == ['"origin"', "flow"]
    assert detected(file, '\ufeff" origin", flow\nP1,5\nP2,6\n')[0] == ["origin", "flow"]


def test_spaces_before_quotes_are_refused(file: Path) -> None:
    assert "a space stands before the quotes" in refusal(file, 'name, flow\n1, "A"\n2, "B"\n3, "C"\n')


@pytest.mark.parametrize("content", ["", "\n\n", "   \n \n", "\ufeff", "\ufeff\n"])
def test_a_file_without_text_is_refused(file: Path, content: str) -> None:
    assert re.match("FILE (is empty|holds nothing but blanks)", refusal(file, content))


def test_a_header_alone_is_a_table_without_rows(file: Path) -> None:
    assert detected(file, "origin,flow") == [["origin", "flow"]]
    assert detected(file, "origin,flow\r\n\r\n") == [["origin", "flow"]]


def test_a_file_of_one_column(file: Path) -> None:
    assert detected(file, "name\nA\n\nB\n") == [["name"], ["A"], ["B"]]
    assert detected(file, 'name\n"A, B"\nC\n') == [["name"], ["A, B"], ["C"]]
    assert detected(file, "name\nA, B\nC\n", separator="|") == [["name"], ["A, B"], ["C"]]


@pytest.mark.parametrize("late", [False, True])
def test_nul_bytes_are_told_with_their_line(file: Path, late: bool) -> None:
    rows = 100_000 if late else 1
    assert f"FILE, line {rows + 2}: holds NUL bytes" in refusal(file, b"a,b\n" + b"1,2\n" * rows + b"\0\0,1\n")


def test_rows_of_another_width_are_malformed(file: Path) -> None:
    content = text() + "P4\n\nP5,1,2\nP6,\n"
    file.write_text(content)
    rows = [["5", "P1"], ["7", "P2"], ["9", "P3"], ["", "P6"]]
    assert read(file, Dialect(), ["flow", "origin"], 9) == (rows, ["P4", "P5,1,2"])
    assert read(file, Dialect(), [], 9) == ([[]] * 4, ["P4", "P5,1,2"])


def test_rows_of_another_width_in_the_sample_are_said(file: Path) -> None:
    file.write_text(text() * 5 + "P4\n")
    assert detect(str(file), {}).remarks == ("1 of 20 rows in the sample have another number of columns",)


def test_a_header_that_is_shorter_than_all_rows_is_refused(file: Path) -> None:
    """Each row ends in a separator; without a word the first one would be taken for the header."""
    assert "line 1 ('origin,flow')" in refusal(file, "origin,flow\nP1,5,\nP2,6,\nP3,7,\n")
    assert "line 1" in refusal(file, "origin,to\nP1,P5,\nP2,P6,\nP3,P7,\n")


def test_two_readings_are_shown_side_by_side(file: Path) -> None:
    message = refusal(file, "a;b,c\n1;2,3\n4;5,6\n")
    assert "separator ',': columns ['a;b', 'c'], then ['9;9', '9']" in message
    assert "separator ';': columns ['a', 'b,c'], then ['9', '9,9']" in message
    assert "Declare csv: {separator: …}" in message
    assert detected(file, "a;b,c\n1;2,3\n4;5,6\n", separator=";")[1] == ["1", "2,3"]


def test_no_separator_that_fits_is_said_with_what_each_gives(file: Path) -> None:
    assert "no separator gives most lines as many columns" in refusal(file, "a,b\n1\n2,3,4\n5\n6;7\n8,9,9,9\n")
    assert "of 3 lines have another number" in refusal(file, "a,b\n1\n2\n3\n", separator=",")


def test_a_missing_column_is_told_with_what_is_there(file: Path) -> None:
    file.write_text(text())
    with pytest.raises(UserError, match=r"has no column 'flows'; it has origin, flow\. Did you mean 'flow'\?"):
        list(csv_batches(str(file), Dialect(), ["flows"]))


def test_a_missing_file_is_told(file: Path) -> None:
    for action in (lambda: detect(str(file), {}), lambda: csv_splits(str(file), Dialect())):
        with pytest.raises(UserError, match="does not exist"):
            action()


def test_decimal_commas_are_found_and_said(file: Path) -> None:
    file.write_text("id|lat|lon\nP0|47,4|19,0\nP1|47,449999|19,06\n")
    found = detect(str(file), {}, ["lat", "lon"])
    assert (found.dialect.separator, found.dialect.decimal, found.dialect.thousands) == ("|", ",", "")
    assert found.remarks == ("columns are separated by '|'", "numbers have a decimal comma ('47,4')")


def test_thousands_are_proven_by_the_separator(file: Path) -> None:
    file.write_text('origin,flow\nP1,20\nP2,"1,234"\n')
    found = detect(str(file), {}, ["flow"])
    assert (found.dialect.decimal, found.dialect.thousands) == (".", ",")
    file.write_text("origin;flow\nP1;20\nP2;1,234\n")
    with pytest.raises(UserError, match=r"flows.csv, column 'flow': '1,234' may be 1.234 .* or 1234 .*Declare which"):
        detect(str(file), {}, ["flow"])
    assert detect(str(file), {"decimal": ","}, ["flow"]).dialect.thousands == ""
    assert detect(str(file), {"thousands": ","}, ["flow"]).dialect.decimal == "."


def test_only_named_columns_prove_the_form_of_numbers(file: Path) -> None:
    file.write_text('origin,flow,kinds\nP1,20.5,"1,2"\nP2,30.5,"3,4"\n')
    assert detect(str(file), {}, ["flow"]).dialect.decimal == "."


def test_other_columns_prove_what_the_named_ones_leave_open(file: Path) -> None:
    file.write_text("origin|trips|km\nP1|4.418|33.622\nP2|1.000|1204.331\n")
    assert detect(str(file), {}, ["trips"]).dialect.decimal == "."
    file.write_text("origin;trips\nP1;1.234\nP2;12\nP3;*\n")
    with pytest.raises(UserError, match=r"column 'trips': '1\.234' may be"):
        detect(str(file), {}, ["trips"])


def test_null_texts_are_found_in_columns_of_numbers_alone_and_said(file: Path) -> None:
    file.write_text("name,income\nNA,5\nB,NA\nC,-666666666\nnull,7\nD,NA\n")
    found = detect(str(file), {}, ["income"])
    assert set(found.dialect.null) == {"", "NA", "-666666666"}
    assert "'NA' is no value (2 in the sample)" in found.remarks
    assert any("'-666666666' is an annotation of the Census: too few" in remark for remark in found.remarks)
    assert detect(str(file), {}).dialect.null == ("",)
    assert detect(str(file), {"null": ["", -1, None]}, ["income"]).dialect.null == ("", "-1", "null")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"delimiter": ";"}, "csv has no key 'delimiter'"),
        ({"seperator": ";"}, "Did you mean 'separator'?"),
        ({"separator": "||"}, r"csv.separator is '\|\|': say one character"),
        ({"separator": "§"}, "ASCII"),
        ({"encoding": "klingon"}, "csv.encoding is 'klingon'"),
        ({"encoding": "base64"}, "no encoding"),
        ({"encoding": 8}, "no encoding"),
        ({"skip_lines": "two"}, "csv.skip_lines is 'two'"),
        ({"skip_lines": True}, "csv.skip_lines is True"),
        ({"skip_lines": -1}, "csv.skip_lines is -1"),
        ({"multiline": "yes"}, "csv.multiline is 'yes'"),
        ({"decimal": ""}, "csv.decimal is ''"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"thousands": "."}, None),
        ({"separator": "'", "quote": "'"}, "separator and quote are both"),
        ({"null": {"a": 1}}, "csv.null is"),
        ({"quote": 5}, "csv.quote is 5"),
    ],
)
def test_a_wrong_declaration_is_told(file: Path, declared: dict[str, object], message: str | None) -> None:
    file.write_text(text())
    if message is None:
        assert detect(str(file), declared, ["flow"]).dialect.decimal == ","
        return
    with pytest.raises(UserError, match=message):
        detect(str(file), declared)


@pytest.mark.parametrize("separator", [" ", ","])
def test_a_lone_quote_in_a_remark_opens_no_value(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b'said by 0 " of the agency\nid\n"\r"\n')
    dialect = Dialect(separator=separator, skip_lines=1, multiline=True)
    assert read(file, dialect, ["id"]) == ([["\r"]], [])
