"""While an asset is made, its log tells how far it is by what it took before."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

TOLD_EVERY_SECONDS = 30.0
EARLIER = 5


def usual_seconds(instance: dg.DagsterInstance, asset: str, region: str) -> float | None:
    """What an asset of a region took before: the longest of the last times, as it may have had nothing to do."""
    chosen = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[region])
    took = []
    for record in instance.fetch_materializations(chosen, limit=EARLIER).records:
        event = record.asset_materialization
        value = event.metadata["seconds"].value if event and "seconds" in event.metadata else None
        if isinstance(value, float | int):
            took.append(float(value))
    return max(took, default=None)


def so_far(asset: str, seconds: float, usual: float | None) -> str:
    """What the log says after `seconds` of an asset that took `usual` seconds before."""
    if usual is None:
        return f"{asset}: {seconds:,.0f} s so far; it is made for the first time, so nobody can tell how long it takes."
    if seconds >= usual:
        return f"{asset}: {seconds:,.0f} s so far, longer than before ({usual:,.0f} s)."
    left = usual - seconds
    return (
        f"{asset}: {seconds:,.0f} s so far, about {seconds / usual:.0%}; about {left:,.0f} s left, as it took before."
    )


@contextmanager
def told(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, asset: str, every: float = TOLD_EVERY_SECONDS
) -> Iterator[None]:
    """The block's run tells in its log every `every` seconds how long it takes."""
    usual = usual_seconds(context.instance, asset, context.partition_key)
    over, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(every):
            context.log.info(so_far(asset, time.monotonic() - began, usual))

    thread = threading.Thread(target=tell, name=f"told-{asset}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
