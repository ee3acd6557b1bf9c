"""What each table of a folder is: flows, trips or events, and the columns of each role."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import permutations

from mora_pipeline.region.draft.candidates import (
    IN_COMMON,
    Ids,
    flow_columns,
    in_common,
    names_things,
    overlap,
    time_columns,
    user_columns,
)  # fmt: skip
from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.points import Point, find_points, main_point, two_ends, unnamed_ends
from mora_pipeline.region.draft.roles import (
    DESTINATION,
    FLOW,
    ID,
    LABELS,
    ORIGIN,
    TIME,
    USER,
    end_of,
    has_any,
    said,
    words_of,
)  # fmt: skip
from mora_pipeline.region.draft.survey import RawFiles

NEARLY = 0.75  # of the score of the likeliest ends, from which others are offered
MOST_ENDS = 24  # columns that are tried as ends of flows


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
    point = main_point(points)
    if point is None:
        return None
    columns, taken = table.columns, {name for each in points for name in each.names}
    times = time_columns(columns, taken)
    users = user_columns(columns, taken | set(times))
    if not times or not users:
        return None
    roles = {"user": users[0], "time": times[0], "latitude": point.latitude, "longitude": point.longitude}
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
    near = [(start, end) for likely, start, end in pairs[1:4] if likely >= NEARLY * score]
    others["origin, destination"] = [
        f"{one}, {other}" for one, other in near if {one, other}.isdisjoint(roles.values())
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
        shared = overlap(columns[origin].distinct, columns[destination].distinct)
        if min(start, end) >= 0.3 or cells or places or (max(start, end) >= 0.8 and shared >= 0.3):
            same = _without_end(origin) == _without_end(destination)
            order = list(columns).index(destination) > list(columns).index(origin)
            kinds = sum(said(name, ID) for name in (origin, destination)) / 2
            score = start + end + 0.5 * same + 0.3 * shared + 0.01 * order + 0.2 * kinds
            pairs.append((score + 2.0 * (places or cells) + known[origin] + known[destination], origin, destination))
    return sorted(pairs, key=lambda pair: -pair[0])


def _without_end(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if end_of([word]) is None)
