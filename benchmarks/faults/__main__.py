"""``python -m benchmarks.faults [--kills 200] [--kinds tree,worker] [--seed 0]``; ends with 1 if anything was left."""

import json
import statistics
import sys
from dataclasses import asdict

import click

from benchmarks.faults.bench import Bench
from benchmarks.faults.kinds import KINDS


@click.command()
@click.option("--kills", default=200, show_default=True, help="Faults in all.")
@click.option("--kinds", default=",".join(KINDS), show_default=True, help="Kinds of fault, with commas.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other moments.")
def main(kills: int, kinds: str, seed: int) -> None:
    """Kill runs of a tiny region at moments of chance, and look at what is left after each."""
    bench = Bench([kind for kind in kinds.split(",") if kind in KINDS], seed, click.echo)
    result = bench.run(kills)
    for kind, seconds in bench.table.items():
        median = statistics.median(seconds)
        click.echo(
            f"{kind:<9} {len(seconds):>4} faults, the next command: median {median:.1f} s, longest {max(seconds):.1f}"
        )
    click.echo(json.dumps(asdict(result)))
    sys.exit(0 if result.clean else 1)


if __name__ == "__main__":
    main()
