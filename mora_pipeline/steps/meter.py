"""Wall time and peak memory of a step, its child processes included (Spark's JVM is a grandchild)."""

import threading
import time

import psutil

INTERVAL_SECONDS = 0.25
GIB = 1024**3


class Meter:
    """Samples the resident memory of a process (this one, unless told) and all below it while a `with` lasts.

    Pages that processes share count once for each of them. Peaks shorter than the interval can be missed.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS, process: int | None = None) -> None:
        self._interval = interval_seconds
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-meter", daemon=True)
        self._started = time.monotonic()
        self.peak_bytes = 0

    def __enter__(self) -> "Meter":
        self._started = time.monotonic()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def metadata(self) -> dict[str, float]:
        """``seconds`` and ``peak_memory_gib`` until now."""
        self._sample()
        return {
            "seconds": round(time.monotonic() - self._started, 2),
            "peak_memory_gib": round(self.peak_bytes / GIB, 3),
        }

    def _watch(self) -> None:
        while not self._over.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        total = 0
        try:
            top = psutil.Process(self._process)
            tree = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:  # it ended before this sample
            return
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.Error:  # it ended between the two calls
                continue
        self.peak_bytes = max(self.peak_bytes, total)
