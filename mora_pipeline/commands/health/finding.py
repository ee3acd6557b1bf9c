"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was seen, and how to mend it.

    Attributes:
        name: what was looked at.
        level: `bad` keeps something from working, `warn` may.
        mend: a command or a sentence; empty where all is well.
    """

    name: str
    level: Literal["ok", "warn", "bad"]
    text: str
    mend: str = ""
