"""What each kind of raw table may hold: the kinds of its roles and the rules for its bad rows, stated once.

Spark's tasks apply them to every row, and the check of a region to a sample.
"""

from collections.abc import Collection, Mapping, Sequence

from mora_pipeline.raw.rules import (
    NO_ID,
    NO_TEXT,
    NO_TIME,
    NO_USER,
    NO_ZONE,
    UNKNOWN_PLACE,
    Rule,
    all_missing,
    coordinate_rules,
    flow_rules,
    is_true,
    late_rule,
    missing,
    positive_rules,
    share_rules,
    users_rules,
)
from mora_pipeline.raw.source import NUMBER, TEXT, TIME

ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
MOBILITY_ROLES: dict[str, dict[str, str]] = {  # the kind of each role, by the kind of mobility
    "od": {"origin": TEXT, "destination": TEXT, "flow": NUMBER, "users": NUMBER, "time": TIME},
    "trips": {**dict.fromkeys(ENDS, NUMBER), "count": NUMBER, "user": TEXT, "time": TIME},
    "events": {"user": TEXT, "time": TIME, "latitude": NUMBER, "longitude": NUMBER},
}
AMOUNTS: dict[str, str | None] = {"od": "flow", "trips": "count", "events": None}  # what a row carries
PLACE_ROLES = {"id": TEXT, "latitude": NUMBER, "longitude": NUMBER}
TEXT_ROLES = {"name": TEXT, "category": TEXT, "count": NUMBER}
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


def trip_rules(columns: Collection[str], latest: Mapping[str, int] | None = None) -> list[Rule]:
    """Trips between two points each."""
    return [
        *coordinate_rules(*ENDS[:2]),
        *coordinate_rules(*ENDS[2:]),
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


def place_rules() -> list[Rule]:
    """A table of places: an id and a point each."""
    return [Rule(NO_ID, ("id",), missing), *coordinate_rules("latitude", "longitude")]


def located_rules(columns: Collection[str]) -> list[Rule]:
    """Rows at a point, or in a place whose cell is ``cell``."""
    if "place" not in columns:
        return coordinate_rules("latitude", "longitude")
    return [Rule(NO_ID, ("place",), missing), Rule(UNKNOWN_PLACE, ("cell",), missing, apart=True)]


def located_roles(columns: Collection[str]) -> dict[str, str]:
    """The kinds of the roles that say where rows are."""
    return {"place": TEXT} if "place" in columns else POINT_ROLES


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
