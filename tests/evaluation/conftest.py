"""A small region of a few hundred cells and what the tests of the benchmark make from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pytest
import yaml
from scipy import sparse

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.region import RegionConfig

RESOLUTION = 7
AGES = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}


@pytest.fixture(scope="session")
def cells() -> pa.Table:
    """217 cells around Santiago."""
    names = h3.grid_disk(h3.latlng_to_cell(-33.45, -70.66, RESOLUTION), 8)
    values = np.sort([h3.str_to_int(name) for name in names])
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(value))) for value in values])
    columns = {
        "cell": values,
        "node": np.arange(len(values)),
        "latitude": centres[:, 0],
        "longitude": centres[:, 1],
        "internal_flow": np.zeros(len(values)),
        "population": np.ones(len(values)),
    }
    return pa.table(columns, schema=schemas.CELLS)


@pytest.fixture
def region(tmp_path: Path) -> Callable[..., RegionConfig]:
    """Makes a RegionConfig with the given tasks, in a folder where the test puts its files."""

    def make(tasks: dict[str, Any], **more: Any) -> RegionConfig:
        content = {
            "region": "test_city",
            "resolution": RESOLUTION,
            "places": {"path": "places.csv", "id": "id", "latitude": "lat", "longitude": "lon"},
            "mobility": {
                "kind": "od",
                "path": "flows.csv",
                "columns": {"origin": "origin", "destination": "destination", "flow": "flow"},
            },
            "tasks": tasks,
            **more,
        }
        (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
        return RegionConfig.load(tmp_path / "region.yaml")

    return make


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """Makes a task of the given target, by default one cell a label and twelve blocks."""

    def make(
        target: np.ndarray,
        level: str = "cell",
        membership: sparse.csr_matrix | None = None,
        num_blocks: int = 12,
        name: str = "planted",
        **more: Any,
    ) -> Task:
        rows = np.arange(len(target))
        blocks = rows * num_blocks // max(len(target), 1)
        if membership is None:
            membership = sparse.identity(len(target), format="csr")
        return Task(name, level, target, membership, rows, blocks, rows, **more)

    return make


@pytest.fixture
def write_lake(tmp_path: Path, cells: pa.Table) -> Callable[..., Lake]:
    """Publishes `cells`, random flows, LINE vectors and embeddings, and features of the given modalities."""

    def write(config: RegionConfig, seed: int = 0, own: pa.Table | None = None) -> Lake:
        table = cells if own is None else own
        random, number = np.random.default_rng(seed), table["cell"].to_numpy()
        lake, num_cells = Lake(tmp_path / "lake"), len(table)
        ends = random.integers(0, num_cells, (2, 8 * num_cells))
        origin, destination = np.unique(ends[:, ends[0] != ends[1]], axis=1)
        flow = random.integers(1, 50, len(origin)).astype(float)
        graph = {"origin": number[origin], "destination": number[destination], "flow": flow}
        made: dict[str, tuple[pa.Table, dict[str, Any]]] = {
            "cells": (table, {}),
            "edges": (pa.table({**graph, "users": pa.nulls(len(origin), pa.int64())}, schema=schemas.EDGES), {}),
            "graph": (pa.table(graph, schema=schemas.GRAPH).slice(0, len(origin) // 3), {}),
        }
        for name in ("line_vectors", "embeddings", "distilled_encoder"):
            vectors = random.normal(size=(num_cells, 128)).astype(np.float32)
            made[name] = (schemas.CellVectors(number, vectors).to_table(), {})
        for name, modality in config.modalities.items():
            shares = random.dirichlet(np.ones(3), num_cells).astype(np.float32)
            told = {"kind": modality.kind, "encoder": modality.backbone}
            made[f"features/{name}"] = (schemas.CellVectors(number, shares).to_table(), told)
            made[f"amounts/{name}"] = (schemas.amounts([]).empty_table(), {})
            bins = {bin_: shares[:, at].astype(float) for at, bin_ in enumerate(("young", "middle", "old"))}
            made[f"table_cells/{name}"] = (
                pa.table({"cell": number, **bins}, schema=schemas.table_cells(list(bins))), {}
            )  # fmt: skip
        for name, (content, details) in made.items():
            draft = lake.begin(name, config.region)
            draft.write(content)
            draft.commit(details)
        return lake

    return write


@pytest.fixture
def make_inputs(tmp_path: Path) -> Callable[..., MethodContext]:
    """What methods may look at, from a lake."""

    def make(config: RegionConfig, lake: Lake, raw_components: int = 128) -> MethodContext:
        return MethodContext(RegionReader(config, lake), raw_components, tmp_path / "cache")

    return make


@pytest.fixture
def inputs(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> MethodContext:
    """What methods may look at in a region with two tables."""
    config = region({}, modalities={"ages": AGES, "homes": {**AGES, "groups": {"home": "home_*"}}})
    return make_inputs(config, write_lake(config))
