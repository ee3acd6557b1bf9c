"""How many of what region.yaml names is there: labels with a number, a known place, a group that has members."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.labels import Unreadable, refuse_repeated
from mora_pipeline.raw.places import Places
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import NUMBER, TEXT
from mora_pipeline.raw.suspicions import known_otherwise, sentinel
from mora_pipeline.region.columns import Checker
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.samples import source_of_heads
from mora_pipeline.region.tasks import CellTask, GroupTask, Members, TaskConfig


@dataclass(frozen=True)
class Match:
    """How many of what a key names is there (labels in known places, cells under imagery), and what was found of it.

    ``suspicions``: sentences of what is allowed and seldom meant.
    """

    key: str
    what: str
    matched: int
    of: int
    remarks: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()


def matched_labels(config: RegionConfig, checker: Checker, places: Places | None) -> Iterator[Match]:
    """Labels that have a number and a known place, or a group with a member.

    Raises:
        UserError: if none of a task's has.
    """
    for name, task in config.tasks.items():
        yield _matched(config.file.name, f"tasks.{name}", task, checker, places)


def _matched(file: str, key: str, task: TaskConfig, checker: Checker, places: Places | None) -> Match:
    ids = task.roles("place") if isinstance(task, CellTask) else {}
    if isinstance(task, GroupTask):
        ids = {"place": task.id}
    heads = checker.table(f"{key}.path", task)
    source = source_of_heads(heads, {"column": task.column, **ids})
    reader = SourceReader.of(source, {"column": NUMBER, "place": TEXT})
    unreadable, numbers, seen = Unreadable(), [np.empty(0)], [pa.array([], pa.string())]
    rows = 0
    for typed, raw in reader.read_all():
        unreadable.add(reader, "column", typed, raw)
        rows += typed.num_rows
        valid = typed["column"].is_valid()
        numbers.append(typed["column"].filter(valid).to_numpy(zero_copy_only=False))
        if ids:
            seen.append(typed["place"].cast(pa.string()).filter(valid))
    unreadable.check(f"{file}: {key}.column is '{task.column}'")
    if isinstance(task, CellTask) and ids and "aggregate" not in task.model_fields_set:
        refuse_repeated(f"{file}: {key}", pa.chunked_array(seen))
    values, own = np.concatenate(numbers), pa.concat_arrays(seen)
    if not rows:
        raise UserError(f"{file}: {key}: {source.describe()} holds no rows.")
    if not len(values):
        raise UserError(f"{file}: {key}: none of its {rows:,} labels is a number. Fix {key}, or leave it out.")
    matched, known, of_what = len(values), None, "is of a place that the table of places knows"
    if isinstance(task, GroupTask):
        known, of_what = _groups(task.members, f"{key}.members", checker, places), "is of a group with a known member"
    elif ids and places is not None:
        known = places.ids
    otherwise = ""
    if known is not None:
        there = known_ids(own, known)
        matched = pc.sum(there).as_py() or 0
        otherwise = known_otherwise(own.filter(pc.invert(there)).unique().drop_null().to_pylist(), known.to_pylist())
    if not matched:
        hint = f" {otherwise}" if otherwise else ""
        raise UserError(f"{file}: {key}: none of its {rows:,} labels {of_what}. Fix {key}, or leave it out.{hint}")
    odd = sentinel(values)
    suspicions = tuple(filter(None, [f"'{task.column}': {odd}" if odd else "", otherwise]))
    return Match(key, "labels", matched, rows, reader.remarks(), suspicions)


def _groups(members: Members, key: str, checker: Checker, places: Places | None) -> pa.Array:
    """The groups that have a member in a place that is known, string [n], each once."""
    roles = {"group": members.group, **members.roles("place")}
    source = source_of_heads(checker.table(f"{key}.path", members), roles)
    groups = [pa.array([], pa.string())]
    for typed, _ in SourceReader.of(source, {"group": TEXT, "place": TEXT}).read_all():
        own = typed["group"].cast(pa.string())
        if "place" in roles and places is not None:
            own = own.filter(known_ids(typed["place"].cast(pa.string()), places.ids))
        groups.append(own.unique())
    return pa.concat_arrays(groups).unique().drop_null()


def known_ids(ids: pa.Array, known: pa.Array) -> pa.Array:
    """Which ids are known, bool [n]: as they are or, where files have lost them, without leading zeros."""
    exact = pc.is_in(ids, known)
    if pc.any(exact).as_py():
        return exact
    return pc.is_in(pc.utf8_ltrim(ids, "0"), pc.utf8_ltrim(known, "0"))
