"""The names a server answers to, and whether an address belongs to the page that asks.

A page of another site can point a name of its own at 127.0.0.1 (DNS rebinding); the browser then takes us for that
site. It cannot make the browser send a name of ours, so we answer to those alone.
"""

import re
from dataclasses import dataclass

from mora_pipeline.contract.errors import UserError

HOSTS_VARIABLE = "MORA_UI_HOSTS"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY_ADDRESS = ("0.0.0.0", "::", "[::]")
_PLACE = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_ADDRESS = re.compile(r"(https?)://([^/?#]*)")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class AllowedHosts:
    """Names and addresses, without ports; IPv6 addresses in brackets."""

    names: frozenset[str]

    @classmethod
    def of(cls, host: str, further: str = "") -> "AllowedHosts":
        """The loopback names, the address that a server listens on, and further ones.

        Args:
            host: what the server binds to; 0.0.0.0 adds no name.
            further: names with commas between, as in MORA_UI_HOSTS.

        Raises:
            UserError: if a name has a port, a scheme or a star.
        """
        names = [name.strip().lower() for name in further.split(",") if name.strip()]
        for name in names:
            if not (parts := place_of(_bracketed(name))) or parts[1] is not None:
                raise UserError(
                    f"{HOSTS_VARIABLE} has '{name}', which is no name of a server. Write names or addresses alone, "
                    f"with commas between, no https://, ports or stars: {HOSTS_VARIABLE}=mora.example.org,10.0.0.7"
                )
        own = [] if host in ANY_ADDRESS else [host.lower()]
        return cls(frozenset(map(_bracketed, (*LOOPBACK, *own, *names))))

    def allows(self, place: str, arrived_at: str | None = None) -> bool:
        """Whether a Host header names this server.

        Args:
            arrived_at: the server's own address that the connection came in at; an address cannot be rebound.
        """
        parts = place_of(place)
        own = (_bracketed(arrived_at.lower()),) if arrived_at else ()
        return parts is not None and (parts[0] in self.names or parts[0] in own)


def place_of(text: str) -> tuple[str, int | None] | None:
    """Host (lower case) and port of ``host:port`` or ``host``; None if it is neither."""
    match = _PLACE.fullmatch(text.lower())
    return (match[1], int(match[2]) if match[2] else None) if match else None


def is_own_page(address: str, place: str) -> bool:
    """Whether an Origin or Referer is a page of the server that a Host header names: same host and same port."""
    match = _ADDRESS.match(address.lower())
    there, here = (place_of(match[2]) if match else None), place_of(place)
    if match is None or there is None or here is None:
        return False
    usual = _PORTS[match[1]]
    return (there[0], there[1] or usual) == (here[0], here[1] or usual)


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
