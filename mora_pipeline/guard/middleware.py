"""The guard as ASGI middleware: refuses what `rules` refuses, and forbids other sites to show our pages in theirs."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mora_pipeline.guard.hosts import AllowedHosts
from mora_pipeline.guard.rules import Refusal, refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A second Content-Security-Policy narrows the page's own; it does not replace it.
ALWAYS = (
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
UNLESS_GIVEN = ((b"referrer-policy", b"same-origin"),)
_SINGLE = {
    b"x-frame-options",
    b"x-content-type-options",
    b"cross-origin-opener-policy",
    b"cross-origin-resource-policy",
}

logger = logging.getLogger(__name__)


class Guard:
    """An app behind the guard."""

    def __init__(self, app: App, hosts: AllowedHosts) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or websocket, or pass it on; whatever else a server says to its app passes."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = refusal(scope, self.hosts)
        if refused is None:
            await self.app(scope, receive, _with_headers(send))
            return
        logger.warning("Refused %s %a: %s", scope.get("method", "websocket"), scope["path"][:100], refused.message)
        await _answer(refused, scope, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in _SINGLE]
            given = {name.lower() for name, _ in own}
            message["headers"] = [*own, *ALWAYS, *(item for item in UNLESS_GIVEN if item[0] not in given)]
        await send(message)

    return sending


async def _answer(refused: Refusal, scope: Scope, send: Send) -> None:
    """Send a refusal as plain text; a websocket whose server cannot do so is closed, which browsers see as a 403."""
    kind, body = "http.response", f"{refused.message}\n".encode()
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *ALWAYS]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
