"""Pseudonyms of users, and how raw values are shown."""

import json
import os
import stat
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import printable, scrubbed, shape, without_values
from mora_pipeline.raw.csv_files import MALFORMED
from mora_pipeline.raw.pseudonyms import home_key, job_key, pseudonym
from mora_pipeline.raw.shown_rows import as_json, as_shapes, shapes_of

KEY = bytes(range(32))


def test_a_home_has_one_key_that_its_user_alone_may_read(tmp_path: Path) -> None:
    """Also if several processes ask for it first at once."""
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(home_key(tmp_path / "home"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    (file,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert home_key(tmp_path / "home") == found[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"short")
    with pytest.raises(UserError, match=r"pseudonyms\.key is no key of pseudonyms: it has 5 bytes, not 32"):
        home_key(tmp_path / "home")


def test_a_job_without_a_home_leaves_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORA_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert job_key() != job_key()
    assert not list(tmp_path.iterdir())


def test_a_pseudonym_is_one_users_under_one_key() -> None:
    """HMAC-SHA256, as another tool would compute it."""
    assert pseudonym(KEY, "ada") == pseudonym(KEY, "ada") != pseudonym(KEY, "bob")
    assert pseudonym(KEY, "ada") != pseudonym(KEY[::-1], "ada")
    assert pseudonym(KEY, 7) == pseudonym(KEY, "7")
    assert len(pseudonym(KEY, "ada")) == len("user:") + 16


def test_rows_are_kept_as_they_are_but_for_their_users() -> None:
    raw = pa.record_batch({"who": ["ada", "", None], "lat": ["1", "x", "3"], MALFORMED: pa.nulls(3, pa.string())})
    rows = [json.loads(text) for text in as_json(raw, ("who",), KEY).to_pylist()]
    assert rows[0] == {"who": pseudonym(KEY, "ada"), "lat": "1"}
    assert rows[1:] == [{"who": "", "lat": "x"}, {"who": None, "lat": "3"}]
    assert json.loads(as_json(raw)[0].as_py()) == {"who": "ada", "lat": "1"}
    assert json.loads(as_shapes(raw)[0].as_py()) == {"who": "aaa", "lat": "9"}
    assert shapes_of('{"who": "ada", "n": 12.5, "none": null}') == '{"who": "aaa", "n": "99.9", "none": null}'


def test_a_malformed_record_of_users_is_shown_by_its_shape() -> None:
    raw = pa.record_batch({"who": pa.nulls(1, pa.string()), MALFORMED: ["ada,7,8"]})
    assert as_json(raw, ("who",), KEY).to_pylist() == ['{"record": "aaa,9,9"}']
    assert as_json(raw).to_pylist() == ['{"record": "ada,7,8"}']


@given(st.text() | st.integers() | st.floats() | st.binary())
def test_a_shape_tells_no_letter_and_no_digit(value: object) -> None:
    assert not set(shape(value)) & set("bcdefghijklmnopqrstuvwxyzABCXYZ01234567 8".replace(" ", ""))
    assert shape(value).isprintable()
    assert len(shape(value)) <= 25


@given(st.text())
def test_what_is_printable_can_be_printed(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(os.fsdecode(b"a\xff\n")) == "a\\udcff\\n"


def test_what_libraries_quote_is_shown_by_its_shape() -> None:
    assert scrubbed("Failed to parse string: 'Ada 7' as a scalar of type double") == (
        "Failed to parse string: 'aaa 9' as a scalar of type double"
    )
    assert scrubbed("CSV parse error: Row #3: Expected 2 columns, got 3: ada,7,8") == (
        "CSV parse error: Row #3: Expected 2 columns, got 3"
    )
    try:
        int("Ada")
    except ValueError as error:
        told = without_values(error)
    assert told.startswith("ValueError at test_pseudonyms.py:")
    assert "Ada" not in told
