"""What a script prints in processes of their own."""

import os
import subprocess
import sys


def printed_in_two_processes(script: str) -> set[bytes]:
    """What it prints where sets of texts have one order, and where they have another; one item if that is the same."""
    return {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
