"""Training's three kernels beside what they replace: every part in turn, their figures in one JSON line at the end.

python -m benchmarks.training                 # the paper's batch: the dense loss takes 12.6 GiB
python -m benchmarks.training --batch 8192    # on a smaller machine
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
from pathlib import Path

from benchmarks.measure import REPORTS, run_shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=20480, help="cells in the batch of the loss")
    parser.add_argument("--cells", type=int, default=50_000, help="cells of the graph that is propagated over")
    parser.add_argument("--edges", type=int, default=1_000_000, help="its edges; both directions make twice as many")
    parser.add_argument("--region", default="us_east", help="region of examples/ that LINE learns from")
    parser.add_argument("--program", metavar="FILE", help="LINE's authors' C++ program, to run beside ours")
    parser.add_argument("--repeats", type=int, default=2, help="steps of the loss, the fastest of which counts")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved tables")
    options = parser.parse_args()
    shared = ["--reports", str(options.reports)]
    parts = {
        "benchmarks.loss": ["--batch", options.batch, "--repeats", options.repeats],
        "benchmarks.propagation": ["--cells", options.cells, "--edges", options.edges],
        "benchmarks.line": [options.region, "--without-tasks", "--name", "line_speed"],
    }
    if options.program:
        parts["benchmarks.line"] += ["--program", options.program]
    figures: dict[str, float] = {}
    for module, arguments in parts.items():
        figures |= run_shown(module, [*map(str, arguments), *shared])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
