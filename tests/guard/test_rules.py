"""Who may ask the UI for what: the rules alone, without a server."""

import asyncio
from typing import Any

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.guard import AllowedHosts, Guard
from mora_pipeline.guard.rules import refusal

HOSTS = AllowedHosts.of("127.0.0.1", "mora.example.org")
OWN, EVIL = "http://127.0.0.1:3000", "http://evil.example"
JSON = {"content-type": "application/json"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def scope(method: str = "GET", path: str = "/", kind: str = "http", **headers: str) -> dict[str, Any]:
    told = {"host": "127.0.0.1:3000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    return {"type": kind, "method": method, "path": path, "headers": raw, "server": ("127.0.0.1", 3000)}


def why(method: str = "GET", path: str = "/", kind: str = "http", **headers: str) -> str:
    refused = refusal(scope(method, path, kind, **headers), HOSTS)
    return refused.message if refused else ""


def post(path: str = "/graphql", **headers: str) -> str:
    return why("POST", path, **{"content_type": "application/json", **headers})


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "LOCALHOST:1", "[::1]:3000", "mora.example.org"])
def test_it_answers_to_its_names_on_any_port(host: str) -> None:
    """Another port is what ssh -L makes of ours."""
    assert why(host=host) == ""
    assert why(kind="websocket", host=host) == ""


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1@evil.example", "a b", "[::1", "x:y"]
)
def test_it_answers_to_no_other_name(host: str) -> None:
    for kind in ("http", "websocket"):
        refused = why(kind=kind, host=host)
        assert "MORA_UI_HOSTS" in refused, "the message names the way out"
        assert ascii(host) in refused


def test_it_answers_to_the_address_that_the_connection_came_in_at() -> None:
    """With --host 0.0.0.0: a browser sends an address only if that is what it connects to."""
    here = scope(host="192.168.1.7:3000") | {"server": ("192.168.1.7", 3000)}
    assert refusal(here, AllowedHosts.of("0.0.0.0")) is None
    assert refusal(here | {"server": ("10.0.0.1", 3000)}, AllowedHosts.of("0.0.0.0")) is not None
    assert refusal(scope(host="0.0.0.0:3000"), AllowedHosts.of("0.0.0.0")) is not None
    six = scope(host="[fe80::1]:3000") | {"server": ("fe80::1", 3000)}
    assert refusal(six, AllowedHosts.of("::")) is None


@pytest.mark.parametrize("name", ["https://mora.example.org", "mora.example.org:3000", "*.example.org", "a/b"])
def test_a_wrong_name_in_the_setting_is_told_at_the_start(name: str) -> None:
    with pytest.raises(UserError, match="MORA_UI_HOSTS"):
        AllowedHosts.of("127.0.0.1", f"fine.example, {name}")


def test_our_own_pages_may_ask() -> None:
    assert post(origin=OWN, sec_fetch_site="same-origin") == ""
    assert post(host="mora.example.org", origin="https://mora.example.org") == "", "behind a proxy that speaks TLS"
    assert why(kind="websocket", origin=OWN) == ""


def test_programs_without_a_browser_may_ask() -> None:
    assert post() == post("/report_asset_materialization/x") == why(kind="websocket") == why(path="/server_info") == ""


@pytest.mark.parametrize(
    "origin",
    [EVIL, "null", "http://127.0.0.1:8888", "http://localhost:3000", "https://127.0.0.1:3000.evil.example", "file://",
     "http://127.0.0.1:3000@evil.example", "", "http://", "http://127.0.0.1"],
)  # fmt: skip
def test_a_page_of_another_origin_may_not_ask(origin: str) -> None:
    """Another port of this machine is another site too: a notebook, a page of another user."""
    for refused in (
        post(origin=origin),
        post("/report_asset_check/x", origin=origin),
        why(kind="websocket", origin=origin),
        why(path="/graphql", accept="text/html", origin=origin),
    ):
        assert "another site" in refused


def test_https_and_http_of_one_name_differ_by_their_ports() -> None:
    assert "another site" in post(host="mora.example.org:443", origin="http://mora.example.org")
    assert post(host="mora.example.org:443", origin="https://mora.example.org") == ""


def test_without_an_origin_the_referer_decides() -> None:
    assert "another site" in post(referer=f"{EVIL}/page")
    assert post(referer=f"{OWN}/runs?x=1") == ""


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_gets_no_data_and_no_parts_of_pages(site: str) -> None:
    for path in ("/graphql", "/logs/x", "/download_debug/x", "/notebook", "/", "/favicon.png"):
        assert "another site" in why(path=path, sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image")
    iframe = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert "another site" in why(sec_fetch_site=site, **iframe)
    assert "another site" in post(sec_fetch_site=site)


def test_a_link_on_another_site_opens_a_page_but_no_data() -> None:
    link = {name.replace("-", "_"): value for name, value in LINK.items()}
    assert why(path="/runs/1", referer=EVIL, **link) == ""
    assert "another site" in why(path="/graphql", accept="text/html", **link)
    assert "another site" in why(path="//GraphQL/", **link)
    assert "another site" in post("/runs", **link)


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql",
     "text/plain; application/json", "text/plain; charset=application/json", "application/json-seq"],
)  # fmt: skip
def test_a_post_is_json_or_nothing(kind: str) -> None:
    """Dagster looks for "application/json" anywhere in the header, and else takes the mutation from the address."""
    for path in ("/graphql", "/report_asset_materialization/x", "/anything"):
        assert "application/json" in post(path, content_type=kind)
    assert post(content_type="Application/JSON; charset=utf-8") == ""


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "//graphql", "/GraphQL"])
def test_graphql_is_never_asked_by_get(path: str) -> None:
    assert "POST" in why(path=path)
    assert "POST" in why("HEAD", path)
    assert why(path=path, accept="text/html,*/*") == "", "the page to try queries on, which runs none by itself"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_other_methods_are_refused(method: str) -> None:
    assert why(method, "/graphql", content_type="application/json") != ""


def test_a_header_sent_twice_is_refused() -> None:
    """Two programs on the way might each believe another one."""
    for name, value in ((b"host", b"localhost"), (b"Origin", OWN.encode()), (b"content-type", b"application/json")):
        double = scope("POST", "/graphql", origin=OWN, **JSON)
        double["headers"] += [(name, value)]
        refused = refusal(double, HOSTS)
        assert refused is not None
        assert refused.status in (400, 403)


def test_what_is_quoted_is_short_and_on_one_line() -> None:
    refused = why(host="<script>\r\nSet-Cookie: x" + "y" * 5000)
    assert "\n" not in refused
    assert len(refused) < 600


def answers(asked: dict[str, Any], app_headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """What a client of a guarded app gets."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": app_headers})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a refusal needs no body")

    asyncio.run(Guard(app, HOSTS)(asked, receive, send))
    return sent


def test_every_answer_forbids_frames_and_keeps_the_apps_own_policy() -> None:
    own = [(b"Content-Security-Policy", b"script-src 'self'"), (b"Referrer-Policy", b"no-referrer"),
           (b"X-Content-Type-Options", b"nosniff")]  # fmt: skip
    for asked, status in ((scope(), 200), (scope(host="evil.example"), 403)):
        start, body = answers(asked, own)
        headers = [(name.lower(), value) for name, value in start["headers"]]
        assert start["status"] == status
        assert (b"content-security-policy", b"frame-ancestors 'none'") in headers
        assert (b"x-frame-options", b"DENY") in headers
        assert headers.count((b"x-content-type-options", b"nosniff")) == 1
        assert (body["body"] == b"page") == (status == 200)
        assert ((b"content-security-policy", b"script-src 'self'") in headers) == (status == 200)
        assert (b"referrer-policy", b"same-origin") not in headers


def test_a_refused_websocket_is_told_why_where_the_server_can() -> None:
    asked = scope(kind="websocket", origin=EVIL)
    assert answers(asked, []) == [{"type": "websocket.close", "code": 1008}]
    start, body = answers(asked | {"extensions": {"websocket.http.response": {}}}, [])
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert b"another site" in body["body"]
