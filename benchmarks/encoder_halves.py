"""A region cut into halves that never see each other: by longitude, by latitude, and between whole groups of cells.

Each half is a region of its own: the flows between the halves are left out, and so are neighbours on the other side.
"""

# ruff: noqa: T201 - of commands that print

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.encoder_scores import scores_elsewhere
from mora_pipeline.contract.rhythm import RHYTHM_COLUMNS
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.evaluation.labels.files import UNKNOWN
from mora_pipeline.evaluation.labels.tasks import Task, load_groupings, load_tasks
from mora_pipeline.evaluation.methods.flows import STATISTICS, statistics
from mora_pipeline.evaluation.methods.inputs import Part
from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.inductive.flows import flow_features
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence, schema_of
from mora_pipeline.presets.inductive.relations import neighbours, partners
from mora_pipeline.presets.inductive.schema import Schema
from mora_pipeline.presets.inductive.states import Evidence, Vectors

Rows = npt.NDArray[np.int64]
NEIGHBOURS = InductiveParameters().neighbours
Scores = dict[str, dict[str, float]]  # R² by task, then by model


@dataclass(frozen=True)
class Half:
    """Some cells of a region as if they were a region of their own.

    Attributes:
        name: `west`, say.
        rows: of its cells in the whole region, int64 [n].
        evidence: what an encoder sees of them.
        statistics: of their flows, float64 [n, 5]; see `evaluation.methods.flows`.
    """

    name: str
    rows: Rows
    evidence: Evidence
    statistics: npt.NDArray[np.float64]

    def parts(self) -> Mapping[str, Part]:
        """What is known of each cell, for `evaluation.methods.inputs`, without the factors of the flows."""
        everywhere = np.ones(len(self.rows), dtype=bool)
        parts = {}
        for one in self.evidence.modalities:
            names = [str(number) for number in range(one.vectors.shape[1])]
            parts[one.name] = Part(names, one.vectors, one.present)
            if one.amount_names:
                parts[f"{one.name} amounts"] = Part(one.amount_names, one.amounts, one.amounts_present)
        if self.evidence.rhythm:
            parts["rhythm"] = Part(RHYTHM_COLUMNS, *self.evidence.rhythm)
        return {**parts, "flows": Part(STATISTICS, self.statistics, everywhere)}


@dataclass(frozen=True)
class CutRegion:
    """A region with tasks of cells, to be cut."""

    cells: pa.Table
    flows: Edges
    whole: Evidence
    schema: Schema
    tasks: Sequence[Task]
    groupings: Mapping[str, Rows]

    @classmethod
    def read(cls, region: str) -> Self:
        """From `$MORA_HOME`: its cells, edges, features and amounts must be there."""
        home = mora_home()
        reader = RegionReader(Registry(home).load(region), Lake(home / "lake"))
        names = list(reader.config.modalities)
        cells, whole = read_evidence(reader, names, NEIGHBOURS)
        flows = edge_rows(reader.read("edges"), cells["cell"].to_numpy())
        tasks = [task for task in load_tasks(reader.config, cells) if task.level == "cell"]
        groupings = load_groupings(reader.config, cells)
        return cls(cells, flows, whole, schema_of(reader, names, NEIGHBOURS), tasks, groupings)

    def directions(self) -> Iterator[tuple[Half, Half]]:
        """Each half that is fitted, with the other one, which is asked."""
        longitude, latitude = self.cells["longitude"].to_numpy(), self.cells["latitude"].to_numpy()
        cuts = {
            ("west", "east"): longitude < np.median(longitude),
            ("south", "north"): latitude < np.median(latitude),
        }
        for name, groups in self.groupings.items():
            cuts[f"{name}: west", f"{name}: east"] = western_groups(groups, longitude)
        for names, low in cuts.items():
            sides = (np.flatnonzero(low), np.flatnonzero(~low))
            one, other = (self.half(name, rows) for name, rows in zip(names, sides, strict=True))
            yield from ((one, other), (other, one))

    def half(self, name: str, rows: Rows) -> Half:
        """These cells as if they were all."""
        position = np.full(len(self.cells), -1)
        position[rows] = np.arange(len(rows))
        origin, destination = position[self.flows.origin], position[self.flows.destination]
        inside = (origin >= 0) & (destination >= 0)
        own = Edges(origin[inside], destination[inside], self.flows.flow[inside])
        table = self.cells.take(rows)
        latitude, longitude, internal = (table[key].to_numpy() for key in ("latitude", "longitude", "internal_flow"))
        parts = ("vectors", "present", "amounts", "amounts_present")
        evidence = Evidence(
            tuple(
                dataclasses.replace(one, **{part: getattr(one, part)[rows] for part in parts})
                for one in self.whole.modalities
            ),
            flow_features(own, internal, latitude, longitude),
            partners(own, len(rows)),
            neighbours(latitude, longitude, NEIGHBOURS),
            (self.whole.rhythm[0][rows], self.whole.rhythm[1][rows]) if self.whole.rhythm else None,
        )
        return Half(name, rows, evidence, statistics(own, internal))

    def scores(self, fitted: Half, asked: Half, of_fitted: Vectors, of_asked: Vectors) -> Scores:
        """R² of each task in the asked half, by regressors that are fitted in the other, on vectors of both."""
        vectors = np.zeros((len(self.cells), of_fitted.shape[1]), np.float32)
        vectors[fitted.rows], vectors[asked.rows] = of_fitted, of_asked
        return {task.name: scores_elsewhere(vectors, task, fitted.rows, asked.rows) for task in self.tasks}


def western_groups(groups: Rows, longitude: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which cells are in the western half of the groups, bool [N], so that no group is cut.

    Groups are taken from the west, by the median longitude of their cells, as long as that brings the halves nearer to
    one size. A cell in no group goes with its own longitude, beside the border between the two.

    Args:
        groups: int64 [N]; `UNKNOWN` where a cell is in none.
        longitude: degrees, [N].
    """
    names, sizes = np.unique(groups[groups != UNKNOWN], return_counts=True)
    middles = np.array([np.median(longitude[groups == name]) for name in names])
    order = np.argsort(middles, kind="stable")
    taken = np.cumsum(sizes[order])
    count = int(np.argmin(np.abs(2 * taken - sizes.sum()))) + 1
    border = middles[order][count - 1 : count + 1].mean()
    return np.where(groups == UNKNOWN, longitude < border, np.isin(groups, names[order][:count]))


def compare(
    description: str, vectors_of: Callable[[Half, Half, Schema], Iterator[tuple[str, Vectors, Vectors]]]
) -> None:
    """The command of a benchmark: every way to make vectors, in all directions, as a table and a line of JSON.

    Args:
        description: of the command.
        vectors_of: gives each way with its vectors of the fitted and of the asked half, float32 [n, d] and [m, d].
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    region = CutRegion.read(parser.parse_args().region)
    print("| fitted, asked | vectors | LightGBM | ridge |\n|---|---|---:|---:|")
    figures: dict[str, dict[str, Scores]] = {}
    for fitted, asked in region.directions():
        direction = figures.setdefault(f"{fitted.name} to {asked.name}", {})
        for way, of_fitted, of_asked in vectors_of(fitted, asked, region.schema):
            direction[way] = region.scores(fitted, asked, of_fitted, of_asked)
            mean = mean_scores_of(direction[way])
            print(f"| {fitted.name}, {asked.name} | {way} | {mean['LightGBM']:.3f} | {mean['ridge']:.3f} |", flush=True)
    print_means(figures)
    print(json.dumps(figures))


def mean_scores_of(scores: Scores) -> dict[str, float]:
    """The mean over tasks by model."""
    by_task = list(scores.values())
    return {model: float(np.mean([one[model] for one in by_task])) for model in by_task[0]}


def print_means(figures: Mapping[str, Mapping[str, Scores]]) -> None:
    """One more row of the table for each way: the mean over all directions."""
    ways = next(iter(figures.values()))
    for way in ways:
        means = [mean_scores_of(by_way[way]) for by_way in figures.values()]
        cells = " | ".join(f"{np.mean([one[model] for one in means]):.3f}" for model in means[0])
        print(f"| mean of {len(means)} | {way} | {cells} |")
