"""A made-up benchmark of a few hundred real cells, whole enough for every part of the report."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.region import ReportedScores

METHODS = ("mora", "LINE <raw>")
PNG = b"\x89PNG\r\n\x1a\nnot really"


@pytest.fixture
def benchmark() -> pa.Table:
    rows = []
    for at, (method, task) in enumerate((m, t) for m in METHODS for t in ("income", "crime|rate")):
        for split in ("random", "blocked"):
            boosted = "lightgbm" if split == "random" else "lightgbm_fast"
            for model in (boosted if task == "income" else "pooled_ridge", "linear_probe"):
                r2 = 0.9 - 0.1 * at - (0.35 if split == "blocked" else 0) - (0.013 if model == "linear_probe" else 0)
                row = {"method": method, "task": task, "split": split, "seed": 42, "model": model, "n": 10, "rmse": 1.0}
                rows.append({**row, "r2": r2})
    return pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)


@pytest.fixture
def intervals() -> pa.Table:
    """On blocked folds: ahead in income, behind in crime, undecided in the mean."""
    rows = []
    for task, low, middle, high in (
        ("income", 0.1, 0.2, 0.3),
        ("crime|rate", -0.3, -0.2, -0.1),
        ("mean", -0.1, 0, 0.1),
    ):
        base = {"task": task, "split": "blocked", "model": "lightgbm_fast", "low": 0.3, "high": 0.7}
        rows.append({**base, "method": "mora", "r2": 0.5 + middle, "baseline": "LINE <raw>", "difference": middle,
                     "difference_low": low, "difference_high": high})  # fmt: skip
        rows.append({**base, "method": "LINE <raw>", "r2": 0.5})
    return pa.Table.from_pylist(rows, schema=schemas.INTERVALS)


@pytest.fixture
def ablations() -> pa.Table:
    judged = {"split": "blocked", "model": "lightgbm_fast", "n": 10, "rmse": 1.0}
    found = (
        (BASE, BASE, 0.5), ("graph", "graph: neighbours", 0.45), ("scaling", "cells: 15 %", 0.3),
        ("scaling", "cells: 50 %", 0.4),
    )  # fmt: skip
    sure = {"graph": {"difference": -0.05, "difference_low": -0.06, "difference_high": -0.04}}
    rows = [
        {"family": family, "variant": variant, "task": task, "seed": seed, "r2": r2 + 0.01 * seed, **judged}
        | sure.get(family, {})
        for family, variant, r2 in found
        for task in ("income", "crime|rate")
        for seed in (-1, 1)
    ]
    return pa.Table.from_pylist(rows, schema=schemas.ABLATIONS)


@pytest.fixture
def data(benchmark: pa.Table, intervals: pa.Table, cells: pa.Table) -> ReportData:
    """A report without ablations and published scores."""
    random, tables = np.random.default_rng(0), []
    for method in METHODS:
        for task in ("income", "crime|rate"):
            truth = random.normal(size=len(cells)).astype(np.float32)
            texts = [pa.array([text] * len(cells)) for text in (method, task, "blocked")]
            numbers = [cells["cell"], pa.array(truth), pa.array(truth + np.float32(0.3) * truth[::-1])]
            tables.append(pa.table([*texts, *numbers], schema=schemas.PREDICTIONS))
    return ReportData(
        "test_city",
        benchmark,
        intervals,
        pa.concat_tables(tables),
        details={"cells": 22965, "distilled encoder": {"held-out R²": 0.51234}, "versions": {"embeddings": "2026-x"}},
        pictures={"the map": PNG},
    )


@pytest.fixture
def whole(data: ReportData, ablations: pa.Table) -> ReportData:
    """A report with everything."""
    row = data.scores.slice(0, 1).to_pylist()[0]
    more = [{**row, "split": "region_papers", "model": "clipped_ridge", "method": name, "r2": 0.6} for name in METHODS]
    scores = pa.concat_tables([data.scores, pa.Table.from_pylist(more, schema=schemas.BENCHMARK)])
    others = ReportedScores(source="their papers", scores={"HAFusion": {"income": 0.734}})
    return replace(data, scores=scores, ablations=ablations, reported_scores=others)
