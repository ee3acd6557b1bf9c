"""Spark jobs without a scheduler: what they print is read rightly, and an interrupt ends them before it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.steps import spark
from mora_pipeline.steps.spark import LocalSpark, StepError

ROOT = Path(__file__).resolve().parents[2]
REPORT = 'print(\'{"rows": {}, "read": 3, "checks": {"no_nan": {"passed": true}}}\')\n'
INTERRUPTED = """
import sys
from mora_pipeline.steps import spark
spark.SECONDS_TO_END = float(sys.argv[1])
try:
    spark.run_child([sys.executable, "-c", sys.argv[2]], {})
except KeyboardInterrupt:
    print("interrupted")
"""
CHILD = """
import os, signal, sys, time
{signals}
print(os.getpid(), flush=True)
while True: time.sleep(0.1)
"""


def run(monkeypatch: pytest.MonkeyPatch, program: str) -> spark.SparkReport:
    monkeypatch.setattr(spark, "job_command", lambda job, file: [sys.executable, "-c", program])
    return LocalSpark().run("count", {"path": Path("/somewhere")})


def test_a_report_is_found_among_other_lines(monkeypatch, capsys) -> None:
    """The JVM prints to the same output, also after the report."""
    report = run(monkeypatch, "print('WARN a line before')\n" + REPORT + "print('[] a line after')")
    assert report.read == 3
    assert capsys.readouterr().err.splitlines() == ["WARN a line before", "[] a line after"]


def test_silence_death_and_mistakes_are_told_apart(monkeypatch) -> None:
    with pytest.raises(StepError, match="never reported"):
        run(monkeypatch, "pass")
    with pytest.raises(StepError, match="code -9"):
        run(monkeypatch, REPORT + "import os, signal, sys; sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(UserError, match=r"flows\.csv: 7 of 9 rows are bad"):
        run(monkeypatch, 'print(\'{"error": "flows.csv: 7 of 9 rows are bad."}\'); raise SystemExit(2)')


@pytest.mark.parametrize("signals", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)"])
def test_an_interrupt_ends_the_child_and_stays_an_interrupt(signals: str) -> None:
    """Also if the child does not listen: then it is killed, and the interrupt is not replaced by a time-out."""
    command = [sys.executable, "-c", INTERRUPTED, "0.5", CHILD.format(signals=signals)]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGINT)
    assert parent.stdout.read().strip() == "interrupted"
    assert parent.wait(30) == 0
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
