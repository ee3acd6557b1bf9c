"""Secrets out of what people and logs see: the passwords in addresses, and those given by name."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

HIDDEN = "***"
_LOGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/?#@:]*):(?P<password>[^\s/?#]+)@")
_NAMED = re.compile(
    r"(?P<name>(?:password|passwd|pwd|secret|token|api_?key|access_?key|secret_?access_?key|signature|sig)=)[^\s&;,'\"]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """A text in which the passwords of addresses (``scheme://user:password@host``, ``?token=…``) are three stars."""
    text = _LOGIN.sub(lambda match: f"{match['scheme']}{match['user']}:{HIDDEN}@", text)
    return _NAMED.sub(lambda match: f"{match['name']}{HIDDEN}", text)


def without_login(uri: str) -> str:
    """An address without user and password, as a link to it or a program that logs in otherwise needs it."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=_place(parts))) if "@" in parts.netloc else uri


def login_of(uri: str) -> tuple[str, str] | None:
    """User and password of an address, decoded; None if it has no password."""
    parts = urlsplit(uri)
    if not parts.password:
        return None
    return unquote(parts.username or ""), unquote(parts.password)


def has_secret(value: Any) -> bool:
    """Whether a string somewhere in nested mappings and lists holds a password."""
    return any(redacted(text) != text for text in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _place(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
