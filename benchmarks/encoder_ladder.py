"""What each part of the inductive encoder is worth on a region: its tasks' mean R², one row a variant.

MORA_HOME=… python -m benchmarks.encoder_ladder us_east      # after mora materialize us_east
Rows: the raw features, the committed embeddings of the preset `paper`, evidence added piece by piece, what could take
a piece's place, and the alignment loss in place of the closed form. There are fewer trees than the paper's
protocol has (its own: --trees 1000 --leaves 63 --rate 0.05). Markdown; the last line is JSON: {variant: {column: R²}}.
"""
# ruff: noqa: T201 - a command prints

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.aligned_encoder import aligned_vectors
from benchmarks.encoder_scores import manhattan_scores, mean_scores, raw_vectors
from mora_pipeline.contract.schemas import CellVectors, Edges
from mora_pipeline.contract.sphere import kilometres_between
from mora_pipeline.evaluation.ablation.graphs import chosen_edges
from mora_pipeline.evaluation.labels.tasks import Task, load_tasks
from mora_pipeline.evaluation.methods.raw import principal_axes
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.inductive.flows import Floats
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence, schema_of
from mora_pipeline.presets.inductive.relations import partners
from mora_pipeline.presets.inductive.states import Evidence, Vectors, fit_states
from mora_pipeline.presets.inductive.train import train_inductive

Rows = npt.NDArray[np.int64]
NOTHING = {"flow_weight": 0.0, "partner_weight": 0.0, "neighbour_weight": 0.0}
VARIANTS: dict[str, dict[str, float]] = {
    "own features": NOTHING,
    "flows": {**NOTHING, "modality_weight": 0.0, "flow_weight": 1.0},
    "own features, flows": {"partner_weight": 0.0, "neighbour_weight": 0.0},
    "own features, flows, neighbours": {"partner_weight": 0.0},
    "own features, flows, partners": {"neighbour_weight": 0.0},
    "all: the preset `inductive`": {},
    "all, seed 1": {"seed": 1},
    "all, 256 units": {"units": 256},
    "all, sharpness .1": {"sharpness": 0.1},
    "all, sharpness .4": {"sharpness": 0.4},
    "all, 6 neighbours": {"neighbours": 6},
}
# What the mean over partners may use in place of all flows: movement that distance does not predict.
PARTNERS: dict[str, Callable[[Edges, pa.Table], Edges]] = {
    "the farther half of the flows": lambda flows, cells: chosen_edges(flows, _far(flows, cells)),
    "flows above what distance and strength foretell": lambda flows, cells: chosen_edges(flows, _surplus(flows, cells)),
}


def _log_kilometres(flows: Edges, cells: pa.Table) -> Floats:
    latitude, longitude = cells["latitude"].to_numpy(), cells["longitude"].to_numpy()
    return np.log(kilometres_between(latitude, longitude, flows.origin, flows.destination))


def _far(flows: Edges, cells: pa.Table) -> Rows:
    """Edges longer than the region's median edge."""
    kilometres = _log_kilometres(flows, cells)
    return np.flatnonzero(kilometres > np.median(kilometres))


def _surplus(flows: Edges, cells: pa.Table) -> Rows:
    """Edges above a gravity model: ln flow by least squares on ln strength out, ln strength in and ln distance."""
    sums = [np.bincount(end, flows.flow, len(cells))[end] for end in (flows.origin, flows.destination)]
    columns = np.stack([np.ones(len(flows.flow)), *map(np.log, sums), _log_kilometres(flows, cells)], axis=1)
    observed = np.log(flows.flow)
    return np.flatnonzero(observed > columns @ np.linalg.lstsq(columns, observed)[0])


class Ladder:
    """A region's evidence, tasks and baselines, read once."""

    def __init__(self, region: str, levels: set[str]) -> None:
        home = mora_home()
        self.reader = RegionReader(Registry(home).load(region), Lake(home / "lake"))
        self.names = list(self.reader.config.modalities)
        self.cells, self.evidence = read_evidence(self.reader, self.names, InductiveParameters().neighbours)
        loaded = load_tasks(self.reader.config, self.cells)
        self.tasks: list[Task] = [task for task in loaded if task.level in levels]

    def rows(self, only: list[str]) -> Iterator[tuple[str, Vectors]]:
        """Variants and their vectors, float32 [N, d], computed when asked for.

        Args:
            only: parts of names; the others are left out. Empty: all.
        """
        for name, make in self._makers().items():
            if not only or any(part in name for part in only):
                yield name, make()

    def _makers(self) -> dict[str, Callable[[], Vectors]]:
        makers: dict[str, Callable[[], Vectors]] = {}
        if self.names:
            makers["raw features"] = lambda: raw_vectors(self.evidence, InductiveParameters())
        if self.reader.lake.has("embeddings", self.reader.region):
            committed = self.reader.lake.read("embeddings", self.reader.region)
            if committed.details.get("preset", "paper") == "paper":
                makers["preset `paper`, as committed"] = lambda: CellVectors.from_table(committed.table()).vectors
        makers |= {name: partial(self._trained, changes) for name, changes in VARIANTS.items()}
        makers |= {f"all, partners by {name}": partial(self._with_partners, name) for name in PARTNERS}
        makers["all, not turned"] = lambda: principal_axes(self._trained({}))
        makers["all, principal components in place of units"] = lambda: principal_axes(self._states())
        if self.names:
            makers["all, an MLP and the alignment loss in place of units"] = lambda: aligned_vectors(
                self._states(), self.evidence
            )
        return makers

    def _with_partners(self, name: str) -> Vectors:
        flows = PARTNERS[name](edge_rows(self.reader.read("edges"), self.cells["cell"].to_numpy()), self.cells)
        return self._trained({}, dataclasses.replace(self.evidence, partners=partners(flows, len(self.cells))))

    def _trained(self, changes: dict[str, float], evidence: Evidence | None = None) -> Vectors:
        parameters = InductiveParameters.model_validate({**InductiveParameters().model_dump(), **changes})
        evidence = evidence or self._evidence(parameters.neighbours)
        schema = schema_of(self.reader, self.names, parameters.neighbours)
        return train_inductive(evidence, schema, parameters).embeddings

    def _evidence(self, count: int) -> Evidence:
        if count == InductiveParameters().neighbours:
            return self.evidence
        return read_evidence(self.reader, self.names, count)[1]

    def _states(self) -> Vectors:
        return fit_states(self.evidence, InductiveParameters()).apply(self.evidence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    parser.add_argument("--levels", nargs="+", default=["cell"], help="levels of the tasks: cell, group, point")
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--rate", type=float, default=0.1, help="LightGBM's learning rate")
    parser.add_argument("--seed", type=int, default=42, help="of the folds; 42 is the benchmark's")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="rows whose name holds one of these")
    parser.add_argument("--manhattan", type=Path, metavar="FOLDER", help="also the papers' protocol, on nyc_regions")
    arguments = parser.parse_args()
    protocol = BenchmarkParameters(trees=arguments.trees, cell_leaves=arguments.leaves, learning_rate=arguments.rate)
    ladder, scores = Ladder(arguments.region, set(arguments.levels)), dict[str, dict[str, float]]()
    for name, vectors in ladder.rows(arguments.only):
        scores[name] = mean_scores(vectors, ladder.tasks, protocol, arguments.seed)
        if arguments.manhattan:
            scores[name] |= manhattan_scores(
                vectors, ladder.cells, ladder.reader.config.resolution, arguments.manhattan
            )
        if len(scores) == 1:
            print(f"| vectors | {' | '.join(scores[name])} |\n|---|{'---:|' * len(scores[name])}")
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in scores[name].values())} |", flush=True)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
