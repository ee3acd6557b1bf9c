"""The Hugging Face hub: whether it can be reached, and what to say when it cannot."""

import os
import socket
import urllib.request
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds to wait for a connection


def hub_is_out_of_reach() -> bool:
    """True if downloads cannot work, so that a missing model is reported at once and not after minutes of retries.

    Behind a proxy only the proxy knows; the hub then counts as in reach.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return True
    address = urlsplit(constants.ENDPOINT)
    host = address.hostname or ""
    proxies = urllib.request.getproxies()  # by scheme; `no` holds the hosts that none is used for
    if (address.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host):
        return False
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return True
    return False


def first_line(error: BaseException) -> str:
    """An exception as one line of a message."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
