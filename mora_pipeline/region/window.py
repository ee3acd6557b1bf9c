"""The last weeks of dated mobility, and how its changed files are recognised."""

import contextlib
import datetime
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region.sections import Name, Section, problem

WEEKS = 54  # of the paper's graph
DIGITS = {"%Y": r"(?P<year>\d{4})", "%m": r"(?P<month>\d{2})", "%d": r"(?P<day>\d{2})"}
UNPADDED = {"=%m": r"=(?P<month>\d{1,2})", "=%d": r"=(?P<day>\d{1,2})"}  # Spark writes folders such as month=1


class Window(Section):
    """The last weeks of mobility; sums are kept by day, so that a nightly run reads only what is new."""

    date: Name | None = Field(
        default=None,
        description="how the day is written in the name of a file or of a folder above it (%Y, %m, %d among other "
        "text); without it, columns.time",
    )
    weeks: int = Field(default=WEEKS, ge=1, description="weeks, up to the newest day, that count")
    listing: Name | None = Field(
        default=None,
        description="CSV of the files: their path, and in other columns what changes with them (size, time, etag)",
    )

    @model_validator(mode="after")
    def _names_a_day(self) -> Self:
        if self.date is not None and any(self.date.count(digits) != 1 for digits in DIGITS):
            raise problem(f"has date '{self.date}'; it must hold %Y, %m and %d once each, such as trips_%Y-%m-%d")
        return self

    def days(self, files: Sequence[Path], where: str, base: Path | None = None) -> dict[Path, datetime.date]:
        """The files of the window and their days, by their names or the folders that they are in.

        Args:
            where: start of the message if a name tells no day, such as ``region.yaml: mobility.window.date ``.
            base: the folder that the region's paths start from; the names of folders above it tell nothing.

        Raises:
            UserError: if a path tells no day, its name several, or one to come.
        """
        days = {file: self._day(file, where, base) for file in files}
        newest = max(days, key=lambda file: days[file])
        if days[newest] > datetime.date.today() + datetime.timedelta(days=1):  # somewhere it is tomorrow already
            raise UserError(
                f"{where}is '{self.date}', and the name of {newest} has a day to come: the window would end there. "
                "Fix the name."
            )
        before = days[newest] - datetime.timedelta(weeks=self.weeks)
        return {file: day for file, day in days.items() if day > before}

    def _day(self, file: Path, where: str, base: Path | None) -> datetime.date:
        """The day of a file: its name's, else that of the nearest folder whose name tells one.

        A pattern with a slash, such as ``year=%Y/month=%m/day=%d``, is looked for in the path as a whole.
        """
        path = file.as_posix().removeprefix(f"{base.as_posix().rstrip('/')}/" if base else "")
        for text in [path] if "/" in str(self.date) else reversed(path.split("/")):
            days = _days_in(text, self._pattern)
            if len(days) > 1:
                raise UserError(
                    f"{where}is '{self.date}', but the name of {file} has several days. Fix it, or the name."
                )
            if days:
                return days.pop()
        raise UserError(
            f"{where}is '{self.date}', but the name of {file} has no such day, nor a folder's. Fix it, or the name."
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split("(=%[md]|%[Ymd])", str(self.date))
        text = "".join({**DIGITS, **UNPADDED}.get(part, re.escape(part)) for part in parts)
        return re.compile(rf"(?<!\d){text}(?!\d)")


def _days_in(text: str, pattern: re.Pattern[str]) -> set[datetime.date]:
    days = set()
    for match in pattern.finditer(text):
        with contextlib.suppress(ValueError):  # such as the 30th of February
            days.add(datetime.date(int(match["year"]), int(match["month"]), int(match["day"])))
    return days
