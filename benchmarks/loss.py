"""Time and peak memory of the alignment loss, forward and backward: tiles against the whole logit matrix.

python -m benchmarks.loss                # the paper's batch, for which the dense way takes 12.6 GiB
python -m benchmarks.loss --batch 4096   # on a smaller machine
Each way runs in a process of its own, so that its peak is its own. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import REPORTS, held_bytes, machine, peak_bytes, run_alone, save_report
from mora_pipeline.modalities import kinds
from mora_pipeline.presets.paper.loss import contrastive_loss


def dense_loss(anchor: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The formula as it is written in papers."""
    logits = functional.normalize(anchor, dim=1) @ functional.normalize(other, dim=1).T / temperature
    matches = torch.arange(len(logits))
    return (functional.cross_entropy(logits, matches) + functional.cross_entropy(logits.T, matches)) / 2


TEMPERATURES = [kind.config.model_fields["temperature"].default for kind in kinds()]
WAYS = {"tiled": contrastive_loss, "dense": dense_loss}


def measure(way: str, batch: int, dimension: int, repeats: int) -> dict[str, float]:
    """One step over the modalities: the fastest of the repeats in seconds, the peak above the inputs in GiB."""
    function = WAYS[way]
    generator = torch.Generator().manual_seed(0)
    mobility, *others = (
        torch.randn(batch, dimension, generator=generator, requires_grad=True) for _ in range(1 + len(TEMPERATURES))
    )
    before, seconds = held_bytes(), []
    for _ in range(repeats):
        started = time.perf_counter()
        terms = [function(mobility, other, one) for other, one in zip(others, TEMPERATURES, strict=True)]
        loss = torch.stack(terms).mean()
        loss.backward()
        seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "peak_gib": (peak_bytes() - before) / 2**30, "loss": loss.item()}


def compare(batch: int, dimension: int, repeats: int, reports: Path) -> dict[str, float]:
    """Both ways, each in a process of its own; the table goes to the folder of reports."""
    arguments = ["--batch", str(batch), "--dimension", str(dimension), "--repeats", str(repeats)]
    facts = {"batch": batch, "modalities": len(TEMPERATURES), "dimension": dimension, **machine("torch")}
    results = {way: run_alone("benchmarks.loss", [*arguments, "--way", way]) for way in WAYS}
    rows = [
        {"way": way, **{name: round(value, 3) for name, value in figures.items()}} for way, figures in results.items()
    ]
    print(save_report(reports, "loss", "Alignment loss, forward and backward", rows, facts))
    speedup = results["dense"]["seconds"] / results["tiled"]["seconds"]
    return {"loss_speedup": round(speedup, 2), "loss_peak_gib": round(results["tiled"]["peak_gib"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=20480, help="cells in the batch; the paper's is 20480")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--way", choices=WAYS, help="measure one way alone")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.batch, options.dimension, options.repeats)))
        return
    print(json.dumps(compare(options.batch, options.dimension, options.repeats, options.reports)))


if __name__ == "__main__":
    main()
