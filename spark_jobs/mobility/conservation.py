"""What goes in comes out: the flow of the good rows is that of the edges and inside the cells."""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from mora_pipeline.raw.tallies import GOOD
from spark_jobs.mobility.readers import RawMoves
from spark_jobs.mobility.thresholds import thresholds_of
from spark_jobs.output import open_parquet, part_files
from spark_jobs.report import Check

TOLERANCE = 1e-9  # of the flow: places that lie in several cells divide it, and every row is rounded on the way


def conservation_check(moves: RawMoves, params: Mapping[str, Any], flow_of_edges: float) -> Check:
    """flow_conserved: nothing is lost or counted twice on the way from rows to cells.

    Args:
        params: of `grid_mobility`.
    """
    why = _not_compared(moves, params)
    if why:
        return Check(True, {"compared": False, "reason": why})
    good = moves.sources[0].tally.by_reason().get(GOOD)
    came = good.amount if good else 0.0
    went = flow_of_edges
    for file in part_files(params["output"]["self_flow"]):
        went += float(pc.sum(open_parquet(file).read(["internal_flow"])["internal_flow"]).as_py() or 0)
    distance = abs(went - came) / came if came else abs(went)
    return Check(distance <= TOLERANCE, {"compared": True, "flow_of_rows": came, "flow_of_cells": went})


def _not_compared(moves: RawMoves, params: Mapping[str, Any]) -> str:
    if moves.moves is None:
        return "two events make a move"
    if params.get("kept"):
        return "most rows of a window were read by earlier runs"
    return "edges are held back" if thresholds_of(params, moves) else ""
