"""The part of a first region.yaml that says how people move."""

import re
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mora_pipeline.contract.sphere import on_unit_sphere
from mora_pipeline.raw.language.syntax import KEYWORDS
from mora_pipeline.raw.values import is_text
from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.places import PlacesGuess
from mora_pipeline.region.draft.roles import LABELS, has_any
from mora_pipeline.region.draft.survey import RawFiles
from mora_pipeline.region.draft.tables import Guess
from mora_pipeline.region.draft.yaml_text import Entry, scalar

MOST_OTHERS = 6  # columns that a comment offers
FEW = 12  # values of a column up to which they are listed
WHAT = {
    "od": "Flows between places: a row is an origin, a destination and how much moved.",
    "trips": "Trips: a row has the coordinates of both ends.",
    "events": "Events: a row says where a user was when; consecutive ones become moves.",
}
EXAMPLES = {
    "od": "{kind: od, path: flows.csv, columns: {origin: from_zone, destination: to_zone, flow: trips}}",
    "trips": "{kind: trips, path: trips.csv, columns: {origin_latitude: start_lat, origin_longitude: start_lng, …}}",
    "events": "{kind: events, path: events.csv, columns: {user: user_id, time: time, latitude: lat, longitude: lon}}",
}


def mobility_entry(guess: Guess, centre: tuple[float, float] | None) -> Entry:
    """The section `mobility`.

    Args:
        centre: latitude and longitude amid the region, for its time zone; None if nobody knows.
    """
    roles, notes, entries = dict(guess.roles), list(guess.notes), list[Entry]()
    if guess.kind == "od" and "flow" not in roles:
        notes.append("No column says how much moved: each row counts as one.")
    notes += [f"Or {role}: {_named(names)}" for role, names in guess.others.items() if names and role in roles]
    if guess.others.get("origin, destination"):
        notes.append(f"Or origin and destination: {'; '.join(guess.others['origin, destination'])}")
    if guess.kind == "od" and guess.others.get("time"):
        notes.append(
            f"Or only the last weeks: time: {scalar(guess.others['time'][0])} in columns, and window: {{weeks: 4}}"
        )
    if guess.kind == "trips" and guess.others.get("user"):
        notes.append(f"Or, to count users: user: {scalar(guess.others['user'][0])}")
    notes += _mixed(guess)
    time = guess.table.columns.get(roles.get("time", ""))
    if time is not None:
        needed = guess.kind == "events"
        entries += time_entries(time, centre, needed)
        if time.times and time.times.certain is None and not needed:
            del roles["time"]
    columns = Entry("columns", roles, tuple(notes))
    table = table_entries(guess.table, roles.values())
    return Entry("mobility", [Entry("kind", guess.kind), *table, columns, *entries], (WHAT[guess.kind],))


def table_entries(table: RawFiles, used: Any = ()) -> list[Entry]:
    """Path, and what must be said of the files so that they are read; what is not clear is a comment."""
    notes = [f"{len(table.files):,} files of the same columns." if len(table.files) > 1 else "", *table.remarks]
    notes += [f"Or another of the same form: {_named(table.twins)}"] if table.twins else []
    entries = [Entry("path", table.path, tuple(filter(None, notes)))]
    if table.source.csv:
        entries.append(Entry("csv", dict(table.source.csv)))
    unclear = [table.columns[name].unclear for name in used if name in table.columns and table.columns[name].unclear]
    if unclear:
        what = ("TODO: say how numbers are written.", *dict.fromkeys(unclear))
        entries.append(Entry("csv", {"decimal": ".", "thousands": ","}, what, off=True))
    return entries


def time_entries(column: ColumnSample, centre: tuple[float, float] | None, needed: bool) -> list[Entry]:
    """How times are written and of which zone they are, as far as the sample tells."""
    entries, times = list[Entry](), column.times
    if times and times.certain:
        entries.append(Entry("time_format", times.certain, (f"Times: {times.describe()}.",)))
    elif times and times.certain is None:
        todo = "TODO: say how times are written" + ("" if needed else f", and name {scalar(column.name)} as time")
        entries += [
            Entry("time_format", form, (f"{todo}: {times.describe()}.",), off=True) for form in list(times.readings)[:1]
        ]
    if not column.is_zoned and (needed or column.has_clock):
        zone = nearest_zone(*centre) if centre else "Europe/Berlin"
        asks = f"TODO: the times carry no zone. Say which they are of; {zone} is the nearest on the map:"
        offers = (
            f"The times carry no zone and are read as they are written. If they are of {zone}, the nearest on the map:"
        )
        entries.append(Entry("time_zone", zone, (asks if needed else offers,), off=True))
    return entries


def places_entry(places: PlacesGuess) -> Entry:
    """The section `places`."""
    where = (
        "an H3 cell"
        if "cell" in places.location.roles
        else "a geometry"
        if "geometry" in places.location.roles
        else "a point"
    )
    notes = [f"{len(places.ids):,} places, with an id and {where} each."]
    if places.matching < 0.98:
        notes.append(f"Of the flows' ends in a sample, {places.matching:.0%} are among them.")
    if places.repeated:
        notes.append("Some ids are there several times: the first row of each counts.")
    notes += [f"Or id: {_named(places.others)}"] if places.others else []
    roles = {"id": places.id, **places.location.roles}
    table = table_entries(places.table, roles.values())
    if len(table) == 1 and not table[0].notes:
        return Entry("places", {"path": places.table.path, **roles}, tuple(notes))
    return Entry("places", [*table, *(Entry(role, name) for role, name in roles.items())], tuple(notes))


def missing_places(guess: Guess) -> Entry:
    """What to add where flows name places, and no table says where these are."""
    columns = guess.table.columns
    example = next(iter(sorted(columns[guess.roles["origin"]].distinct)), "")
    notes = (
        f"TODO: the flows' ends are ids such as '{example}', and no table here says where these are. Add one with "
        "an id and coordinates a row, then remove the # below:",
    )
    return Entry("places", {"path": "places.csv", "id": "id", "latitude": "lat", "longitude": "lon"}, notes, off=True)


def missing_mobility() -> list[Entry]:
    """What to say where nothing looks like mobility."""
    notes = ("TODO: nothing here looks like flows, trips or events. Add one of them:", *EXAMPLES.values())
    encoder = (
        "Or, where nobody knows how people move, another region's encoder embeds this one: name that region, which "
        "needs modalities of the same names.",
    )
    return [
        Entry("mobility", {"kind": "od", "path": "flows.csv"}, notes, off=True),
        Entry("embeddings", {"encoder": "name_of_another_region"}, encoder),
    ]


def _mixed(guess: Guess) -> list[str]:
    """Columns by which the rows of flows may be of several kinds, which are added up if nobody picks one."""
    if "flow" not in guess.roles:
        return []
    notes = []
    taken = {*guess.roles.values(), *guess.others.get("time", [])}
    for name, column in guess.table.columns.items():
        if (
            name in taken
            or has_any(name, LABELS)
            or column.is_fraction
            or not 1 < len(column.distinct) <= FEW
            or name in guess.others.get("flow", [])
        ):
            continue
        values = sorted(column.distinct)
        notes.append(
            f"Rows of {name} {', '.join(values)} are added up. For some of them only: where: "
            f"{scalar(condition(column, values[0]))}"
        )
    return notes


def condition(column: ColumnSample, value: str) -> str:
    """The filter for the rows of a value."""
    plain = re.fullmatch(r"[^\W\d]\w*", column.name) and column.name.lower() not in KEYWORDS
    name = column.name if plain else "`" + column.name.replace("`", "``") + "`"
    quoted = "'" + value.replace("'", "''") + "'"
    return f"{name} = {quoted if is_text(column.type) else value}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_OTHERS} more" if len(names) > MOST_OTHERS else ""
    return ", ".join(scalar(name) for name in names[:MOST_OTHERS]) + more


def nearest_zone(latitude: float, longitude: float) -> str:
    """The time zone whose city is nearest to a point: a hint, for borders are not looked at."""
    names, points = list[str](), list[tuple[float, float]]()
    tables = (Path(folder) / "zone1970.tab" for folder in zoneinfo.TZPATH)
    for line in next((path.read_text(encoding="utf-8") for path in tables if path.is_file()), "").splitlines():
        if line and not line.startswith("#"):
            _, place, name, *_ = line.split("\t")
            found = re.fullmatch(r"([+-]\d{4,6})([+-]\d{5,7})", place)
            if found:
                names.append(name)
                points.append((_degrees(found[1], 2), _degrees(found[2], 3)))
    if not names:
        return "UTC"
    every = on_unit_sphere(*np.array(points).T)
    return names[int(np.argmax(every @ on_unit_sphere(np.array([latitude]), np.array([longitude]))[0]))]


def _degrees(text: str, digits: int) -> float:
    """Degrees of ``+404251``: sign, degrees, minutes and perhaps seconds."""
    sign, number = (-1 if text[0] == "-" else 1), text[1:]
    return sign * (int(number[:digits]) + int(number[digits : digits + 2]) / 60)
