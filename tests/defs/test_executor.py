"""What steps are forked from: imported once, and safe to fork."""

import json
import subprocess
import sys

from mora_pipeline.defs.executor import PRELOADED

LOOK = f"""
import importlib, json, sys, threading
for name in {PRELOADED!r}:
    importlib.import_module(name)
threads, before = threading.active_count(), len(sys.modules)
import torch
weights = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.Adam([weights])
weights.sum().backward()
optimizer.step()
print(json.dumps([threads, len(sys.modules) - before]))
"""


def test_the_server_of_steps_has_one_thread_and_a_step_that_trains_imports_nothing_more() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LOOK], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [1, 0]
