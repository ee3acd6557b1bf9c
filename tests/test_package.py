"""What importing the package does to a process."""

import os
import subprocess
import sys


def test_waiting_threads_of_torch_sleep() -> None:
    """While they spin, training beside another busy process takes several times as long."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    script = "import mora_pipeline, torch"
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment | {"OMP_DISPLAY_ENV": "true"}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told.stderr
