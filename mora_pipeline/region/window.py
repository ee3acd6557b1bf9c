"""The last weeks of dated mobility, and how its changed files are recognised."""

import contextlib
import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region.sections import Name, Section, problem

WEEKS = 54  # of the paper's graph
DIGITS = {"%Y": r"(?P<year>\d{4})", "%m": r"(?P<month>\d{2})", "%d": r"(?P<day>\d{2})"}


class Window(Section):
    """The last weeks of mobility; sums are kept by day, so that a nightly run reads only what is new."""

    date: Name | None = Field(
        default=None,
        description="how the day is written in a file's name (%Y, %m, %d among other text); without it, columns.time",
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

    def days(self, files: Sequence[Path], where: str) -> dict[Path, datetime.date]:
        """The files of the window and their days, by their names.

        Args:
            where: start of the message if a name tells no day, such as ``region.yaml: mobility.window.date ``.

        Raises:
            UserError: if a name tells no day, several, or one to come.
        """
        days = {file: self._day(file, where) for file in files}
        newest = max(days, key=lambda file: days[file])
        if days[newest] > datetime.date.today() + datetime.timedelta(days=1):  # somewhere it is tomorrow already
            raise UserError(
                f"{where}is '{self.date}', and the name of {newest} has a day to come: the window would end there. "
                "Fix the name."
            )
        before = days[newest] - datetime.timedelta(weeks=self.weeks)
        return {file: day for file, day in days.items() if day > before}

    def _day(self, file: Path, where: str) -> datetime.date:
        parts = re.split("(%[Ymd])", str(self.date))
        pattern = r"(?<!\d)" + "".join(DIGITS.get(part, re.escape(part)) for part in parts) + r"(?!\d)"
        days = set()
        for match in re.finditer(pattern, file.name):
            with contextlib.suppress(ValueError):  # such as the 30th of February
                days.add(datetime.date(int(match["year"]), int(match["month"]), int(match["day"])))
        if len(days) != 1:
            what = "several days" if days else "no such day"
            raise UserError(f"{where}is '{self.date}', but the name of {file} has {what}. Fix it, or the name.")
        return days.pop()
