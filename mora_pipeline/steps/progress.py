"""Tells a log how far a long step is, and about how long it still takes."""

import logging
import time
from dataclasses import dataclass, field

LOG_SECONDS = 10.0


@dataclass
class LogProgress:
    """A `Progress` that logs every ten seconds and at the end of each part."""

    log: logging.Logger
    _totals: dict[str, int] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _logged: dict[str, float] = field(default_factory=dict)

    def __call__(self, what: str, done: int, total: int, note: float | str | None = None) -> None:
        """See `Progress`."""
        now = time.monotonic()
        if total != self._totals.get(what):  # another part of the same name
            self._totals[what], self._began[what], self._logged[what] = total, now, now
        began = self._began[what]
        if now - self._logged[what] < LOG_SECONDS and done != total:
            return
        self._logged[what] = now
        left = (now - began) * (total - done) / done if done else 0.0
        ending = f", about {left:,.0f} s left" if left >= 1 else ""
        if note is not None:
            ending += f", loss {note:.4f}" if isinstance(note, float) else f" ({note})"
        self.log.info(f"{what}: {done:,} of {total:,}{ending}")
