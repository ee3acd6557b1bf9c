"""Which columns of a table may play a role: by their names, and by what they hold."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from mora_pipeline.region.draft.column_sample import ColumnSample
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
    has_any,
    said,
)  # fmt: skip

IN_COMMON = 0.5  # of the ids of a sample, that must be in a table of places
Ids = frozenset[str]


def in_common(column: ColumnSample, ids: Ids) -> float:
    """The share of a column's values, each once, that are among ids."""
    return len(column.distinct & ids) / len(column.distinct) if column.distinct else 0.0


def names_things(column: ColumnSample) -> bool:
    """Whether a column holds codes, or is called an id: small whole numbers are among any ids that are numbers."""
    return column.has_codes or max(said(column.name, each) for each in (ID, ORIGIN, DESTINATION)) >= 0.45


def overlap(one: Ids, other: Ids) -> float:
    """The share of the smaller of two sets of ids that is in the other."""
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
