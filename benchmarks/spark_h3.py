"""H3 on a column of Spark: our Arrow kernel against a Python function of h3 a row, which is how h3-pyspark does it.

python -m benchmarks.spark_h3 --points 4M --repeats 3
"""
# ruff: noqa: T201 - a command prints

import argparse
import statistics
import time
from collections.abc import Callable

import h3
from pyspark.sql import Column
from pyspark.sql import functions as sql

from benchmarks.spark_ways import rows_of
from spark_jobs.h3_columns import geo_to_h3
from spark_jobs.session import spark_session

RESOLUTION = 9
WAYS: dict[str, Callable[[], Column]] = {
    "geo_to_h3, Arrow": lambda: geo_to_h3("lat", "lng", RESOLUTION),
    "h3 a row": lambda: sql.udf(lambda lat, lng: h3.latlng_to_cell(lat, lng, RESOLUTION), "string")("lat", "lng"),
    "points alone": lambda: sql.col("lat") + sql.col("lng"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="4M")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    points = rows_of(options.points)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with spark_session("h3") as spark:
        cores = spark.sparkContext.defaultParallelism
        frame = spark.range(0, points, 1, cores).selectExpr("rand(1) * 170 - 85 AS lat", "rand(2) * 360 - 180 AS lng")
        for _ in range(options.repeats + 1):  # the first is not counted
            for way, column in WAYS.items():
                start = time.perf_counter()
                frame.select(sql.max(column())).collect()
                seconds[way].append(time.perf_counter() - start)
    for way, taken in seconds.items():
        median = statistics.median(taken[1:])
        print(f"{way}: {median:.1f} s, {points / median / 1e6:.2f} million points a second on {cores} cores")


if __name__ == "__main__":
    main()
