"""Small files in the forms of places of interest."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TEXT = pa.string()


def overture(folder: Path) -> None:
    """Places in Hartford, Connecticut, and one in Paris; doubtful ones, closed ones, and some without a category."""
    rows = [  # latitude, longitude, name, category, confidence, status
        (41.7640, -72.6743, "Bushnell Park", "park", 0.97, "open"),
        (41.7641, -72.6742, "Bushnell Park", "park", 0.95, None),
        (41.7700, -72.6841, "Café Rêve", "cafe", 0.81, "open"),
        (41.7700, -72.6842, "Lot 7", None, 0.77, "open"),
        (41.7700, -72.6843, "Rumour", "bar", 0.5, "open"),
        (41.7700, -72.6844, "Gone", "bar", 0.9, "permanently_closed"),
        (48.8584, 2.2945, "Tour Eiffel", "historic_site", 0.99, "open"),
    ]
    down, up = np.float32(-np.inf), np.float32(np.inf)
    table = pa.table(
        {
            "id": [f"08f2a{number}" for number in range(len(rows))],
            "geometry": pa.array([point(row[0], row[1]) for row in rows], pa.binary()),
            "bbox": pa.array(
                [
                    {
                        "xmin": float(np.nextafter(np.float32(row[1]), down)),
                        "xmax": float(np.nextafter(np.float32(row[1]), up)),
                        "ymin": float(np.nextafter(np.float32(row[0]), down)),
                        "ymax": float(np.nextafter(np.float32(row[0]), up)),
                    }
                    for row in rows
                ],
                pa.struct([(name, pa.float32()) for name in ("xmin", "xmax", "ymin", "ymax")]),
            ),
            "names": pa.array(
                [{"primary": row[2], "common": [("en", row[2])], "rules": None} for row in rows],
                pa.struct([("primary", TEXT), ("common", pa.map_(TEXT, TEXT)), ("rules", pa.list_(TEXT))]),
            ),
            "basic_category": pa.array([row[3] for row in rows], TEXT),
            "taxonomy": pa.array(
                [row[3] and {"primary": row[3], "hierarchy": ["a", row[3]], "alternates": None} for row in rows],
                pa.struct([("primary", TEXT), ("hierarchy", pa.list_(TEXT)), ("alternates", pa.list_(TEXT))]),
            ),
            "confidence": [row[4] for row in rows],
            "operating_status": pa.array([row[5] for row in rows], TEXT),
        }
    )  # fmt: skip
    files = folder / "theme=places" / "type=place"
    files.mkdir(parents=True)
    for part in (0, 1):
        pq.write_table(
            table.slice(4 * part, 4), files / f"part-0000{part}-c0ffee-c000.zstd.parquet", compression="zstd"
        )


def foursquare(folder: Path) -> None:
    """Places in Chicago: one without coordinates, one that closed, one without a category."""
    rows = [
        (41.8790, -87.6360, "Lou's", ["Dining and Drinking > Restaurant > Pizzeria", "Retail"], None),
        (41.9118, -87.6317, "Lincoln Park", ["Landmarks and Outdoors > Park"], None),
        (41.8790, -87.6361, "Closed Diner", ["Dining and Drinking"], "2021-05-04"),
        (None, None, "Nowhere", ["Retail"], None),
        (41.8791, -87.6361, "Nameless Kind", None, None),
    ]
    table = pa.table(
        {
            "fsq_place_id": [f"4b05{number}" for number in range(len(rows))],
            "name": [row[2] for row in rows],
            "latitude": pa.array([row[0] for row in rows], pa.float64()),
            "longitude": pa.array([row[1] for row in rows], pa.float64()),
            "address": pa.nulls(len(rows), TEXT),
            "region": ["IL"] * len(rows),
            "country": ["US"] * len(rows),
            "date_created": ["2010-03-18"] * len(rows),
            "date_refreshed": ["2024-09-02"] * len(rows),
            "date_closed": pa.array([row[4] for row in rows], TEXT),
            "fsq_category_ids": pa.array([row[3] and ["4bf58dd8"] * len(row[3]) for row in rows], pa.list_(TEXT)),
            "fsq_category_labels": pa.array([row[3] for row in rows], pa.list_(TEXT)),
            "geom": pa.array([row[0] and point(row[0], row[1]) for row in rows], pa.binary()),
            "bbox": pa.array(
                [row[0] and {"xmin": row[1], "ymin": row[0], "xmax": row[1], "ymax": row[0]} for row in rows],
                pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")]),
            ),
        }
    )
    files = folder / "places" / "parquet"
    files.mkdir(parents=True)
    pq.write_table(table, files / "places-00000.zstd.parquet", compression="zstd")


def point(latitude: float, longitude: float) -> bytes:
    """A point as WKB."""
    return struct.pack("<BIdd", 1, 1, longitude, latitude)
