"""An alert: what is wrong since when, and the command that mends it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "run_failed": "a run of a region failed",
        "night_missed": "the nightly schedule is on, and did not begin on time",
        "night_late": "a region's nightly run has not ended in time",
        "region_old": "a region's embeddings are older than allowed",
        "daemon_dead": "the Dagster daemon gives no sign of life",
        "test": "somebody asked for a test",
    }
)
LONGEST_TEXT = 2000  # characters of a failure's message that an alert repeats


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong.

    Attributes:
        kind: one of `KINDS`.
        title: one line.
        text: the cause, as far as it is known.
        mend: the command to begin with.
        region: whose; None if it concerns all.
        run: id of the run that it is about.
        since: when it was first seen, UTC, ISO 8601.
        mended: whether it is over.
    """

    kind: str
    title: str
    text: str
    mend: str
    region: str | None = None
    run: str | None = None
    since: str = ""
    mended: bool = False

    @property
    def key(self) -> str:
        """The same for as long as the same thing is wrong."""
        return f"{self.kind}:{self.region or ''}"

    def record(self) -> dict[str, Any]:
        """As JSON holds it; `Alert(**record)` is the alert again."""
        return asdict(self)

    def message(self) -> str:
        """What a person reads: the title, the cause, the command."""
        if self.mended:
            return f"Mended: {self.title}"
        parts = [self.title, self.text[:LONGEST_TEXT], f"Begin with: {self.mend}" if self.mend else ""]
        return "\n".join(part for part in parts if part)


def utc_now() -> str:
    """This moment, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
