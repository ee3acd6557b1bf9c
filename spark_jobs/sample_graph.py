"""Edges to the sampled mobility graph: per origin, the strongest share of its flows.

The edges lie clustered by origin, so no row is shuffled: each Spark task runs a vectorised kernel over a whole file.

Source: MoRA section 3.1 (the strongest 10 % of each node's links); rounding and ties are ours (method.md).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from spark_jobs.clustering import COLUMNS, on_each_file, whole_origins
from spark_jobs.errors import InputError
from spark_jobs.output import checked_empty, count_rows, part_files, part_name
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.sampling import make_strategy, starts_of

GRAPH = pa.schema(
    [
        pa.field("origin", pa.int64(), nullable=False),
        pa.field("destination", pa.int64(), nullable=False),
        pa.field("flow", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Sampled:
    """What became of the edges of one file."""

    read: int
    kept: int
    origins: int
    broken: int
    flow: float
    kept_flow: float


def sample_file(number: int, file: str, params: Mapping[str, Any], folder: str) -> Sampled:
    """Sample the edges of one file into one file of the graph."""
    strategy = make_strategy(params)
    counts, flows = [0, 0, 0, 0], [0.0, 0.0]
    target = Path(folder) / part_name(number)
    with pq.ParquetWriter(target, GRAPH, compression="zstd") as writer:
        for edges in whole_origins(file):
            origin, destination, flow = (edges[name].to_numpy() for name in COLUMNS)
            mask = strategy.keep(origin, destination, flow)
            broken = strategy.broken(origin, destination, flow, mask)
            writer.write_table(edges.filter(pa.array(mask)).cast(GRAPH))
            for index, count in enumerate((len(mask), int(mask.sum()), len(starts_of(origin)), broken)):
                counts[index] += count
            flows = [flows[0] + float(flow.sum()), flows[1] + float(flow[mask].sum())]
    return Sampled(*counts, *flows)


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Sample the graph of a region.

    Args:
        params: ``edges`` (folder), ``strategy`` (top_share), ``share`` (0 to 1), ``output.graph`` (folder).

    Raises:
        InputError: if there are no edges, they are not clustered, or the parameters are wrong.
    """
    make_strategy(params)  # a wrong parameter is told before anything starts
    files = part_files(parameter(params, "edges"))
    graph = checked_empty(parameter(params, "output.graph"))
    if count_rows(files) == 0:
        raise InputError(f"{params['edges']} holds no edges: run the job grid_mobility first.")
    settings = {key: value for key, value in params.items() if key not in ("edges", "output")}
    sampled = on_each_file(spark, files, partial(sample_file, params=settings, folder=str(graph)))
    read, kept = sum(item.read for item in sampled), sum(item.kept for item in sampled)
    written, broken = count_rows(part_files(str(graph))), sum(item.broken for item in sampled)
    flow, kept_flow = sum(item.flow for item in sampled), sum(item.kept_flow for item in sampled)
    origins = sum(item.origins for item in sampled)
    figures = {"edges": read, "kept": kept, "written": written, "origins": origins, "origins_wrong": broken}
    return Outcome(
        rows={"graph": written},
        read=read,
        checks={"keeps_strongest_share": Check(broken == 0 and written == kept, figures)},
        metadata={"kept_share_of_edges": kept / read, "kept_share_of_flow": kept_flow / flow, "origins": origins},
    )


if __name__ == "__main__":
    sys.exit(run_as_program("sample_graph", run))
