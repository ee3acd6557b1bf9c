"""Tells the run's log how far a long step is."""

import time
from collections.abc import Callable

import dagster as dg

LOG_SECONDS = 10.0


def log_progress(context: dg.AssetExecutionContext, what: str) -> Callable[..., None]:
    """A callback (done, total, and a loss or a word on what was done) that logs every ten seconds and at the end."""
    last = time.monotonic()

    def tell(done: int, total: int, more: float | str | None = None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_SECONDS or done == total:
            last = now
            ending = {float: f", loss {more:.4f}" if isinstance(more, float) else "", str: f" ({more})"}
            context.log.info(f"{what}: {done:,} of {total:,}" + ending.get(type(more), ""))

    return tell
