"""LINE by sampling and in closed form: time, memory, AUC of held-out flows, and R² of a region's cell tasks.

python -m benchmarks.line us_east us_counties nyc_regions   # of examples/, whose files are in ../shared/data
python -m benchmarks.line us_east --program LINE/linux/line  # beside LINE's authors' C++ program, see line_original.py
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
import pandas as pd

from benchmarks.line_original import learn_originally
from benchmarks.link_prediction import hold_out
from benchmarks.measure import REPORTS, ROOT, held_bytes, machine, peak_bytes, run_alone, save_report
from benchmarks.regions import Flows, load_flows
from mora_pipeline.evaluation.labels.tasks import load_tasks
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark
from mora_pipeline.evaluation.protocol.scores import score_row
from mora_pipeline.presets.paper.line import num_samples, train_line
from mora_pipeline.presets.paper.parameters import LineParameters

ORIGINAL = "original_program"
METHODS = ("sampled", "closed_form", ORIGINAL)
# The short protocols and one seed: it is the ways that are compared, not the tasks.
PROTOCOL = BenchmarkParameters(protocols=["random", "blocked", "linear"], seeds=[42])


class Learner:
    """One way to learn vectors from flows.

    Args:
        program: LINE's authors' program, if that is the way.
        rate: LINE's learning rate.
        whole_millions: draw as many edges as the program does, which counts in millions.
    """

    def __init__(self, method: str, program: Path | None, rate: float, whole_millions: bool) -> None:
        self.method, self.program, self.whole_millions = method, program, whole_millions
        settings = {"learning_rate": rate, **({} if program else {"method": method})}
        self.parameters = LineParameters.model_validate(settings)

    def parameters_for(self, num_edges: int, num_cells: int) -> LineParameters:
        if not self.whole_millions:
            return self.parameters
        samples = max(round(num_samples(num_edges, num_cells, self.parameters) / 1e6), 1) * 1_000_000
        return self.parameters.model_copy(update={"samples_per_edge": samples, "maximum_samples": samples})

    def learn(self, flows: Flows, kept: npt.NDArray[np.bool_] | slice) -> tuple[npt.NDArray[np.float32], float]:
        """Vectors [N, d], and the seconds that they took."""
        edges, num_cells = (flows.origin[kept], flows.destination[kept], flows.flow[kept]), len(flows.cells)
        parameters = self.parameters_for(len(edges[0]), num_cells)
        if self.program:
            return learn_originally(self.program, edges, num_cells, parameters)
        started = time.perf_counter()
        vectors = train_line(*edges, num_cells, parameters)
        return vectors, time.perf_counter() - started


def measure(region: str, learner: Learner, with_tasks: bool) -> dict[str, Any]:
    """One way on one region: seconds and peak of learning from all flows, AUC, mean R² by split and model."""
    flows, before = load_flows(region), held_bytes()
    vectors, seconds = learner.learn(flows, slice(None))
    row: dict[str, Any] = {"seconds": round(seconds, 2)}
    if not learner.program:
        row["peak_gib"] = round((peak_bytes() - before) / 2**30, 2)
    if learner.method != "closed_form":
        parameters = learner.parameters_for(len(flows.flow), len(flows.cells))
        samples = num_samples(len(flows.flow), len(flows.cells), parameters)
        row["msamples_per_s"] = round(samples / seconds / 1e6, 2)
    held = hold_out(flows)
    row |= {name: round(area, 4) for name, area in held.scores(learner.learn(flows, held.kept)[0]).items()}
    if with_tasks:
        row |= mean_r2(flows, vectors)
    return row


def mean_r2(flows: Flows, vectors: npt.NDArray[np.float32]) -> dict[str, float]:
    tasks = [task for task in load_tasks(flows.config, flows.cells) if task.level == "cell"]
    records = run_benchmark({"line": vectors}, tasks, PROTOCOL)
    scores = pd.DataFrame([score_row(record) for record in records]).dropna(subset="r2")
    means = scores.groupby(["split", "model"])["r2"].mean()
    return {f"r2_{split}_{model}": round(float(value), 3) for (split, model), value in means.items()}


def compare(
    regions: list[str], with_tasks: bool, program: Path | None, rate: float, reports: Path, name: str
) -> dict[str, Any]:
    """Every way on every region, each in a process of its own; the table goes to the folder of reports."""
    rows, facts = list[dict[str, Any]](), {"held out": "a tenth of the pairs", **machine("torch", "numpy", "scipy")}
    shared = ["--learning-rate", str(rate), *([] if with_tasks else ["--without-tasks"])]
    shared += ["--whole-millions"] if program else []
    for region in regions:
        for method in METHODS:
            if method == ORIGINAL and not program:
                continue
            arguments = ["--region", region, "--method", method, *shared]
            arguments += ["--program", str(program)] if method == ORIGINAL else []
            rows.append({"region": region, "method": method, **run_alone("benchmarks.line", arguments)})
            print(json.dumps(rows[-1]), flush=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [{name: row.get(name, "") for name in columns} for row in rows]
    print(save_report(reports, name, "LINE, sampled and in closed form", table, facts))
    sampled = next(row for row in rows if row["method"] == "sampled")
    figures = {"line_msamples_per_s": sampled["msamples_per_s"]}
    original = next((row for row in rows if row["method"] == ORIGINAL), None)
    return figures | ({"original_line_msamples_per_s": original["msamples_per_s"]} if original else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regions", nargs="*", default=["us_east"], help=f"folders of {ROOT / 'examples'}, kind od")
    parser.add_argument("--program", type=Path, metavar="FILE", help="LINE's authors' program, built from its source")
    rate = LineParameters().learning_rate
    parser.add_argument("--learning-rate", type=float, default=rate, help=f"of all ways, {rate} by default")
    parser.add_argument("--whole-millions", action="store_true", help="draw as many edges as the program would")
    parser.add_argument("--without-tasks", action="store_true", help="leave out R²")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--name", default="line", help="of the saved table")
    parser.add_argument("--region", help="measure one region alone")
    parser.add_argument("--method", choices=METHODS, help="and one way")
    options = parser.parse_args()
    if options.region and options.method:
        learner = Learner(options.method, options.program, options.learning_rate, options.whole_millions)
        print(json.dumps(measure(options.region, learner, not options.without_tasks)))
        return
    with_tasks = not options.without_tasks
    settings = (options.regions, with_tasks, options.program, options.learning_rate, options.reports, options.name)
    print(json.dumps(compare(*settings)))


if __name__ == "__main__":
    main()
