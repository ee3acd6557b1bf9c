"""A region without mobility: an encoder fitted to one half of a region's cells is asked on the other, without flows.

MORA_HOME=… python -m benchmarks.encoder_without_mobility us_counties      # after cells, edges and features of it
The region is cut at the median longitude and at the median latitude, and each half is asked by the other's encoder;
regressors are fitted on the vectors and labels of the fitted half, which has its flows. `student` and `encoder fitted
without flows` see no flow of the asked half, the latter none at all. Markdown; the last line is JSON, by task.
"""
# ruff: noqa: T201 - a command prints

import argparse
import dataclasses
import json
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.encoder_scores import raw_vectors, scores_elsewhere
from benchmarks.encoder_transfer import half
from mora_pipeline.evaluation.labels.tasks import load_tasks
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence, schema_of
from mora_pipeline.presets.inductive.schema import Schema
from mora_pipeline.presets.inductive.states import Evidence, Vectors
from mora_pipeline.presets.inductive.train import train_inductive, with_student

Rows = npt.NDArray[np.int64]
FAST = BenchmarkParameters()
PROTOCOL = FAST.model_copy(
    update={"trees": FAST.fast_trees, "learning_rate": FAST.fast_learning_rate, "bins": FAST.fast_bins}
)


def without_flows(evidence: Evidence) -> Evidence:
    """The same cells as a region without mobility has them."""
    none = sparse.csr_array(evidence.partners.shape)
    return dataclasses.replace(evidence, flows=np.zeros_like(evidence.flows), partners=none)


def vectors_of(fitted: Evidence, asked: Evidence, schema: Schema) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Each way to make vectors, with those of the fitted and of the asked half, float32 [n, d] and [m, d]."""
    parameters = InductiveParameters()
    whole = train_inductive(fitted, schema, parameters)
    encoder, _ = with_student(whole.encoder, fitted, whole.embeddings)
    yield "encoder with flows", whole.embeddings, encoder.embed(asked)
    student = encoder.encode(without_flows(asked), without_flows=True)
    yield "student without flows", whole.embeddings, student.vectors
    blind = train_inductive(without_flows(fitted), schema, parameters)
    yield "encoder fitted without flows", blind.embeddings, blind.encoder.embed(without_flows(asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    arguments = parser.parse_args()
    home = mora_home()
    reader = RegionReader(Registry(home).load(arguments.region), Lake(home / "lake"))
    names, count = list(reader.config.modalities), InductiveParameters().neighbours
    cells, whole = read_evidence(reader, names, count)
    flows = edge_rows(reader.read("edges"), cells["cell"].to_numpy())
    tasks = [task for task in load_tasks(reader.config, cells) if task.level == "cell"]
    schema, raw = schema_of(reader, names, count), raw_vectors(whole, InductiveParameters())
    print("| fitted half | vectors | LightGBM | ridge |\n|---|---|---:|---:|")
    figures = {}
    for axis, sides in (("longitude", ("west", "east")), ("latitude", ("south", "north"))):
        place = cells[axis].to_numpy()
        low = place < np.median(place)
        halves = dict(zip(sides, (np.flatnonzero(low), np.flatnonzero(~low)), strict=True))
        for fit_name, test_name in (sides, sides[::-1]):
            fit, test = halves[fit_name], halves[test_name]
            made = vectors_of(half(cells, flows, whole, fit), half(cells, flows, whole, test), schema)
            for way, of_fitted, of_asked in chain([("raw features", raw[fit], raw[test])], made):
                vectors = np.zeros((len(cells), of_fitted.shape[1]), np.float32)
                vectors[fit], vectors[test] = of_fitted, of_asked
                by_task = {task.name: scores_elsewhere(vectors, [task], fit, test, PROTOCOL) for task in tasks}
                figures[f"{way}, {fit_name}"] = by_task
                means = [np.mean([scores[model] for scores in by_task.values()]) for model in ("LightGBM", "ridge")]
                print(f"| {fit_name} | {way} | {means[0]:.3f} | {means[1]:.3f} |", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
