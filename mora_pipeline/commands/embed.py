"""`mora embed`: coordinates in, vectors out."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_LATITUDE = ("latitude", "lat", "y")
_LONGITUDE = ("longitude", "lon", "lng", "long", "x")
_SUFFIXES = (".csv", ".csv.gz", ".parquet")


# Negative coordinates look like options: unknown ones are taken as arguments, and refused there if they are none.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("region")
@click.argument("points", nargs=-1, metavar="[LAT,LON]...")
@click.option(
    "--input", "source_file", type=click.Path(path_type=Path), help="CSV or Parquet with latitude and longitude."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="CSV or Parquet to write; default: CSV to the terminal."
)
@click.option(
    "--source",
    type=click.Choice(["auto", "cell", "distilled"]),
    default="auto",
    show_default=True,
    help="cell: the vector of the H3 cell at the point; distilled: the network's; auto: the cell's where there is one.",
)
def embed(
    region: str,
    points: tuple[str, ...],
    source_file: Path | None,
    output: Path | None,
    source: Literal["auto", "cell", "distilled"],
) -> None:
    """Print or write the vector of each point of REGION.

    Points come from the command line or from a file, whose columns and row order are kept. Parquet has the vector
    as one column `vector`; CSV has a column for each number, v0 to v127 (to v95 where another region's encoder of the
    preset `mora` embedded REGION).

    \b
    Examples:
      mora embed us_east 40.7128,-74.0060 38.9072,-77.0369
      mora embed us_east --input shops.csv --output shops_with_vectors.parquet
      mora embed us_east --source distilled -- -33.8688,151.2093
    """
    from mora_pipeline.contract.names import checked_region_name
    from mora_pipeline.serving import EmbeddingStore

    checked_region_name(region)
    if bool(points) == bool(source_file):
        raise UserError("Give points (mora embed us_east 40.7128,-74.0060) or a file (--input points.csv).")
    if output is not None and not output.name.endswith(_SUFFIXES):
        raise UserError(f"--output {output}: the name must end in .csv, .csv.gz or .parquet")
    table = _read(source_file) if source_file else _parse(points)
    latitude, longitude = _coordinates(table, str(source_file or "the command line"))
    vectors = EmbeddingStore.open(region).at(latitude, longitude, source=source)
    _write(table, vectors, output)
    if output is not None:
        click.echo(f"Wrote {len(vectors):,} vectors to {output}")


def _parse(points: tuple[str, ...]) -> "pa.Table":
    import pyarrow as pa

    pairs = []
    for point in points:
        try:
            latitude, longitude = point.split(",")
            pairs.append((float(latitude), float(longitude)))
        except ValueError:
            raise UserError(f"'{point}' is not LAT,LON in degrees, such as 40.7128,-74.0060") from None
    latitudes, longitudes = zip(*pairs, strict=True)
    return pa.table({"latitude": pa.array(latitudes), "longitude": pa.array(longitudes)})


def _read(path: Path) -> "pa.Table":
    """A table of points, read as every raw table is; a CSV's columns of numbers are numbers, ids stay text.

    Raises:
        UserError: if the file cannot be read, or is no CSV and no Parquet file.
    """
    import pyarrow as pa

    from mora_pipeline.raw.formats import file_format
    from mora_pipeline.raw.reader import read_table

    form = file_format(path)
    if form not in ("csv", "parquet"):
        raise UserError(f"--input {path}: the name must end in .csv, .csv.gz or .parquet")
    if not path.is_file():
        raise UserError(f"{path} cannot be read: there is no such file.")
    table, numbers = read_table(path, form)
    columns = [numbers.get(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    return pa.table(columns, names=table.column_names)


def _coordinates(table: "pa.Table", origin: str) -> "tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]":
    """Latitude and longitude, float64 [n], degrees.

    Raises:
        UserError: if a column is missing, not numeric, empty in a row, or outside the globe.
    """
    import numpy as np
    import pyarrow as pa

    coordinates = []
    for names, limit in ((_LATITUDE, 90.0), (_LONGITUDE, 180.0)):
        column = next((name for name in names for have in table.column_names if have.lower() == name), None)
        column = next((have for have in table.column_names if have.lower() == column), None)
        if column is None:
            raise UserError(f"{origin} has no column '{names[0]}'; it has {', '.join(table.column_names)}")
        try:
            values = np.asarray(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)
        except pa.ArrowException as error:
            raise UserError(f"{origin}: column '{column}' is not numeric ({error})") from error
        wrong = np.flatnonzero(~(np.abs(values) <= limit))
        if len(wrong):
            raise UserError(
                f"{origin}: {column} is {values[wrong[0]]} in row {wrong[0] + 1}; it must be a number from "
                f"-{limit:.0f} to {limit:.0f} ({len(wrong):,} such rows)"
            )
        coordinates.append(values)
    return coordinates[0], coordinates[1]


def _write(table: "pa.Table", vectors: "npt.NDArray[np.float32]", output: Path | None) -> None:
    import pyarrow as pa
    from pyarrow import csv
    from pyarrow import parquet as pq

    if output is not None and output.name.endswith(".parquet"):
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        pq.write_table(table.append_column("vector", column), output)
        return
    for dimension in range(vectors.shape[1]):
        table = table.append_column(f"v{dimension}", pa.array(vectors[:, dimension]))
    if output is None:
        buffer = pa.BufferOutputStream()
        csv.write_csv(table, buffer)
        click.echo(buffer.getvalue().to_pybytes(), nl=False)
    elif output.name.endswith(".gz"):
        with pa.CompressedOutputStream(str(output), "gzip") as stream:
            csv.write_csv(table, stream)
    else:
        csv.write_csv(table, output)
