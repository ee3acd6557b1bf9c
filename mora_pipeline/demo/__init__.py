"""A deterministic synthetic city, to try everything on without data of one's own."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.demo.city import RESOLUTION, lay_out_city

REGION = "demo_city"
RINGS, USERS, DAYS = 19, 12_000, 7  # 1,141 blocks; about 300,000 events

_REGION_YAML = f"""\
# A synthetic city, made by mora_pipeline.demo; nothing in it is real.
region: {REGION}
resolution: {RESOLUTION}

places: {{path: places.parquet, id: place_id, latitude: latitude, longitude: longitude}}

mobility:
  kind: events
  path: events/*.parquet
  columns: {{user: user_id, time: time, latitude: latitude, longitude: longitude}}
  maximum_gap_hours: 24

modalities:
  poi:
    kind: text
    path: pois.parquet
    columns: {{latitude: latitude, longitude: longitude, name: name, category: category}}
  imagery: {{kind: image, source: geotiff, path: imagery/*.tif}}
  demographics:
    kind: table
    path: places.parquet
    place: place_id
    weight: population
    groups: {{age: age_*, household: household_*}}

tasks:
  income: {{level: cell, path: labels/cells.parquet, latitude: latitude, longitude: longitude, column: income}}
  consumption:
    level: cell
    path: labels/cells.parquet
    latitude: latitude
    longitude: longitude
    column: consumption
    transform: log1p
  population:
    level: cell
    path: places.parquet
    place: place_id
    column: population
    aggregate: sum
    transform: log1p
  commute:
    level: group
    path: labels/wards.parquet
    id: ward
    column: commute_km
    members: {{path: places.parquet, group: ward, place: place_id}}
  rent:
    level: point
    path: labels/flats.parquet
    latitude: latitude
    longitude: longitude
    column: rent
    transform: log1p
"""


def make_demo_city(folder: Path, seed: int = 0, *, rings: int = RINGS, users: int = USERS, days: int = DAYS) -> Path:
    """Write the raw files of a synthetic city and their region.yaml; the same arguments give the same bytes.

    Args:
        folder: where to write; created if it is missing; files of the same names are replaced.
        seed: another seed is another city.
        rings: rings of blocks around the centre; 3 · rings · (rings + 1) + 1 blocks. At least 3.
        users: people who keep a diary.
        days: days of the diaries, from a Monday on.

    Returns:
        The path of region.yaml.

    Raises:
        ValueError: if there is no room for a city, or nobody in it.
    """
    if rings < 3 or users < 1 or days < 1:
        raise ValueError(f"a city needs 3 rings, a user and a day at least, not {rings}, {users} and {days}")
    from mora_pipeline.demo.people import draw_people, write_diaries
    from mora_pipeline.demo.picture import paint_picture
    from mora_pipeline.demo.places import make_places
    from mora_pipeline.demo.pois import make_pois
    from mora_pipeline.demo.tasks import make_labels

    # One stream a part, so that a change in one part leaves the others as they were.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
    city = lay_out_city(streams[0], rings)
    people = draw_people(streams[1], city, users)
    for old in (folder / "events").glob("day_*.parquet"):
        old.unlink()  # an earlier city may have had more days
    for day in range(days):
        _write(folder / "events" / f"day_{day + 1:02d}.parquet", write_diaries(streams[1], city, people, day))
    _write(folder / "places.parquet", make_places(streams[2], city))
    _write(folder / "pois.parquet", make_pois(streams[3], city))
    paint_picture(streams[4], city, folder / "imagery")
    for name, table in make_labels(streams[5], city).items():
        _write(folder / "labels" / f"{name}.parquet", table)
    # Last: a folder with a region.yaml is complete.
    target = folder / "region.yaml"
    target.write_text(_REGION_YAML, encoding="utf-8")
    return target


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
