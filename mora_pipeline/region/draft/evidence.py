"""The parts of a first region.yaml that say what is known of cells: texts, histograms, labels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mora_pipeline.region.draft.candidates import count_column, id_columns, in_common, names_things, repeated_by
from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.groups import histograms, population_column
from mora_pipeline.region.draft.locations import Location, location_of
from mora_pipeline.region.draft.mobility import condition, table_entries
from mora_pipeline.region.draft.places import PlacesGuess, place_column
from mora_pipeline.region.draft.roles import CATEGORY, ID, NAME, YEAR, has_any, said, slug
from mora_pipeline.region.draft.survey import RawFiles
from mora_pipeline.region.draft.yaml_text import Entry, scalar
from mora_pipeline.region.tasks import MEAN

MOST_TASKS = 6  # labels of a file that become tasks; the others are named
TASKS_SHOWN = 30  # further columns that a comment names
COUNTED = ("count", "counts", "number", "total", "population", "pop", "n", "sum", "anzahl", "aantal")


@dataclass(frozen=True)
class Evidence:
    """What a table says of cells: entries of `modalities` and of `tasks`."""

    modalities: tuple[Entry, ...] = ()
    tasks: tuple[Entry, ...] = ()


class Names:
    """Names of modalities and tasks, each once."""

    def __init__(self) -> None:
        self._taken = {"mobility", MEAN}

    def new(self, text: str, fallback: str) -> str:
        """A name made from a text."""
        name, number = slug(text, fallback), 2
        start = name
        while name in self._taken:
            name, number = f"{start[:59]}_{number}", number + 1
        self._taken.add(name)
        return name


def evidence_of(table: RawFiles, places: PlacesGuess | None, names: Names) -> Evidence:
    """Texts, histograms and labels of a table."""
    columns = table.columns
    is_places = places is not None and places.table is table
    location = location_of(columns, table.files[0], table.form)
    place = places.id if is_places and places else place_column(columns, places)
    if not is_places and (text := _text(table, location, place, names)):
        return Evidence((text,))
    spot: dict[str, str] = {"place": place} if place else dict(location.roles) if location else {}
    taken = {*spot.values(), *(location.names if location else ())}
    if not spot:
        return Evidence((), tuple(_group_tasks(table, places, names)))
    where = _one_of_several(columns, place) if place and not is_places else None
    weight = population_column(columns, taken)
    groups = histograms(columns, {*taken, *([weight] if weight else [])})
    modalities = [_table(table, spot, weight, groups, where, names)] if groups else []
    if is_places or groups:
        return Evidence(tuple(modalities))
    return Evidence((), tuple(_tasks(table, spot, taken, places, where, names)))


def _text(table: RawFiles, location: Location | None, place: str | None, names: Names) -> Entry | None:
    columns, point = table.columns, location.names if location else ()
    texts = {name: column for name, column in columns.items() if column.known and not column.is_number}
    ids = set(id_columns(columns, point)[:1]) - {name for name in texts if said(name, NAME) >= 0.5}
    used = {*point, *ids, *([place] if place else [])}
    free = {name: each for name, each in texts.items() if name not in used and not each.is_geometry}
    free = {name: each for name, each in free.items() if len(each.distinct) > 1} or free
    named = sorted((name for name in free if said(name, NAME) >= 0.5), key=lambda name: -said(name, NAME))
    kinds = sorted((name for name in free if said(name, CATEGORY) >= 0.4 and name not in named[:1]),
                   key=lambda name: -said(name, CATEGORY))  # fmt: skip
    if not (point or place) or not (kinds or (named and point and not place)):
        return None
    roles = dict(location.roles) if location else {"place": str(place)}
    roles |= {"name": named[0]} if named else {}
    roles |= {"category": kinds[0]} if kinds else {}
    if count := count_column(columns, {*roles.values(), *point}):
        roles["count"] = count
    notes = [f"Or category: {', '.join(map(scalar, kinds[1:6]))}"] if kinds[1:] else []
    notes += [f"Or name: {', '.join(map(scalar, named[1:6]))}"] if named[1:] else []
    if any(name == "confidence" and column.is_number for name, column in columns.items()):
        notes.append('Or only what is sure: where: "confidence > 0.5", beside columns')
    entries = [Entry("kind", "text"), *table_entries(table, roles.values()), Entry("columns", roles, tuple(notes))]
    return Entry(names.new(_stem(table), "texts"), entries, ("Named or categorised things at points.",))


def _table(
    table: RawFiles,
    spot: Mapping[str, str],
    weight: str | None,
    groups: Mapping[str, str],
    where: Entry | None,
    names: Names,
) -> Entry:
    located = [Entry("place", spot["place"])] if "place" in spot else [Entry("columns", dict(spot))]
    note = f"{len(table.columns)} columns; each group is a histogram, scaled to a sum of 1 within a cell."
    entries = [
        Entry("kind", "table"),
        *table_entries(table, spot.values()),
        *located,
        *([where] if where else []),
        *([Entry("weight", weight)] if weight else []),
        Entry("groups", dict(groups)),
    ]
    return Entry(names.new(_stem(table), "table"), entries, (note,))


def _tasks(
    table: RawFiles,
    spot: Mapping[str, str],
    taken: Collection[str],
    places: PlacesGuess | None,
    where: Entry | None,
    names: Names,
) -> list[Entry]:
    labels = label_columns(table.columns, taken)
    level = "point" if spot.keys().isdisjoint({"place", "cell"}) else "cell"
    own = population_column(table.columns, taken)
    weight = own or (population_column(places.table.columns) if places and "place" in spot else None)
    tasks = []
    for name in labels[:MOST_TASKS]:
        task: dict[str, Any] = {"level": level, "path": table.path, **spot, "column": name}
        if level == "cell" and ((has_any(name, COUNTED) and table.columns[name].is_whole) or name == own):
            task["aggregate"] = "sum"
        elif level == "cell" and weight:
            task["weight"] = weight
        tasks.append(_task(table, task, where, names))
    return _with_note(tasks, labels)


def _group_tasks(table: RawFiles, places: PlacesGuess | None, names: Names) -> list[Entry]:
    """Labels of groups of places, such as counties: their ids are in another column of the places."""
    if places is None or places.table is table:
        return []
    ids = id_columns(table.columns, ())
    for group, column in places.table.columns.items():
        if group == places.id or column.is_unique or not column.may_be_id or not names_things(column):
            continue
        for name in ids[:3]:
            if in_common(column, table.columns[name].distinct) >= 0.5:
                members = {"path": places.table.path, "group": group, "place": places.id}
                labels = label_columns(table.columns, {name})
                task = {"level": "group", "path": table.path, "id": name}
                tasks = [
                    _task(table, {**task, "column": label}, None, names, [Entry("members", members)])
                    for label in labels[:MOST_TASKS]
                ]
                return _with_note(tasks, labels)
    return []


def _task(
    table: RawFiles, task: Mapping[str, Any], where: Entry | None, names: Names, more: Collection[Entry] = ()
) -> Entry:
    name = names.new(str(task["column"]) if len(str(task["column"])) > 2 else _stem(table), "label")
    entries = table_entries(table, [str(task["column"])])
    if len(entries) == 1 and not entries[0].notes and where is None and not more:
        return Entry(name, dict(task))
    keys = [Entry(key, value) for key, value in task.items() if key not in ("path", "level")]
    return Entry(name, [Entry("level", task["level"]), *entries, *([where] if where else []), *keys, *more])


def _with_note(tasks: list[Entry], labels: list[str]) -> list[Entry]:
    """Tasks, the first of which says which labels there are besides."""
    if not tasks or len(labels) <= len(tasks):
        return tasks
    left = labels[len(tasks) :]
    more = f" and {len(left) - TASKS_SHOWN} more" if len(left) > TASKS_SHOWN else ""
    note = f"The file has further numbers: {', '.join(map(scalar, left[:TASKS_SHOWN]))}{more}."
    return [Entry(tasks[0].key, tasks[0].value, (*tasks[0].notes, note)), *tasks[1:]]


def label_columns(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> list[str]:
    """Columns of numbers that may be labels."""
    return [
        name
        for name, column in columns.items()
        if name not in taken
        and (column.is_number or column.unclear)
        and not column.is_geometry
        and len(column.distinct) > 1
        and not (column.is_whole and (column.has_codes or said(name, ID) >= 0.7))
        and not all(YEAR.fullmatch(text) for text in list(column.distinct)[:20])
    ]


def _one_of_several(columns: Mapping[str, ColumnSample], place: str) -> Entry | None:
    """The filter that picks one row a place, where a table has several: those of the last year."""
    if columns[place].is_unique or not (names := repeated_by(columns, place)):
        return None
    values = sorted(columns[names[0]].distinct)
    note = f"A place has several rows, of {names[0]} {', '.join(values[:12])}: the last is taken."
    return Entry("where", condition(columns[names[0]], values[-1]), (note,))


def _stem(table: RawFiles) -> str:
    parts = [part for part in table.path.split("/") if "*" not in part and "=" not in part]
    parts = parts or [table.path.split("/")[-1].rpartition("=")[2]]
    return parts[-1].split(".")[0].replace("*", "")
