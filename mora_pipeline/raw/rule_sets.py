"""What each kind of raw table may hold: the kinds of its roles and the rules for its bad rows, stated once.

Spark's tasks apply them to every row, and the check of a region to a sample.
"""

from collections.abc import Collection, Mapping, Sequence

from mora_pipeline.raw.rules import (
    NO_CELL,
    NO_ID,
    NO_TEXT,
    NO_TIME,
    NO_USER,
    NO_ZONE,
    UNKNOWN_PLACE,
    Rule,
    all_missing,
    coarse_rule,
    coordinate_rules,
    flow_rules,
    geometry_rules,
    is_true,
    late_rule,
    missing,
    positive_rules,
    share_rules,
    users_rules,
)
from mora_pipeline.raw.source import CELL, GEOMETRY, NUMBER, TEXT, TIME

ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
END_CELLS = ("origin_cell", "destination_cell")
MOBILITY_ROLES: dict[str, dict[str, str]] = {  # the kind of each role, by the kind of mobility
    "od": {"origin": TEXT, "destination": TEXT, "flow": NUMBER, "users": NUMBER, "time": TIME},
    "trips": {
        **dict.fromkeys(ENDS, NUMBER),
        **dict.fromkeys(END_CELLS, CELL),
        "count": NUMBER,
        "user": TEXT,
        "time": TIME,
    },
    "events": {"user": TEXT, "time": TIME, "latitude": NUMBER, "longitude": NUMBER},
}
CELL_FLOW_ROLES = {**MOBILITY_ROLES["od"], "origin": CELL, "destination": CELL}  # od without a table of places
AMOUNTS: dict[str, str | None] = {"od": "flow", "trips": "count", "events": None}  # what a row carries
TEXT_ROLES = {"name": TEXT, "category": TEXT, "count": NUMBER}
LOCATIONS = {"place": TEXT, "geometry": GEOMETRY, "cell": CELL}  # roles that say alone where a row is
POINT_ROLES = {"latitude": NUMBER, "longitude": NUMBER}


def od_rules(columns: Collection[str], latest: Mapping[str, int] | None = None) -> list[Rule]:
    """Flows between places, whose cells are ``origin_cell`` and ``destination_cell``."""
    return [
        Rule(NO_ID, ("origin", "destination"), missing),
        Rule(UNKNOWN_PLACE, ("origin_cell", "destination_cell"), missing, apart=True),
        *(flow_rules("flow") if "flow" in columns else []),
        *(users_rules("users") if "users" in columns else []),
        *time_rules(columns, latest),
    ]


def cell_flow_rules(columns: Collection[str], resolution: int, latest: Mapping[str, int] | None = None) -> list[Rule]:
    """Flows between H3 cells; of a coarser cell, its children share the flow, but not the users."""
    users = "users" in columns
    return [
        Rule(NO_CELL, ("origin", "destination"), missing),
        *([coarse_rule(end, resolution) for end in ("origin", "destination")] if users else []),
        *(flow_rules("flow") if "flow" in columns else []),
        *(users_rules("users") if users else []),
        *time_rules(columns, latest),
    ]


def trip_points(columns: Collection[str]) -> list[tuple[str, str]]:
    """Latitude and longitude of those ends of a trip that are points; the others are cells."""
    return [ends for ends in (ENDS[:2], ENDS[2:]) if ends[0] in columns]


def trip_rules(columns: Collection[str], resolution: int, latest: Mapping[str, int] | None = None) -> list[Rule]:
    """Trips between two ends, each a point or an H3 cell."""
    cells = [end for end in END_CELLS if end in columns]
    return [
        *(rule for ends in trip_points(columns) for rule in coordinate_rules(*ends)),
        *(rule for end in cells for rule in (Rule(NO_CELL, (end,), missing), coarse_rule(end, resolution))),
        *(flow_rules("count") if "count" in columns else []),
        *([Rule(NO_USER, ("user",), missing)] if "user" in columns else []),
        *time_rules(columns, latest),
    ]


def event_rules() -> list[Rule]:
    """Records of users at a time and a point."""
    return [
        Rule(NO_USER, ("user",), missing),
        Rule(NO_TIME, ("time",), missing),
        Rule(NO_ZONE, ("time_zoneless",), is_true),
        *coordinate_rules("latitude", "longitude"),
    ]


def time_rules(columns: Collection[str], latest: Mapping[str, int] | None) -> list[Rule]:
    """A time, where there is one, must be readable; where it is to be the row's day, its file must not be older."""
    if "time" not in columns:
        return []
    return [Rule(NO_TIME, ("time",), missing), *([late_rule(latest)] if latest else [])]


def place_roles(columns: Collection[str]) -> dict[str, str]:
    """The kinds of the roles of a table of places: an id, and where the place is."""
    return {"id": TEXT, **located_roles(columns)}


def place_rules(columns: Collection[str]) -> list[Rule]:
    """A table of places: an id and a point, a geometry or a cell each."""
    return [Rule(NO_ID, ("id",), missing), *located_rules(columns)]


def located_rules(columns: Collection[str]) -> list[Rule]:
    """Rows at a point, with a geometry, in an H3 cell, or in a place whose cell is ``cell``."""
    if "geometry" in columns:
        return geometry_rules()
    if "cell" in columns:
        return [Rule(NO_CELL, ("cell",), missing)]
    if "place" not in columns:
        return coordinate_rules("latitude", "longitude")
    return [Rule(NO_ID, ("place",), missing), Rule(UNKNOWN_PLACE, ("cell",), missing, apart=True)]


def located_roles(columns: Collection[str]) -> dict[str, str]:
    """The kinds of the roles that say where rows are."""
    for role, kind in LOCATIONS.items():
        if role in columns:
            return {role: kind}
    return POINT_ROLES


def text_rules(columns: Collection[str]) -> list[Rule]:
    """Rows with a name, a category or both, and a count where they have one."""
    parts = tuple(role for role in ("name", "category") if role in columns)
    return [Rule(NO_TEXT, parts, all_missing), *(positive_rules("count") if "count" in columns else [])]


def table_rules(bins: Sequence[str], weighted: bool) -> list[Rule]:
    """Rows of a histogram."""
    return [
        *(share_rules("weight", "weight") if weighted else []),
        *(rule for each in bins for rule in share_rules(each, "bin")),
    ]
