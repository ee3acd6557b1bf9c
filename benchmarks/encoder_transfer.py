"""An encoder on a region it never saw: fitted to one half of a region's cells, with the regressors, asked on the other.

MORA_HOME=… python -m benchmarks.encoder_transfer us_east      # after mora materialize us_east
The halves are west and east of the median longitude, without the flows between them: neither sees the other.
`own encoder` is trained on the asked half: good vectors, in another space. Markdown; the last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import dataclasses
import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.encoder_scores import raw_vectors, scores_elsewhere
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.evaluation.labels.tasks import load_tasks
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.inductive.flows import flow_features
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence, schema_of
from mora_pipeline.presets.inductive.relations import neighbours, partners
from mora_pipeline.presets.inductive.states import Evidence
from mora_pipeline.presets.inductive.train import train_inductive

Rows = npt.NDArray[np.int64]


def half(cells: pa.Table, flows: Edges, whole: Evidence, rows: Rows) -> Evidence:
    """The evidence of some cells as if they were a region of their own."""
    position = np.full(len(cells), -1)
    position[rows] = np.arange(len(rows))
    inside = (position[flows.origin] >= 0) & (position[flows.destination] >= 0)
    own = Edges(position[flows.origin[inside]], position[flows.destination[inside]], flows.flow[inside])
    table = cells.take(rows)
    latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    return Evidence(
        tuple(
            dataclasses.replace(
                one,
                vectors=one.vectors[rows],
                present=one.present[rows],
                amounts=one.amounts[rows],
                amounts_present=one.amounts_present[rows],
            )
            for one in whole.modalities
        ),
        flow_features(own, table["internal_flow"].to_numpy(), latitude, longitude),
        partners(own, len(rows)),
        neighbours(latitude, longitude, InductiveParameters().neighbours),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    parser.add_argument("--trees", type=int, default=150)
    arguments = parser.parse_args()
    protocol = BenchmarkParameters(trees=arguments.trees, cell_leaves=31, learning_rate=0.1)
    home = mora_home()
    reader = RegionReader(Registry(home).load(arguments.region), Lake(home / "lake"))
    names, parameters = list(reader.config.modalities), InductiveParameters()
    cells, whole = read_evidence(reader, names, parameters.neighbours)
    flows = edge_rows(reader.read("edges"), cells["cell"].to_numpy())
    tasks = [task for task in load_tasks(reader.config, cells) if task.level == "cell"]
    schema, longitude = schema_of(reader, names, parameters.neighbours), cells["longitude"].to_numpy()
    west, east = (
        np.flatnonzero(side) for side in (longitude < np.median(longitude), longitude >= np.median(longitude))
    )
    halves = {name: half(cells, flows, whole, rows) for name, rows in (("west", west), ("east", east))}
    trained = {name: train_inductive(evidence, schema, parameters) for name, evidence in halves.items()}
    raw = raw_vectors(whole, parameters)
    print("| vectors | fitted, asked | LightGBM | ridge |\n|---|---|---:|---:|")
    figures = {}
    for fit_name, fit, test_name, test in (("west", west, "east", east), ("east", east, "west", west)):
        ways = {"raw features": raw}
        for way, maker in (("encoder of the fitted half", fit_name), ("own encoder", test_name)):
            vectors = np.zeros((len(cells), parameters.dimension), np.float32)
            vectors[fit] = trained[fit_name].embeddings
            vectors[test] = trained[maker].encoder.embed(halves[test_name])
            ways[way] = vectors
        for way, vectors in ways.items():
            scores = scores_elsewhere(vectors, tasks, fit, test, protocol)
            figures[f"{way}, {fit_name} to {test_name}"] = scores
            print(f"| {way} | {fit_name}, {test_name} | {scores['LightGBM']:.3f} | {scores['ridge']:.3f} |", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
