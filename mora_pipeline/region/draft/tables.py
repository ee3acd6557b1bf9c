"""What each table of a folder is: flows, trips, events, places, and which columns play their roles."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
import pyarrow as pa

from mora_pipeline.region.draft.points import Point, find_points, two_ends, unnamed_ends
from mora_pipeline.region.draft.roles import (
    CATEGORY,
    COUNT,
    DESTINATION,
    FLOW,
    ID,
    LABELS,
    NAME,
    NOT_A_FLOW,
    ORIGIN,
    TIME,
    USER,
    YEAR,
    end_of,
    has_any,
    said,
    words_of,
)
from mora_pipeline.region.draft.samples import ColumnSample
from mora_pipeline.region.draft.survey import RawFiles

IN_COMMON = 0.5  # of the ids of a sample, that must be in a table of places
MOST_ENDS = 24  # columns that are tried as ends of flows
Ids = frozenset[str]


@dataclass(frozen=True)
class Guess:
    """What a table is, and the column of each role.

    Attributes:
        kind: ``od``, ``trips`` or ``events``.
        notes: what is uncertain, in sentences.
        others: by role, columns that may be meant instead.
        score: how likely it is, to compare tables of one kind.
        cells: resolution of the H3 cells that the ends are; None if they are places.
    """

    table: RawFiles
    kind: str
    roles: dict[str, str]
    notes: tuple[str, ...] = ()
    others: dict[str, list[str]] = field(default_factory=dict)
    score: float = 0.0
    cells: int | None = None


def mobility_of(table: RawFiles, ids: Collection[Ids]) -> Guess | None:
    """Trips, events or flows, if the table holds some.

    Args:
        ids: of each table that may be one of places.
    """
    points = find_points(table.columns)
    return _trips(table, points) or _events(table, points) or _flows(table, points, ids)


def _trips(table: RawFiles, points: list[Point]) -> Guess | None:
    columns, notes = table.columns, list[str]()
    if found := two_ends(points):
        start, end, named = found
        if not named:
            notes.append("The names do not say which point is the origin: the first is taken.")
    elif not points and (unnamed := unnamed_ends(columns)):
        start, end = unnamed
        named = False
        notes.append(
            "The names say nothing: the columns are taken as latitude, longitude of the origin, then of the "
            "destination, by what they hold."
        )
    else:
        return None
    roles = {
        "origin_latitude": start.latitude, "origin_longitude": start.longitude,
        "destination_latitude": end.latitude, "destination_longitude": end.longitude,
    }  # fmt: skip
    others: dict[str, list[str]] = {}
    taken = set(roles.values())
    if (count := flow_columns(columns, taken)) and said(count[0], FLOW) >= 0.6:
        roles["count"], others["count"] = count[0], count[1:]
    if times := time_columns(columns, taken | set(roles.values())):
        roles["time"], others["time"] = times[0], times[1:]
    users = [name for name in user_columns(columns, set(roles.values())) if said(name, USER) >= 0.85]
    others["user"] = users
    return Guess(table, "trips", roles, tuple(notes), others, 2.0 + named)


def _events(table: RawFiles, points: list[Point]) -> Guess | None:
    if len(points) != 1:
        return None
    columns, taken = table.columns, set(points[0].names)
    times = time_columns(columns, taken)
    users = user_columns(columns, taken | set(times))
    if not times or not users:
        return None
    roles = {"user": users[0], "time": times[0], "latitude": points[0].latitude, "longitude": points[0].longitude}
    notes = () if said(users[0], USER) >= 0.5 else ("The user is taken by what the column holds: ids that repeat.",)
    return Guess(table, "events", roles, notes, {"time": times[1:], "user": users[1:]}, 1.5)


def _flows(table: RawFiles, points: list[Point], ids: Collection[Ids]) -> Guess | None:
    columns = table.columns
    taken = {name for point in points for name in point.names}
    pairs = _ends(columns, taken, ids)
    if not pairs:
        return None
    score, origin, destination = pairs[0]
    roles, notes, others = {"origin": origin, "destination": destination}, list[str](), dict[str, list[str]]()
    others["origin, destination"] = [
        f"{start}, {end}" for _, start, end in pairs[1:4] if {start, end} != {*roles.values()}
    ]
    if max(said(origin, ORIGIN), said(destination, DESTINATION)) < 0.3:
        notes.append("The names do not say which end is the origin: the first is taken.")
    flows = flow_columns(columns, {origin, destination, *taken})
    if flows:
        roles["flow"], others["flow"] = flows[0], flows[1:]
    cells = [columns[name].cell_resolution for name in (origin, destination)]
    if times := time_columns(columns, set(roles.values())):
        others["time"] = times
    resolution = max(each for each in cells if each is not None) if None not in cells else None
    return Guess(table, "od", roles, tuple(notes), others, score, resolution)


def _ends(
    columns: Mapping[str, ColumnSample], taken: Collection[str], ids: Collection[Ids]
) -> list[tuple[float, str, str]]:
    """Pairs of columns that may be the ends of flows, the likeliest first."""
    candidates = [
        name
        for name, column in columns.items()
        if name not in taken
        and column.may_be_id
        and (len(column.distinct) > 1 or column.known < 3)
        and (not column.is_unique or max(said(name, ORIGIN), said(name, DESTINATION)) >= 0.5)
        and not (said(name, TIME) >= 0.5 and column.times)
        and not has_any(name, LABELS)
    ][:MOST_ENDS]
    known = {
        name: max((in_common(columns[name], each) for each in ids), default=0.0) * names_things(columns[name])
        for name in candidates
    }
    pairs = []
    for origin, destination in permutations(candidates, 2):
        start, end = said(origin, ORIGIN), said(destination, DESTINATION)
        cells = columns[origin].cell_resolution is not None and columns[destination].cell_resolution is not None
        places = known[origin] >= IN_COMMON and known[destination] >= IN_COMMON
        shared = _overlap(columns[origin].distinct, columns[destination].distinct)
        if min(start, end) >= 0.3 or cells or places or (max(start, end) >= 0.8 and shared >= 0.3):
            same = _without_end(origin) == _without_end(destination)
            order = list(columns).index(destination) > list(columns).index(origin)
            kinds = sum(said(name, ID) for name in (origin, destination)) / 2
            score = start + end + 0.5 * same + 0.3 * shared + 0.01 * order + 0.2 * kinds
            pairs.append((score + 2.0 * (places or cells) + known[origin] + known[destination], origin, destination))
    return sorted(pairs, key=lambda pair: -pair[0])


def _without_end(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if end_of([word]) is None)


def in_common(column: ColumnSample, ids: Ids) -> float:
    """The share of a column's values, each once, that are among ids."""
    return len(column.distinct & ids) / len(column.distinct) if column.distinct else 0.0


def names_things(column: ColumnSample) -> bool:
    """Whether a column holds codes, or is called an id: small whole numbers are among any ids that are numbers."""
    return column.has_codes or max(said(column.name, each) for each in (ID, ORIGIN, DESTINATION)) >= 0.45


def _overlap(one: Ids, other: Ids) -> float:
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0


def flow_columns(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> list[str]:
    """Columns that may say how much moved, the likeliest first."""
    fits: list[tuple[float, str]] = []
    for name, column in columns.items():
        if name in taken or not (column.is_number or column.unclear) or (column.given < 0).mean() > 0.01:
            continue
        if has_any(name, NOT_A_FLOW) or _is_years(column) or (said(name, TIME) >= 0.8 and column.times):
            continue
        fits.append((said(name, FLOW), name))
    fits.sort(key=lambda each: -each[0])
    return [name for score, name in fits if score >= 0.45] or (
        [fits[0][1]] if len(fits) == 1 and len(columns) <= 4 else []
    )


def _is_years(column: ColumnSample) -> bool:
    return len(column.distinct) > 0 and all(YEAR.fullmatch(text) for text in list(column.distinct)[:50])


def time_columns(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> list[str]:
    """Columns that hold times, the likeliest first: the start before the end, a time before a date."""
    fits = []
    for name, column in columns.items():
        strength = max(said(name, TIME), 0.5 * pa.types.is_temporal(column.type))
        if name in taken or has_any(name, ("year", "createdate", "version", "created", "updated", "refreshed")):
            continue
        if strength < 0.35 or _is_years(column) or not (readings := column.times) or readings.share < 0.5:
            continue
        starts, ends = said(name, ORIGIN), said(name, DESTINATION)
        fits.append((strength + 0.5 * (starts - ends) + 0.1 * (len(column.distinct) > 31), name))
    return [name for _, name in sorted(fits, key=lambda each: -each[0])]


def user_columns(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> list[str]:
    """Columns of ids that repeat, the likeliest first."""
    fits = []
    for name, column in columns.items():
        if name in taken or not column.may_be_id or column.is_unique or said(name, USER) < 0.25:
            continue
        fits.append((said(name, USER), name))
    if not fits and len(columns) <= 6:
        fits = [
            (0.1, name)
            for name, column in columns.items()
            if name not in taken
            and column.may_be_id
            and 1 < len(column.distinct) < 0.5 * column.known
            and max(said(name, CATEGORY), said(name, NAME), said(name, FLOW), said(name, TIME)) < 0.5
        ][:1]
    return [name for _, name in sorted(fits, key=lambda each: -each[0])]


def id_columns(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> list[str]:
    """Columns that name each row, the likeliest first."""
    order = list(columns)
    fits = [
        (said(name, ID) - 0.5 * has_any(name, LABELS) - 0.01 * order.index(name) / len(order), name)
        for name, column in columns.items()
        if name not in taken and column.may_be_id and column.is_unique and names_things(column)
    ]
    return [name for _, name in sorted(fits, key=lambda each: -each[0])]


def count_column(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> str | None:
    """The column that says how many things a row stands for."""
    for name, column in columns.items():
        if name not in taken and said(name, COUNT) >= 0.75 and column.is_whole and (column.given > 0).mean() > 0.95:
            return name
    return None


def repeated_by(columns: Mapping[str, ColumnSample], place: str) -> Sequence[str]:
    """Columns that, with the place, name each row of a table that has several rows a place: such as the year."""
    own = np.asarray(columns[place].texts.fill_null("").to_pylist())
    found = []
    for name, column in columns.items():
        if name == place or not 1 < len(column.distinct) <= 60:
            continue
        both = set(zip(own.tolist(), column.texts.to_pylist(), strict=True))
        if len(both) == len(own) and (
            said(name, TIME) > 0 or _is_years(column) or has_any(name, ("year", "jahr", "ano"))
        ):
            found.append(name)
    return found
