"""Edges to the sampled mobility graph: per origin, the strongest share of its flows, or what another strategy keeps.

The edges are clustered by origin, so no row is shuffled: each Spark task runs a vectorised kernel over a span of a
file, whole origins at a time.

Source: MoRA section 3.1 (the strongest 10 % of each node's links); rounding and ties are ours (method.md).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.ranking import starts_of
from mora_pipeline.contract.sampling import Strategy, make_strategy
from mora_pipeline.contract.schemas import GRAPH
from spark_jobs.clustering import on_each_file
from spark_jobs.output import (
    ROWS_PER_GROUP,
    checked_empty,
    count_rows,
    in_one_step,
    part_files,
    part_name,
    written_by_tasks,
)
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.session import QUICK_JAVA
from spark_jobs.spans import Span, spans_of, whole_origins


@dataclass(frozen=True)
class Sampled:
    """What became of the edges of one span: ``origins`` are its cells, ``left`` how many of them keep an edge."""

    read: int
    kept: int
    left: int
    broken: int
    flow: float
    kept_flow: float
    origins: npt.NDArray[np.int64]


def sample_span(number: int, span: Span, params: Mapping[str, Any], folder: str) -> Sampled:
    """Sample the edges of one span into one file of the graph."""
    strategy, pieces, held = make_strategy(params), [], []
    target = Path(folder) / part_name(number)
    # No dictionary of destinations: it outgrows its page, and is given up after the work of building it.
    settings = {"compression": "zstd", "use_dictionary": ["origin", "flow"]}
    with in_one_step(target) as draft, pq.ParquetWriter(draft, GRAPH, **settings) as writer:
        for edges in whole_origins(span):
            piece, kept = sample_piece(edges, strategy)
            pieces.append(piece)
            held.append(kept)
            if sum(table.num_rows for table in held) >= ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(held))
                held = []
        if held:
            writer.write_table(pa.concat_tables(held))
    return in_all(pieces)


def sample_piece(edges: pa.RecordBatch, strategy: Strategy) -> tuple[Sampled, pa.Table]:
    """The edges of whole origins that stay, sorted by origin and destination."""
    origin, destination, flow = (edges[name].to_numpy() for name in GRAPH.names)
    mask = strategy.keep(origin, destination, flow)
    broken = strategy.broken(origin, destination, flow, mask)
    kept = np.flatnonzero(mask)
    origin_kept, destination_kept = origin[kept], destination[kept]
    disorder = (destination_kept[1:] < destination_kept[:-1]) & (origin_kept[1:] == origin_kept[:-1])
    if disorder.any():  # in no file of grid_mobility
        order = np.lexsort((flow[kept], destination_kept, origin_kept))
        kept, origin_kept, destination_kept = kept[order], origin_kept[order], destination_kept[order]
    flow_kept = flow[kept]
    sampled = Sampled(
        read=len(origin),
        kept=len(kept),
        left=len(starts_of(origin_kept)),
        broken=broken,
        flow=float(flow.sum()),
        kept_flow=float(flow_kept.sum()),
        origins=origin[starts_of(origin)],
    )
    return sampled, pa.table([origin_kept, destination_kept, flow_kept], schema=GRAPH)


def in_all(parts: list[Sampled]) -> Sampled:
    """Several parts as one."""
    none = np.empty(0, dtype=np.int64)
    return Sampled(
        read=sum(part.read for part in parts),
        kept=sum(part.kept for part in parts),
        left=sum(part.left for part in parts),
        broken=sum(part.broken for part in parts),
        flow=sum(part.flow for part in parts),
        kept_flow=sum(part.kept_flow for part in parts),
        origins=np.concatenate([none, *(part.origins for part in parts)]),
    )


def check_clustered(folder: str, origins: npt.NDArray[np.int64]) -> None:
    """Refuse edges of one origin in several files: each would be sampled as if it were the whole.

    Args:
        origins: int64 [n], the distinct origins of each file, one file after the other.

    Raises:
        UserError: if an origin occurs twice.
    """
    distinct, times = np.unique(origins, return_counts=True)
    if len(distinct) < len(origins):
        raise UserError(
            f"{folder}: {len(origins) - len(distinct)} origins are in several files, such as {distinct[times > 1][0]}. "
            "Make the edges with the job grid_mobility, which keeps an origin's edges together."
        )


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Sample the graph of a region.

    Args:
        params: ``edges`` (folder), ``strategy`` (top_share, random_share, fixed_k, threshold, none) with what it needs
            of ``share`` (0 to 1), ``k``, ``minimum_flow`` and ``seed``, ``output.graph`` (folder).

    Raises:
        UserError: if there are no edges, they are not clustered, the parameters are wrong, or no edge would remain.
    """
    make_strategy(params)  # a wrong parameter is reported before anything starts
    files = part_files(parameter(params, "edges"))
    graph = checked_empty(parameter(params, "output.graph"))
    if count_rows(files) == 0:
        raise UserError(f"{params['edges']} holds no edges: run the job grid_mobility first.")
    settings = {key: value for key, value in params.items() if key not in ("edges", "output")}
    with written_by_tasks(graph):
        kernel = partial(sample_span, params=settings, folder=str(graph))
        sampled = in_all(on_each_file(spark, spans_of(files), kernel))
        check_clustered(params["edges"], sampled.origins)
        if sampled.kept == 0:
            raise UserError(f"No flow of {params['edges']} reaches minimum_flow = {params['minimum_flow']}: lower it.")
    written, origins = count_rows(part_files(str(graph))), len(sampled.origins)
    figures = {"edges": sampled.read, "kept": sampled.kept, "written": written, "origins": origins}
    figures |= {"origins_wrong": sampled.broken, "origins_without_edges": origins - sampled.left}
    return Outcome(
        rows={"graph": written},
        read=sampled.read,
        checks={"follows_strategy": Check(sampled.broken == 0 and written == sampled.kept, figures)},
        metadata={
            "kept_share_of_edges": sampled.kept / sampled.read,
            "kept_share_of_flow": sampled.kept_flow / sampled.flow,
            "origins": origins,
        },
    )


def settings(params: Mapping[str, Any]) -> Mapping[str, str]:
    """No row passes through the JVM: its quick compiler is enough."""
    return QUICK_JAVA


if __name__ == "__main__":
    sys.exit(run_as_program("sample_graph", run, settings=settings))
