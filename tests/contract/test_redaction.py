"""Passwords stay out of what people and logs see."""

import pytest

from mora_pipeline.contract.redaction import has_secret, login_of, redacted, without_login


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://mora:S3cret@host:5000/x", "http://mora:***@host:5000/x"),
        ("at postgresql+psycopg2://mora:a:b@c@db/x, failed", "at postgresql+psycopg2://mora:***@db/x, failed"),
        ("s3://:S3cret@bucket/a b http://u:p@h", "s3://:***@bucket/a b http://u:***@h"),
        ("https://host/x?token=abc&n=1", "https://host/x?token=***&n=1"),
        ("host=db password=abc dbname=x", "host=db password=*** dbname=x"),
    ],
)
def test_passwords_become_stars(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    "text", ["http://host:5000/a@b", "user@host", "sqlite:////a/b.db", "a: b@c", "http://mora@host"]
)
def test_other_texts_stay(text: str) -> None:
    assert redacted(text) == text
    assert not has_secret({"a": [text, 3, None]})


def test_an_address_is_taken_apart() -> None:
    uri = "https://mora:S3%40cret@[::1]:5000/a?b=c"
    assert without_login(uri) == "https://[::1]:5000/a?b=c"
    assert login_of(uri) == ("mora", "S3@cret")
    assert login_of("http://mora@host") is None
    assert without_login("http://mora@host/x") == "http://host/x"
    assert without_login("sqlite:////a/b.db") == "sqlite:////a/b.db"


def test_secrets_are_found_in_nested_settings() -> None:
    assert has_secret({"resources": {"tracking": {"config": {"uri": ["http://u:p@h"]}}}})
