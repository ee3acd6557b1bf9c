"""Which requests are refused, and why: a web page of another site must not be able to start anything here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mora_pipeline.guard.hosts import HOSTS_VARIABLE, AllowedHosts, is_own_page

JSON = "application/json"
READING = ("GET", "HEAD")
# Answers with data, or changes something; all other paths are pages and their files.
DATA_PATHS = ("graphql", "logs", "notebook", "dagit", "download_debug", "report_asset_")
_ONCE = ("host", "origin", "referer", "content-type", "accept", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")
_LONGEST = 100  # of what is quoted


@dataclass(frozen=True)
class Refusal:
    """The answer to a request that goes no further."""

    message: str
    status: int = 403


def refusal(scope: Mapping[str, Any], hosts: AllowedHosts) -> Refusal | None:
    """Why a request is refused; None if it may go on.

    Args:
        scope: ASGI's, of type ``http`` or ``websocket``.
    """
    headers = _headers(scope["headers"])
    if twice := [name for name in _ONCE if len(headers.get(name, ())) > 1]:
        return Refusal(f"The request has more than one header {twice[0]}.", 400)
    told = {name: values[0] for name, values in headers.items()}
    return _wrong_host(scope, told, hosts) or _foreign(scope, told) or _unusual(scope, told)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in raw:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    return found


def _wrong_host(scope: Mapping[str, Any], told: Mapping[str, str], hosts: AllowedHosts) -> Refusal | None:
    place, server = told.get("host", ""), scope.get("server")
    if hosts.allows(place, server[0] if server else None):
        return None
    return Refusal(
        f"This server does not answer to the name {_quoted(place)}, for a page of another site could have chosen it. "
        f"It answers to {', '.join(sorted(hosts.names))}. If the name is yours, add it to the environment variable "
        f"{HOSTS_VARIABLE} (names with commas between) and start the server again."
    )


def _foreign(scope: Mapping[str, Any], told: Mapping[str, str]) -> Refusal | None:
    """What a page of another site asks for, except that it may lead people here by a link."""
    place = told["host"]
    site = told.get("sec-fetch-site", "none")
    asks = told.get("origin", told.get("referer") if _changes(scope) else None)
    if site in ("same-origin", "none") and (asks is None or is_own_page(asks, place)):
        return None
    if _is_link(scope, told) and "origin" not in told:
        return None
    return Refusal(
        f"A page of another site ({_quoted(asks or site)}) asked for this, not one of {place}. Open "
        f"http://{place} itself and repeat it there. Behind a proxy: it must pass the browser's Host header on "
        "(nginx: proxy_set_header Host $http_host)."
    )


def _changes(scope: Mapping[str, Any]) -> bool:
    return bool(scope["type"] == "websocket" or scope["method"] not in READING)


def _is_link(scope: Mapping[str, Any], told: Mapping[str, str]) -> bool:
    """Whether somebody followed a link to a page: the browser opens it on its own, not inside the other site."""
    top = told.get("sec-fetch-mode") == "navigate" and told.get("sec-fetch-dest") == "document"
    return bool(top and not _changes(scope) and not _is_data(scope))


def _is_data(scope: Mapping[str, Any]) -> bool:
    return str(scope["path"]).lower().lstrip("/").startswith(DATA_PATHS)


def _unusual(scope: Mapping[str, Any], told: Mapping[str, str]) -> Refusal | None:
    """Ways of asking that Dagster takes, its own pages never use, and a browser lets every page use."""
    if scope["type"] == "websocket":
        return None
    method = scope["method"]
    if method not in (*READING, "POST"):
        return Refusal(f"{_quoted(method)} is not answered here: GET, HEAD and POST are.", 405)
    if method == "POST":
        kind = told.get("content-type", "")
        if kind.split(";")[0].strip().lower() == JSON:
            return None
        return Refusal(
            f"A POST must have the header Content-Type: {JSON}, not {_quoted(kind)}: a browser lets no page of another "
            f'site send that unasked. With curl: -H "Content-Type: {JSON}".'
        )
    if str(scope["path"]).strip("/").lower() == "graphql" and "text/html" not in told.get("accept", ""):
        return Refusal(f"GraphQL is asked by POST, with Content-Type: {JSON} and a body of JSON, never by {method}.")
    return None


def _quoted(text: str) -> str:
    """Somebody else's text in a message: short, in ASCII, and without line breaks."""
    return ascii(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
