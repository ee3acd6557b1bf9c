"""Small files in the forms of flows between zones that are polygons, and of what lies in such zones."""

import datetime
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyogrio.raw import write as write_vector
from pyproj import Transformer

MITMA_ZONES = {"01001": (42.84, -2.52), "01009_AM": (42.96, -2.79), "28079": (40.42, -3.70)}
GEMEINDEN = {"091620000000": (48.137, 11.575), "091840112112": (48.046, 11.526), "010010000000": (54.78, 9.43)}
TAXI_ZONES = {1: (40.69, -74.17), 56: (40.745, -73.86), 57: (40.75, -73.85), 230: (40.76, -73.985)}


def square(point: tuple[float, float], crs: str, resolution: int) -> Any:
    """A square of some 100 m, or 100 feet, in the middle of the cell at a point."""
    latitude, longitude = h3.cell_to_latlng(h3.latlng_to_cell(*point, resolution))
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    return shapely.box(x - 50, y - 50, x + 50, y + 50)


def cells_as_one(point: tuple[float, float], crs: str, resolution: int) -> Any:
    """The cell at a point and one of its neighbours as one polygon."""
    cell = h3.latlng_to_cell(*point, resolution)
    both = [cell, min(set(h3.grid_disk(cell, 1)) - {cell})]
    return shapely.union_all([outline(each, crs) for each in both])


def outline(cell: str, crs: str) -> Any:
    """A cell as a polygon."""
    to = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return shapely.Polygon([to.transform(longitude, latitude) for latitude, longitude in h3.cell_to_boundary(cell)])


def vector(
    file: Path, shapes: Sequence[Any], fields: Mapping[str, Sequence[Any]], crs: str, driver: str, **more: Any
) -> None:
    """A vector file of polygons."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = [np.array(values, dtype=object if isinstance(values[0], str) else None) for values in fields.values()]
    write_vector(
        file, shapely.to_wkb(shapes), arrays, list(fields), crs=crs, driver=driver, geometry_type="Polygon",
        encoding="UTF-8", **more,
    )  # fmt: skip


def mitma(folder: Path) -> None:
    """Two days: hours and purposes of the same pair, a group of municipalities, trips abroad; districts in UTM 30N."""
    head = (
        "fecha|periodo|origen|destino|distancia|actividad_origen|actividad_destino|estudio_origen_posible|"
        "estudio_destino_posible|residencia|renta|edad|sexo|viajes|viajes_km"
    )
    days = {
        "20240301": [
            ("08", "01001", "28079", "4.332"), ("09", "01001", "28079", "1.25"), ("08", "28079", "01009_AM", "2.500"),
            ("08", "externo", "28079", "7.125"), ("23", "28079", "FR613", "3.000"),
        ],
        "20240302": [("00", "01001", "01001", "11.001"), ("08", "01001", "28079", "1.418")],
    }  # fmt: skip
    for day, rows in days.items():
        files = folder / "ficheros-diarios" / f"{day[:4]}-{day[4:6]}"
        files.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{day}|{hour}|{start}|{end}|10-50|casa|frecuente|no|no|01|10-15|NA|NA|{trips}|{trips}"
            for hour, start, end, trips in rows
        ]
        (files / f"{day}_Viajes_distritos.csv.gz").write_bytes(gzip.compress("\n".join([head, *lines, ""]).encode()))
    *small, madrid = MITMA_ZONES.values()
    shapes = [*(square(point, "EPSG:25830", 7) for point in small), cells_as_one(madrid, "EPSG:25830", 7)]
    file = folder / "zonificacion" / "zonificacion_distritos" / "zonificacion_distritos.shp"
    vector(file, shapes, {"ID": list(MITMA_ZONES)}, "EPSG:25830", "ESRI Shapefile")


def kontur_people() -> dict[str, float]:
    """People in cells of Madrid."""
    cells = sorted(h3.grid_disk(h3.latlng_to_cell(*MITMA_ZONES["28079"], 8), 2))
    return {cell: 100.0 + 37.0 * number for number, cell in enumerate(cells)}


def kontur(folder: Path) -> None:
    """The cells of `kontur_people`, in web mercator."""
    people = kontur_people()
    shapes = [outline(cell, "EPSG:3857") for cell in people]
    fields = {"h3": list(people), "population": list(people.values())}
    vector(folder / "kontur_population_ES_20231101.gpkg", shapes, fields, "EPSG:3857", "GPKG", geometry_name="geom")


def pendleratlas(folder: Path) -> None:
    """Destinations and origins side by side; one abroad from the Land, one held back, one without a destination."""
    munich, unterhaching, _ = GEMEINDEN
    rows = [
        (1, munich, unterhaching, 2345, 9.8, unterhaching, 9123, 9.8),
        (2, munich, "110000000000", 1501, 501.5, "110000000000", 1404, 501.5),
        (1, unterhaching, munich, 9123, 9.8, munich, 2345, 9.8),
        (2, unterhaching, "091840148148", "-", 4.2, "091840148148", 10, 4.2),
        (3, unterhaching, "", "", "", "091840130130", 10, 8.1),
    ]
    head = "Rang;ARS;ARS_AO;AUSP_AO;AUSP_km;ARS_WO;EIP_WO;EIP_km"
    lines = [";".join(map(str, row)) for row in rows]
    (folder / "2024_Verfl_L09.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    shapes = [square(point, "EPSG:25832", 7) for point in GEMEINDEN.values()]
    names = [*GEMEINDEN, "010010000000"]  # Flensburg has a part in the sea
    fields = {"ARS": names, "AGS": [name[:5] + name[9:] for name in names], "GEN": ["Name"] * 4, "GF": [4, 4, 4, 2]}
    sea = square((54.83, 9.47), "EPSG:25832", 7)
    file = folder / "vg250_12-31.utm32s.shape.ebenen" / "VG250_GEM.shp"
    vector(file, [*shapes, sea], fields, "EPSG:25832", "ESRI Shapefile")


def quackosm(folder: Path) -> None:
    """A point, a building's outline, and a road without any of the tags, as GeoParquet with a map of tags."""
    latitude, longitude = GEMEINDEN["091620000000"]
    things: list[tuple[str, dict[str, str], Any]] = [
        ("node/1", {"amenity": "cafe", "name": "Café Luitpold"}, shapely.Point(longitude, latitude)),
        (
            "way/2",
            {"building": "yes", "tourism": "museum", "name": "Glyptothek"},
            shapely.box(longitude, latitude, longitude + 0.001, latitude + 0.001),
        ),
        ("way/3", {"highway": "primary"}, shapely.LineString([(longitude, latitude), (longitude, latitude + 0.01)])),
    ]
    table = pa.table(
        {
            "feature_id": [name for name, _, _ in things],
            "tags": pa.array([list(tags.items()) for _, tags, _ in things], pa.map_(pa.string(), pa.string())),
            "geometry": pa.array([shapely.to_wkb(shape) for _, _, shape in things], pa.binary()),
        }
    )
    geo = (
        b'{"version":"1.1.0","primary_column":"geometry","columns":{"geometry":{"encoding":"WKB","geometry_types":[]}}}'
    )
    (folder / "osm").mkdir()
    pq.write_table(
        table.replace_schema_metadata({b"geo": geo}),
        folder / "osm" / "oberbayern-latest_nofilter_noclip_compact_sorted.parquet",
    )


def nyc_tlc(folder: Path) -> None:
    """Trips without a count, some from or to nowhere; zones in feet, of which two parts share a LocationID."""
    pairs = [(230, 1), (230, 1), (57, 230), (230, 264), (265, 265), (230, 230)]
    times = [datetime.datetime(2024, 1, 1, 0, minute) for minute in range(len(pairs))]
    table = pa.table(
        {
            "VendorID": pa.array([2] * len(pairs), pa.int32()),
            "tpep_pickup_datetime": pa.array(times, pa.timestamp("us")),
            "tpep_dropoff_datetime": pa.array(times, pa.timestamp("us")),
            "passenger_count": pa.nulls(len(pairs), pa.int64()),
            "trip_distance": [1.72] * len(pairs),
            "PULocationID": pa.array([start for start, _ in pairs], pa.int32()),
            "DOLocationID": pa.array([end for _, end in pairs], pa.int32()),
        }
    )
    pq.write_table(table, folder / "yellow_tripdata_2024-01.parquet")
    earlier = table.slice(0, 1)
    for name in ("PULocationID", "DOLocationID"):  # whole numbers of another width until 2022
        earlier = earlier.set_column(earlier.schema.get_field_index(name), name, earlier[name].cast(pa.int64()))
    pq.write_table(earlier, folder / "yellow_tripdata_2022-12.parquet")
    shapes = [square(point, "EPSG:2263", 9) for point in TAXI_ZONES.values()]
    fields = {
        "OBJECTID": list(TAXI_ZONES),
        "Shape_Leng": [0.1] * 4,
        "zone": ["Newark Airport", "Corona", "Corona", "Times Sq"],
        "LocationID": [1, 56, 56, 230],
    }
    vector(folder / "taxi_zones" / "taxi_zones.shp", shapes, fields, "EPSG:2263", "ESRI Shapefile")
