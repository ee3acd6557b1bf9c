"""Which columns of a table are histograms, and the globs that name them."""

import fnmatch
import re
from collections.abc import Collection, Mapping

import numpy as np

from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.roles import DENSITIES, POPULATION, YEAR, has_any, said, slug, words_of

FEWEST = 3  # columns that make a histogram
MOSTLY = 0.6  # of a table's numbers, that must be bins, where words alone tell them
WORDS = 4  # of a name that says nothing but population, at most
_RANGE = re.compile(
    r"\d+[a-z]?(?:[ _-]*(?:to|plus|and|over|more|up|under|eo|bis|a|et|o|mas|y|less|than|\d+[a-z]?)(?![a-z]))*\+?",
    re.IGNORECASE,
)
_SEXES = {"male", "female", "men", "women", "m", "f", "hommes", "femmes", "hombres", "mujeres", "man", "vrouw"}


def histograms(columns: Mapping[str, ColumnSample], taken: Collection[str]) -> dict[str, str]:
    """Globs by group: columns of numbers from 0 on whose names differ in a number or in their last words."""
    free = {name: column for name, column in columns.items() if name not in taken and _may_be_bin(column)}
    by_form: dict[str, list[str]] = {}
    for name in free:
        if not YEAR.search(name):
            by_form.setdefault(_RANGE.sub("*", name), []).append(name)
    found = {form: names for form, names in by_form.items() if "*" in form and len(names) >= FEWEST}
    used = {name for names in found.values() for name in names}
    by_word: dict[str, list[str]] = {}
    for name in free:
        words = re.split(r"(?<=[_.:-])", name)
        if name not in used and not YEAR.search(name) and len(words) > 1 and len(words[0]) > 2:
            by_word.setdefault(words[0], []).append(name)
    by_word = {start: names for start, names in by_word.items() if len(names) >= FEWEST}
    if len(used) + sum(map(len, by_word.values())) >= MOSTLY * len(free):  # else a table of all sorts of numbers
        found |= {f"{start}*": names for start, names in by_word.items()}
    named: dict[str, str] = {}
    for names, globs in _joined_sexes(found, list(columns), taken):
        named.setdefault(_group_name(globs, len(named)), globs)
        used |= set(names)
    return named


def _may_be_bin(column: ColumnSample) -> bool:
    if not column.is_number or column.unclear or column.is_geometry:
        return False
    return bool((column.given >= 0).all())


def _joined_sexes(
    found: Mapping[str, list[str]], columns: list[str], taken: Collection[str]
) -> list[tuple[list[str], str]]:
    """The columns and globs of each group; those of men and women that differ in this alone are one histogram."""
    groups: dict[object, list[tuple[str, list[str]]]] = {}
    for form, names in found.items():
        words = words_of(form)
        rest = tuple(word for word in words if word not in _SEXES)
        key = ("sexes", rest, len(names)) if rest != words else form
        groups.setdefault(key, []).append((form, names))
    return [
        (
            [name for _, names in group for name in names],
            "|".join(_globs(form, names, columns, taken) for form, names in group),
        )
        for group in groups.values()
    ]


def _globs(form: str, names: list[str], columns: list[str], taken: Collection[str]) -> str:
    """A glob that matches just these columns; their names if there is none."""
    glob = re.sub(r"[][?|]", "?", form)
    if [each for each in columns if each not in taken and fnmatch.fnmatchcase(each, glob)] == names:
        return glob
    return "|".join(names)


def _group_name(globs: str, number: int) -> str:
    if len(globs) > 80:
        return slug(globs.split("|")[0].rstrip("*"), f"group_{number + 1}")
    return slug(globs.replace("*", " ").replace("|", " "), f"group_{number + 1}")


def population_column(columns: Mapping[str, ColumnSample], taken: Collection[str] = ()) -> str | None:
    """The column that weights the rows: how many people live there."""
    fits = [
        (said(name, POPULATION), name)
        for name, column in columns.items()
        if name not in taken and column.is_number and (column.given >= 0).all() and not has_any(name, DENSITIES)
        and len(words_of(name)) <= WORDS
        and np.ptp(column.given) > 0
    ]  # fmt: skip
    fits.sort(key=lambda each: -each[0])
    return fits[0][1] if fits and fits[0][0] >= 0.6 else None
