"""The Spark jobs beside single-node engines: every part in turn, their figures in one JSON line at the end.

python -m benchmarks.spark --size 100M                   # all parts
python -m benchmarks.spark --size 1B --part sampling
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
from pathlib import Path

from benchmarks.measure import run_shown

PARTS = {
    "sampling": ("benchmarks.spark_sampling",),
    "gridding": ("benchmarks.spark_gridding", "--kind", "trips"),
    "events": ("benchmarks.spark_gridding", "--kind", "events"),
    "incremental": ("benchmarks.spark_incremental",),
    "hours": ("benchmarks.spark_hours",),
    "skew": ("benchmarks.spark_skew",),
}


def run_part(part: str, size: str, data: Path, others: list[str]) -> dict[str, float]:
    """Run a part as a program of its own, shown as it goes.

    Returns:
        Its last line, the figures.
    """
    module, *arguments = PARTS[part]
    return run_shown(module, [*arguments, "--size", size, "--data", str(data), *others])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="10M", help="rows: 10M, 100M, 1B")
    parser.add_argument("--part", choices=[*PARTS], help="one part alone")
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"), help="folder of the generated data")
    options, others = parser.parse_known_args()
    if others and not options.part:
        parser.error(f"{' '.join(others)}: options of a part need --part.")
    figures: dict[str, float] = {}
    for name in PARTS:
        if options.part in (None, name):
            figures |= run_part(name, options.size, options.data, others)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
