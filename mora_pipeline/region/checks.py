"""Opens the head of every file a region.yaml names, and verifies each column: that it is there, and of its type."""

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.contract.quoting import shape_of
from mora_pipeline.raw.cells import as_cells
from mora_pipeline.raw.expressions import parse
from mora_pipeline.raw.forms import sample
from mora_pipeline.raw.source import TIME
from mora_pipeline.raw.time_readings import readings_of
from mora_pipeline.raw.times import as_moments
from mora_pipeline.raw.values import is_text
from mora_pipeline.region.columns import SAMPLE_ROWS, Checker, InputFile, listed, sample_texts
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.kinds import KINDS
from mora_pipeline.region.mobility import EventsMobility, Mobility, OdMobility
from mora_pipeline.region.sections import PlacesConfig
from mora_pipeline.region.tasks import CellTask, GroupTask, Members, TaskConfig


def check_files(config: RegionConfig) -> list[InputFile]:
    """Open the head of every file, and verify that each column is there and of the right type.

    Returns:
        Tables first, then imagery; each file once.

    Raises:
        UserError: for the first file, column or type that is wrong.
    """
    checker = checked(config)
    return list({file.path: file for file in [*checker.opened.values(), *checker.others]}.values())


def checked(config: RegionConfig) -> Checker:
    """As `check_files`, with the heads by the key that names them."""
    checker = Checker(config.base, config.file.name)
    places = config.places_or_none()
    if places is not None:
        key = "places" if config.places else "mobility.places"
        checker.columns(key, f"{key}.path", places, places.place_roles())
    if config.mobility is not None:
        _check_mobility(checker, config.mobility)
        if isinstance(config.mobility, OdMobility) and places is None:
            _check_cells(checker, config.mobility)
    for name, modality in config.modalities.items():
        KINDS[modality.kind].check_files(checker, f"modalities.{name}", modality)
    for name, task in config.tasks.items():
        _check_task(checker, f"tasks.{name}", task, places)
    for name, members in config.blocks.items():
        _check_members(checker, f"blocks.{name}", members)
    return checker


def _check_mobility(checker: Checker, mobility: Mobility) -> None:
    for file in checker.columns("mobility.columns", "mobility.path", mobility, mobility.columns.roles()):
        if getattr(mobility.columns, "time", None):
            _check_written(checker, file, mobility)
        if isinstance(mobility, EventsMobility):
            _check_zone(checker, file, mobility)


def _check_cells(checker: Checker, mobility: OdMobility) -> None:
    """Without a table of places, the ends of flows must be H3 cells."""
    for file in checker.table("mobility.path", mobility):
        for role in ("origin", "destination"):
            column = getattr(mobility.columns, role)
            values = sample_texts(file, column)
            if values and as_cells(pa.array(values)).null_count == len(values):
                example = shape_of(values[0])
                raise UserError(
                    f"{checker.name}: mobility.columns.{role} is '{column}', and {file.path.name} has {example} there, "
                    "which is no H3 cell; and there is no table of places that says where it is. Add places "
                    "with path, id, and latitude and longitude (or geometry, or cell)."
                )
    said = "there is no table of places: the ends of its flows are read as H3 cells"
    checker.remarks["mobility.path"] = (*checker.remarks.get("mobility.path", ()), said)


def _check_task(checker: Checker, key: str, task: TaskConfig, places: PlacesConfig | None) -> None:
    if isinstance(task, CellTask):
        files = checker.label(key, task, task.column, task.location())
        if task.weight and task.place and places and not all(task.weight in file.columns for file in files):
            _check_weight_of_places(checker, f"{key}.weight", task.weight, files[0], places)
        else:
            checker.columns(key, f"{key}.path", task, task.roles("weight"))
    elif isinstance(task, GroupTask):
        checker.label(key, task, task.column, task.roles("id"))
        _check_members(checker, f"{key}.members", task.members)
    else:
        checker.label(key, task, task.column, task.location())


def _check_members(checker: Checker, key: str, members: Members) -> None:
    checker.columns(key, f"{key}.path", members, {"group": members.group, **members.location()})


def _check_weight_of_places(checker: Checker, key: str, weight: str, labels: InputFile, places: PlacesConfig) -> None:
    for file in checker.table("places.path", places):
        if weight not in file.columns:
            near = did_you_mean(weight, [*labels.columns, *file.columns])
            raise UserError(
                f"{checker.name}: {key} is '{weight}', but neither {labels.path.name} ({listed(labels.columns)}) nor "
                f"{file.path.name} ({listed(file.columns)}) has it.{near or ' Name a column of either.'}"
            )
        checker.column(file, key, weight, number=True)


def _check_written(checker: Checker, file: InputFile, mobility: Mobility) -> None:
    """Times must be read by what is declared, or need no declaration.

    Raises:
        UserError: with the format to declare, or the readings between which only the data's owner can choose.
    """
    column = mobility.columns.roles()["time"]
    values = sample_texts(file, column)
    if not values:
        return
    example = shape_of(values[0])
    said = f"{checker.name}: mobility.columns.time is '{column}', and {file.path.name} has times such as {example}"
    if mobility.time_format is not None:
        moments, _ = as_moments(pa.array(values), mobility.time_format, None)
        if moments.null_count == len(moments):
            raise UserError(f"{said}, which mobility.time_format ({mobility.time_format}) does not read. Fix it.")
        return
    readings = readings_of(values)
    if readings.certain:
        raise UserError(f"{said}, which are not ISO 8601. Add mobility.time_format: '{readings.certain}'.")
    if readings.certain is None and readings.readings:
        raise UserError(f"{said}. Which time is meant is not certain: {readings.describe()}. Add mobility.time_format.")


def _check_zone(checker: Checker, file: InputFile, mobility: EventsMobility) -> None:
    column = mobility.columns.time
    kind = parse(column, file.columns).type
    where = f"{checker.name}: mobility.columns.time is '{column}', which holds"
    stamped = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    counted = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (is_text(kind) or stamped or counted):
        raise UserError(f"{where} {kind} in {file.path.name}, but it must hold time stamps. Store it as such.")
    if mobility.time_zone is not None or file.source is None:
        return
    values, _ = sample(file.source, column, TIME, str(file.path), SAMPLE_ROWS)
    _, zoneless = as_moments(values, mobility.time_format)
    if zoneless.any() or (stamped and getattr(kind, "tz", None) is None):
        example = str(kind) if stamped else shape_of(values[int(zoneless.argmax())].as_py())
        example = f"times as {mobility.time_format}" if mobility.time_format else example
        raise UserError(
            f"{where} {example} in {file.path.name}: time stamps without a zone. "
            "Add mobility.time_zone, such as UTC or America/Santiago."
        )
