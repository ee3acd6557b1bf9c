"""What embeddings are tested on: labels of cells, of groups of cells and of points, as region.yaml declares them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.sphere import on_unit_sphere
from mora_pipeline.evaluation.labels.blocks import group_of_cells, middles, parents
from mora_pipeline.evaluation.labels.files import UNKNOWN, Rows, match_ids, read_roles
from mora_pipeline.evaluation.labels.lying import as_arrow, has_location, lying, row_of_each
from mora_pipeline.raw.labels import refuse_repeated
from mora_pipeline.raw.places import Places
from mora_pipeline.region import CellTask, GroupTask, Members, PlacesConfig, PointTask, RegionConfig
from mora_pipeline.region.columns import Checker

Labels = tuple[npt.NDArray[np.float64], sparse.csr_matrix, Rows]  # target, membership, order
UNREADABLE = (UserError, OSError, ValueError, KeyError, TypeError, pa.ArrowException)  # what a file of labels raises
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """Labels and the cells they belong to.

    Attributes:
        level: ``cell``, ``group`` or ``point``.
        target: float64 [n], finite.
        membership: CSR [n, N]; each row sums to 1. ``membership @ vectors`` are the labels' features: the cell's own
            vector, or the mean of a group's member cells.
        middle: int64 [n], row of the label's cell; for a group, of the member cell nearest its middle.
        blocks: int64 [n], the H3 parent of that cell.
        groupings: int64 [n] by name, the group of that cell in each grouping that region.yaml names under blocks.
        order: int64 [n], the position of the label's place among the places, else in its file.
        dropped: rows of the label file that became no label.
        reasons: the same by reason.
        leaks_allowed: whether the label may be nearly an input column.
        refused: why no model may be tested on it; None if one may.
        models: models in place of the protocols' own, by name: for labels that are classes, say.
    """

    name: str
    level: str
    target: npt.NDArray[np.float64]
    membership: sparse.csr_matrix
    middle: Rows
    blocks: Rows
    order: Rows
    groupings: Mapping[str, Rows] = field(default_factory=dict)
    dropped: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    leaks_allowed: bool = False
    refused: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)


def load_tasks(config: RegionConfig, cells: pa.Table) -> list[Task]:
    """Read all tasks of a region.

    A task may come out empty (the benchmark skips it and says why).

    Args:
        config: the region.
        cells: `schemas.CELLS`, sorted by cell; fixes N and the row order.

    Raises:
        UserError: if a file cannot be read, or a label cannot be transformed.
    """
    loader = _Loader(config, cells)
    return [loader.load(name) for name in config.tasks]


def load_readable_tasks(config: RegionConfig, cells: pa.Table) -> tuple[list[Task], dict[str, str]]:
    """The tasks of a region that can be read, and what is wrong with the others, by name (`blocks` for all of them).

    Args:
        config, cells: as of `load_tasks`.
    """
    tasks, problems = [], dict[str, str]()
    try:
        loader = _Loader(config, cells)
    except UNREADABLE as error:
        return [], {"blocks": f"{type(error).__name__}: {error}"}
    for name in config.tasks:
        try:
            tasks.append(loader.load(name))
        except UNREADABLE as error:
            problems[name] = f"{type(error).__name__}: {error}"
    return tasks, problems


def load_groupings(config: RegionConfig, cells: pa.Table) -> dict[str, Rows]:
    """The groups that region.yaml names under blocks: of each cell, int64 [N], `UNKNOWN` where it is in none.

    Args:
        config, cells: as of `load_tasks`.

    Raises:
        UserError: if a file cannot be read.
    """
    return _Loader(config, cells).groupings


class _Loader:
    """Reads the tasks of one region; the table of places is read once."""

    def __init__(self, config: RegionConfig, cells: pa.Table) -> None:
        self.config, self.cells = config, cells["cell"].to_numpy()
        self.sphere = on_unit_sphere(cells["latitude"].to_numpy(), cells["longitude"].to_numpy())
        self.parents = parents(self.cells, config.resolution)
        self.places: dict[str | None, pd.DataFrame] = {}
        self.lying: Places | None = None
        self.groupings = {
            name: group_of_cells(self._members(f"blocks.{name}", members), len(self.cells))
            for name, members in config.blocks.items()
        }

    def load(self, name: str) -> Task:
        declared, dropped = self.config.tasks[name], dict[str, int]()
        if isinstance(declared, CellTask):
            target, membership, order = self._cell_task(name, declared, dropped)
        elif isinstance(declared, GroupTask):
            target, membership, order = self._group_task(name, declared, dropped)
        else:
            target, membership, order = self._point_task(name, declared, dropped)
        if declared.transform == "log1p":
            if len(target) and target.min() <= -1:
                raise UserError(
                    f"{self.config.file.name}: tasks.{name}.transform is log1p, but {declared.column} holds "
                    f"{target.min():g}. Write transform: none, or fix the labels."
                )
            target = np.log1p(target)
        middle = middles(membership, self.sphere)
        logger.info("Task %s: %d labels, dropped %s", name, len(target), dropped or "none")
        return Task(
            name,
            declared.level,
            target,
            membership,
            middle,
            self.parents[middle],
            order,
            {grouping: group[middle] for grouping, group in self.groupings.items()},
            sum(dropped.values()),
            dropped,
            declared.leaks == "allowed",
        )

    def _cell_task(self, name: str, task: CellTask, dropped: dict[str, int]) -> Labels:
        key = f"tasks.{name}"
        heads = Checker(self.config.base_of(task), self.config.file.name).table(f"{key}.path", task)
        labelled = all(task.weight in head.columns for head in heads)  # else of the places
        roles = {**task.location(), "column": task.column}
        own_weight = task.weight if labelled or task.place is None else None
        table = read_roles(self.config, key, task, {**roles, "weight": own_weight})
        table = _keep(table.assign(order=np.arange(len(table))), table["column"].notna(), "no label", dropped)
        if task.place is not None:
            if "aggregate" not in task.model_fields_set:
                places = pa.chunked_array([pa.array(table["place"], pa.string())])
                refuse_repeated(f"{self.config.file.name}: {key}", places)
            table = self._at_places(table, None if own_weight else task.weight)
            table = _keep(table, table["known"], "unknown place", dropped)
        table = self._lying(table)
        table = _keep(table, table["row"] != UNKNOWN, "outside the cells", dropped)
        if task.weight is not None:
            table = _keep(table, table["weight"] > 0, "no weight", dropped)
        weight = table["share"].to_numpy()  # of a label that lies in several cells
        if task.weight is not None:
            weight = weight * table["weight"].to_numpy()
        rows, label_of = np.unique(table["row"].to_numpy(dtype=np.int64), return_inverse=True)
        total = np.bincount(label_of, weights=weight * table["column"].to_numpy(), minlength=len(rows))
        share = np.bincount(label_of, weights=weight, minlength=len(rows))
        target = total / share if task.aggregate == "mean" else total.astype(np.float64)
        order = np.full(len(rows), np.iinfo(np.int64).max)
        np.minimum.at(order, label_of, table["order"].to_numpy(dtype=np.int64))
        return target, self._one_cell_each(rows), order

    def _point_task(self, name: str, task: PointTask, dropped: dict[str, int]) -> Labels:
        table = read_roles(self.config, f"tasks.{name}", task, {**task.location(), "column": task.column})
        table = _keep(table, table["column"].notna(), "no label", dropped)
        table["row"] = row_of_each(table, self.cells, self.config.resolution)
        table = _keep(table, table["row"] != UNKNOWN, "outside the cells", dropped)
        rows = table["row"].to_numpy(dtype=np.int64)
        return table["column"].to_numpy(), self._one_cell_each(rows), np.arange(len(rows))

    def _group_task(self, name: str, task: GroupTask, dropped: dict[str, int]) -> Labels:
        table = read_roles(self.config, f"tasks.{name}", task, {"id": task.id, "column": task.column})
        table = _keep(table, table["column"].notna(), "no label", dropped)
        table = _keep(table, table["id"].notna(), "no id", dropped)
        labels = table.groupby("id")["column"].mean()
        if len(labels) < len(table):
            logger.warning("Task %s: %d rows repeat a group; their mean is taken", name, len(table) - len(labels))
        members = self._members(f"tasks.{name}.members", task.members)
        group = match_ids(members["group"], pd.Series(labels.index, dtype=object))
        inside = (group != UNKNOWN) & (members["row"] != UNKNOWN).to_numpy()
        own = np.stack([group[inside], members["row"].to_numpy()[inside]], axis=1)
        pairs, pair = np.unique(own, axis=0, return_inverse=True)
        counts = np.bincount(pairs[:, 0], minlength=len(labels))
        lost = int(table["id"].isin(labels.index[counts == 0]).sum())
        if lost:
            dropped["no member cells"] = lost
        indptr = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        shares = 1 / counts[pairs[:, 0]]
        if (members["share"] < 1).any():  # members that lie in several cells: each counts as one
            lying = np.bincount(pair.ravel(), members["share"].to_numpy()[inside], minlength=len(pairs))
            shares = lying / np.bincount(pairs[:, 0], lying, minlength=len(labels))[pairs[:, 0]]
        shape = (len(indptr) - 1, len(self.cells))
        membership = sparse.csr_matrix((shares, pairs[:, 1], indptr), shape=shape)
        return labels.to_numpy()[counts > 0], membership, np.arange(shape[0])

    def _members(self, key: str, members: Members) -> pd.DataFrame:
        table = read_roles(self.config, key, members, {"group": members.group, **members.location()})
        if members.place is not None:
            table = self._at_places(table)
        return self._lying(table)

    def _at_places(self, table: pd.DataFrame, weight: str | None = None) -> pd.DataFrame:
        """Add whether the place of each row is known, its number, and its weight there if asked for."""
        if weight not in self.places:
            self.places[weight] = self._read_places(weight)
        places = self.places[weight]
        position = match_ids(table["place"], places["id"])
        known = position != UNKNOWN
        for column in places.columns.drop("id"):
            values = places[column].to_numpy()[np.maximum(position, 0)] if len(places) else np.nan
            table[column] = np.where(known, values, UNKNOWN if column == "number" else np.nan)
        return table.assign(known=known, order=position)

    def _read_places(self, weight: str | None) -> pd.DataFrame:
        """The places by id, in the order of their table; ``number`` is that in `self.lying`, UNKNOWN: no location."""
        places: PlacesConfig | None = self.config.places_or_none()
        if places is None:
            raise ValueError("no table of places: RegionConfig lets nothing refer to places without one")
        table = read_roles(self.config, "places", places, {**places.place_roles(), "weight": weight})
        table = table[table["id"].notna()]
        if self.lying is None:
            there = table[has_location(table)]
            self.lying = Places.of(as_arrow(there), self.config.resolution)
        once = table.drop_duplicates("id").reset_index(drop=True)
        number = pd.Index(self.lying.ids.to_numpy(zero_copy_only=False)).get_indexer(pd.Index(once["id"]))
        kept = ["id", *(["weight"] if weight else [])]
        return once[kept].assign(number=number)

    def _lying(self, table: pd.DataFrame) -> pd.DataFrame:
        return lying(table, self.lying, self.cells, self.config.resolution)

    def _one_cell_each(self, rows: Rows) -> sparse.csr_matrix:
        parts = (np.ones(len(rows)), rows, np.arange(len(rows) + 1))
        return sparse.csr_matrix(parts, shape=(len(rows), len(self.cells)))


def _keep(table: pd.DataFrame, kept: pd.Series, reason: str, dropped: dict[str, int]) -> pd.DataFrame:
    lost = int((~kept).sum())
    if "label" in table:  # one that lies in several cells is lost once none of them is left
        lost = table["label"].nunique() - table["label"][kept].nunique()
    if lost:
        dropped[reason] = dropped.get(reason, 0) + lost
    return table[kept].copy()
