"""The fence: a step publishes only while its run holds its region."""

import time
from collections.abc import Callable
from pathlib import Path

from mora_pipeline.contract.files import is_claimed
from mora_pipeline.runs.locks import holder_in, lock_of


class RunEndedError(Exception):
    """The run of this step has ended, so the step may not publish."""


def fence_of(home: Path, region: str, token: str) -> Callable[[], None]:
    """What `lake.commits.commit` calls in the step that publishes.

    Args:
        token: of the run, as its processes carry it.

    Returns:
        A function that raises `RunEndedError` if the process of the run is gone, or another run makes the region.
    """
    path = lock_of(home, region)

    def check() -> None:
        holder = holder_in(path)
        if holder is None:  # perhaps its text is being replaced
            time.sleep(0.1)
            holder = holder_in(path)
        if holder is None or holder.token != token or not is_claimed(path):
            now = f" It is made by {holder.words}." if holder and holder.token != token else ""
            raise RunEndedError(
                f"The run of this step has ended, so nothing of it was published; the versions before stay.{now}"
            )

    return check
