"""The three kinds of mobility a region.yaml may describe: flows between places, trips, and events of users."""

from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from mora_pipeline.contract.constants import MAXIMUM_GAP_HOURS
from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.times import checked_time_format
from mora_pipeline.raw.wide import DESTINATION, FLOW
from mora_pipeline.region.sections import BadShare, Name, PlacesConfig, RawTable, Section, problem
from mora_pipeline.region.window import Window


class BaseMobility(RawTable):
    """What every kind of mobility takes: files, columns, and thresholds of what is kept."""

    columns: Section
    maximum_bad_share: BadShare
    minimum_users: int = Field(
        default=0, ge=0, description="distinct users below which an edge, or the flow inside a cell, is held back"
    )
    minimum_flow: float = Field(
        default=0.0, ge=0, description="flow below which an edge, or the flow inside a cell, is held back"
    )

    time_format: Name | None = Field(
        default=None, description="how times are written, such as %d/%m/%Y %H:%M or epoch_ms (default: ISO 8601)"
    )

    def options(self) -> dict[str, Any]:
        return {**super().options(), **({"time_format": self.time_format} if self.time_format else {})}

    @model_validator(mode="after")
    def _times_are_read(self) -> Self:
        if self.time_format is None:
            return self
        if not getattr(self.columns, "time", None):
            raise problem("has time_format, but no column of times. Name columns.time, or remove time_format")
        try:
            checked_time_format(self.time_format)
        except UserError as error:
            raise problem(str(error).rstrip(".")) from None
        return self

    @model_validator(mode="after")
    def _users_known(self) -> Self:
        roles = type(self.columns).model_fields.keys() & {"user", "users"}
        if self.minimum_users and not any(getattr(self.columns, role) for role in roles):
            raise problem(
                f"has minimum_users {self.minimum_users}, but no column names the users. Name columns.{min(roles)}, or "
                "limit the flow by minimum_flow"
            )
        return self


class TimedMobility(BaseMobility):
    """Mobility whose hours may be counted."""

    time_zone: str | None = Field(
        default=None,
        description="zone of time stamps without one, and in which hours are counted, such as America/Santiago",
    )

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        zones = available_timezones()
        if self.time_zone is not None and self.time_zone not in zones:
            text = f"has time_zone '{self.time_zone}', which is not an IANA time zone, such as Europe/Berlin or UTC"
            raise problem(text, self.time_zone, zones)
        return self


class OdColumns(Section):
    """Columns of origin-destination flows."""

    origin: Name = Field(description="column of the origin's place id, or H3 cell where there is no table of places")
    destination: Name | None = Field(default=None, description="column of the destination's place id, or H3 cell")
    destinations: Name | None = Field(
        default=None,
        description="of a table in wide form: its columns of flows, such as to_*; * is the destination's id",
    )
    flow: Name | None = Field(default=None, description="column of the amount that moved (default 1 a row)")
    users: Name | None = Field(default=None, description="column of the number of distinct users")
    time: Name | None = Field(default=None, description="column of the day or time, for a window")

    @model_validator(mode="after")
    def _says_where_to(self) -> Self:
        if (self.destination is None) == (self.destinations is None):
            given = "neither" if self.destination is None else "both"
            raise problem(
                f"must say where flows go: destination, or destinations of a table in wide form (it has {given})"
            )
        if self.destinations is not None and (self.flow or self.users):
            raise problem("has destinations, whose columns hold the flow. Remove flow and users")
        if self.destinations is not None and self.destinations.count("*") != 1:
            raise problem(f"has destinations '{self.destinations}'; write one *, which stands for the id, such as to_*")
        return self

    def roles(self, *names: str) -> dict[str, str]:
        roles = super().roles(*names)
        if roles.pop("destinations", None):
            roles |= {"destination": DESTINATION, "flow": FLOW}
        return roles


class WindowedMobility(BaseMobility):
    """Mobility that can be limited to its last weeks."""

    window: Window | None = Field(default=None, description="only the last weeks, by day of file or row")

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if self.window and not self.window.date and not getattr(self.columns, "time", None):
            raise problem(
                "has a window, but nothing says which day a row is of. Add window.date (how the day is written in "
                "the files' names) or columns.time"
            )
        return self


class OdMobility(WindowedMobility):
    """Flows between places."""

    kind: Literal["od"]
    columns: OdColumns = Field(description="the flows' columns")
    places: PlacesConfig | None = Field(default=None, description="the table of places, if it is not at the top level")

    def options(self) -> dict[str, Any]:
        wide = self.columns.destinations
        return {**super().options(), **({"wide": wide} if wide else {})}


class TripColumns(Section):
    """Columns of trips between coordinates, or H3 cells."""

    origin_latitude: Name | None = Field(default=None, description="column of the latitude where the trip starts")
    origin_longitude: Name | None = Field(default=None, description="column of the longitude where the trip starts")
    origin_cell: Name | None = Field(default=None, description="column of the H3 cell where the trip starts")
    destination_latitude: Name | None = Field(default=None, description="column of the latitude where the trip ends")
    destination_longitude: Name | None = Field(default=None, description="column of the longitude where the trip ends")
    destination_cell: Name | None = Field(default=None, description="column of the H3 cell where the trip ends")
    count: Name | None = Field(default=None, description="column of how many trips the row stands for (default 1)")
    time: Name | None = Field(default=None, description="column of the start time")
    user: Name | None = Field(default=None, description="column of the user's id")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        for end in ("origin", "destination"):
            names = [f"{end}_{part}" for part in ("latitude", "longitude", "cell")]
            has = [name for name in names if getattr(self, name) is not None]
            if has not in (names[:2], names[2:]):
                given = ", ".join(has) or "none"
                text = f"must say where trips {'start' if end == 'origin' else 'end'}: {names[0]} and {names[1]}, or "
                raise problem(f"{text}{names[2]} (it has {given})")
        return self


class TripsMobility(WindowedMobility, TimedMobility):
    """Trips with the coordinates of both ends."""

    kind: Literal["trips"]
    columns: TripColumns = Field(description="the trips' columns")

    @model_validator(mode="after")
    def _zone_of_times(self) -> Self:
        if self.time_zone is not None and self.columns.time is None:
            raise problem(
                f"has time_zone '{self.time_zone}', but no column of times. Name columns.time, or remove time_zone"
            )
        return self


class EventColumns(Section):
    """Columns of events."""

    user: Name = Field(description="column of the user's id")
    time: Name = Field(description="column of the time stamp")
    latitude: Name = Field(description="column of the latitude, degrees")
    longitude: Name = Field(description="column of the longitude, degrees")


class EventsMobility(TimedMobility):
    """Where users were when; consecutive places of one user become a move."""

    kind: Literal["events"]
    columns: EventColumns = Field(description="the events' columns")
    maximum_gap_hours: float = Field(
        default=MAXIMUM_GAP_HOURS, gt=0, lt=1e9, description="hours between two events up to which they make a move"
    )


Mobility = Annotated[OdMobility | TripsMobility | EventsMobility, Field(discriminator="kind")]
