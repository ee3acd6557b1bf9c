"""The meter sees what a step's children take, which the process's own figures do not show."""

import subprocess
import sys
import time

from mora_pipeline.steps.meter import Meter

HUNGRY = "import time; block = bytearray(200 * 1024**2); block[::4096] = b'x' * len(block[::4096]); time.sleep(1.5)"


def test_memory_of_a_grandchild_counts() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HUNGRY!r}])"
    with Meter(0.05) as meter:
        before = meter.metadata()["peak_memory_gib"]
        subprocess.run([sys.executable, "-c", nested], check=True)
    assert meter.metadata()["peak_memory_gib"] - before > 0.19


def test_time_is_the_walls() -> None:
    with Meter() as meter:
        time.sleep(0.3)
        assert 0.25 <= meter.metadata()["seconds"] < 2
