"""Time and peak memory of the alignment loss, forward and backward: tiles against the whole logit matrix.

python -m benchmarks.loss --batch 20480   # the paper's batch; the dense way then needs 15 GB
Each way runs in a process of its own, so that its peak is its own. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import held_bytes, peak_bytes
from mora_pipeline.training.loss import contrastive_loss
from mora_pipeline.training.parameters import TEMPERATURES


def dense_loss(anchor: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The formula as published."""
    logits = functional.normalize(anchor, dim=1) @ functional.normalize(other, dim=1).T / temperature
    matches = torch.arange(len(logits))
    return (functional.cross_entropy(logits, matches) + functional.cross_entropy(logits.T, matches)) / 2


def measure(way: str, batch: int, dimension: int, repeats: int) -> dict[str, float]:
    """One step over three modalities: the fastest of the repeats in seconds, the peak above the inputs in GiB."""
    function = {"dense": dense_loss, "tiled": contrastive_loss}[way]
    generator = torch.Generator().manual_seed(0)
    mobility, *others = (torch.randn(batch, dimension, generator=generator, requires_grad=True) for _ in range(4))
    before, seconds = held_bytes(), []
    for _ in range(repeats):
        started = time.perf_counter()
        terms = [function(mobility, other, one) for other, one in zip(others, TEMPERATURES.values(), strict=True)]
        loss = torch.stack(terms).mean()
        loss.backward()
        seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "peak_gib": (peak_bytes() - before) / 2**30, "loss": loss.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096, help="cells in the batch")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--way", choices=["dense", "tiled"], help="measure one way alone")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.batch, options.dimension, options.repeats)))
        return
    results = {}
    for way in ("tiled", "dense"):
        command = [sys.executable, "-m", "benchmarks.loss", "--way", way, *sys.argv[1:]]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[way] = json.loads(output.splitlines()[-1])
        print(f"{way}: {results[way]['seconds']:.2f} s, {results[way]['peak_gib']:.2f} GiB")
    speedup = results["dense"]["seconds"] / results["tiled"]["seconds"]
    print(json.dumps({"loss_speedup": round(speedup, 2), "loss_peak_gib": round(results["tiled"]["peak_gib"], 3)}))


if __name__ == "__main__":
    main()
