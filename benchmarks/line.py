"""LINE by sampling and in closed form: time, memory, AUC of held-out flows, and R² of a region's cell tasks.

python -m benchmarks.line us_east us_counties nyc_regions   # of examples/, whose files lie in ../shared/data
Vectors are learned twice: from nine tenths of the pairs for the AUC, from all for the R². The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.link_prediction import hold_out
from benchmarks.measure import REPORTS, ROOT, held_bytes, machine, peak_bytes, run_alone, save_report
from benchmarks.regions import Flows, load_flows
from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol import run_benchmark
from mora_pipeline.evaluation.tasks import load_tasks
from mora_pipeline.training.line import num_samples, train_line
from mora_pipeline.training.parameters import LineParameters

METHODS = ("sampled", "closed_form")
# Few and coarse trees: it is the ways that are compared, not the tasks.
PROTOCOL = BenchmarkParameters(trees=100, bins=63)


def learn(flows: Flows, kept: npt.NDArray[np.bool_] | slice, parameters: LineParameters) -> npt.NDArray[np.float32]:
    edges = (flows.origin[kept], flows.destination[kept], flows.flow[kept])
    return train_line(*edges, len(flows.cells), parameters)


def measure(region: str, method: str, with_tasks: bool) -> dict[str, Any]:
    """One way on one region: seconds and peak of learning from all flows, AUC, mean R² by split and model."""
    flows, parameters = load_flows(region), LineParameters.model_validate({"method": method})
    before, started = held_bytes(), time.perf_counter()
    vectors = learn(flows, slice(None), parameters)
    row: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 2)}
    row["peak_gib"] = round((peak_bytes() - before) / 2**30, 2)
    if method == "sampled":
        samples = num_samples(len(flows.flow), len(flows.cells), parameters)
        row["msamples_per_s"] = round(samples / row["seconds"] / 1e6, 2)
    held = hold_out(flows)
    row |= {name: round(area, 4) for name, area in held.scores(learn(flows, held.kept, parameters)).items()}
    if with_tasks:
        row |= mean_r2(flows, vectors)
    return row


def mean_r2(flows: Flows, vectors: npt.NDArray[np.float32]) -> dict[str, float]:
    tasks = [task for task in load_tasks(flows.config, flows.cells) if task.level == "cell"]
    scores = run_benchmark({"line": vectors}, tasks, PROTOCOL).to_pandas().dropna(subset="r2")
    means = scores.groupby(["split", "model"])["r2"].mean()
    return {f"r2_{split}_{model}": round(float(value), 3) for (split, model), value in means.items()}


def compare(regions: list[str], with_tasks: bool, reports: Path, name: str) -> dict[str, Any]:
    """Every way on every region, each in a process of its own; the table goes to the folder of reports."""
    rows = []
    for region in regions:
        for method in METHODS:
            told = ["--region", region, "--method", method] + (["--without-tasks"] if not with_tasks else [])
            rows.append({"region": region, "method": method, **run_alone("benchmarks.line", told)})
            print(json.dumps(rows[-1]), flush=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [{name: row.get(name, "") for name in columns} for row in rows]
    facts = {"held out": "a tenth of the pairs", "trees": PROTOCOL.trees, **machine("torch", "numpy", "scipy")}
    print(save_report(reports, name, "LINE, sampled and in closed form", table, facts))
    sampled = next(row for row in rows if row["method"] == "sampled")
    return {"line_msamples_per_s": sampled["msamples_per_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regions", nargs="*", default=["us_east"], help=f"folders of {ROOT / 'examples'}, kind od")
    parser.add_argument("--without-tasks", action="store_true", help="leave out R²")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--name", default="line", help="of the saved table")
    parser.add_argument("--region", help="measure one region alone")
    parser.add_argument("--method", choices=METHODS, help="and one way")
    options = parser.parse_args()
    if options.region and options.method:
        print(json.dumps(measure(options.region, options.method, not options.without_tasks)))
        return
    print(json.dumps(compare(options.regions, not options.without_tasks, options.reports, options.name)))


if __name__ == "__main__":
    main()
