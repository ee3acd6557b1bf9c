"""The job that samples a graph, against the definition, one origin at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs import sample_graph
from spark_jobs.errors import as_user_error
from tests.contract.test_sampling import naive


def write_edges(folder: Path, edges: pd.DataFrame, files: int = 3, rows_per_group: int = 1000) -> str:
    folder.mkdir(exist_ok=True)
    for number in range(files):
        own = edges[edges["origin"] % files == number]
        own.to_parquet(folder / f"part-{number:05d}.parquet", index=False, row_group_size=rows_per_group)
    return str(folder)


def city(hot_degree: int = 3000) -> pd.DataFrame:
    """Origins of all sizes: a hot one, some with a single edge, flows that often tie."""
    random = np.random.default_rng(0)
    degrees = [hot_degree, *random.integers(1, 40, 200).tolist(), *[1] * 20]
    rows = [(o, d) for o, degree in enumerate(degrees) for d in np.sort(random.permutation(5000)[:degree])]
    edges = pd.DataFrame(rows, columns=["origin", "destination"])
    return edges.assign(flow=random.integers(1, 6, len(edges)).astype(float))


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "top_share", "share": 0.1},
        {"strategy": "random_share", "share": 0.1, "seed": 3},
        {"strategy": "fixed_k", "k": 5},
        {"strategy": "threshold", "minimum_flow": 5},
        {"strategy": "none"},
    ],
    ids=lambda settings: settings["strategy"],
)
def test_the_job_keeps_what_the_definition_keeps(
    spark: SparkSession, tmp_path: Path, output: Any, read: Any, settings: dict[str, Any]
) -> None:
    edges, target = city(), output("graph")
    params = {"edges": write_edges(tmp_path / "edges", edges), "output": target, **settings}
    outcome = sample_graph.run(spark, params)
    graph, expected = read(target["graph"]), naive(edges, settings)
    pd.testing.assert_frame_equal(graph.sort_values(["origin", "destination"], ignore_index=True), expected)
    check = outcome.checks["follows_strategy"]
    assert check.passed
    assert check.metadata["origins_without_edges"] == edges["origin"].nunique() - expected["origin"].nunique()
    assert outcome.rows == {"graph": len(expected)}
    assert outcome.read == len(edges)


def test_the_graph_does_not_depend_on_how_the_edges_lie(
    spark: SparkSession, tmp_path: Path, output: Any, read: Any
) -> None:
    """Other files, row groups and order within an origin; a random choice too."""
    graphs = []
    for number, (files, groups) in enumerate([(1, 100_000), (4, 50)]):
        edges, target = city(), output("graph")
        if number:
            edges = edges.sample(frac=1, random_state=0).sort_values("origin", kind="stable")
        folder = write_edges(tmp_path / f"edges_{number}", edges, files, groups)
        sample_graph.run(spark, {"edges": folder, "strategy": "random_share", "share": 0.3, "output": target})
        graph = read(target["graph"])
        for _, own in graph.groupby("origin"):
            assert own["destination"].is_monotonic_increasing
        graphs.append(graph.sort_values(["origin", "destination"], ignore_index=True))
    pd.testing.assert_frame_equal(*graphs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0}, "share is 0"),
        ({"strategy": "strongest"}, "strategy is 'strongest'"),
        ({"strategy": "fixed_k"}, "k is None"),
        ({"strategy": "fixed_k", "k": 0}, "k is 0: say a whole number from 1 up"),
        ({"strategy": "threshold", "minimum_flow": "much"}, "minimum_flow is 'much'"),
        ({"strategy": "threshold", "minimum_flow": 1e9}, "No flow .* reaches minimum_flow = 1000000000.0"),
        ({"strategy": "random_share", "seed": -1}, "seed is -1"),
        ({"edges": "/nowhere"}, "/nowhere holds no Parquet file"),
        ({"output": {}}, "lack 'output.graph'"),
    ],
)
def test_wrong_parameters_of_the_job_are_told(
    spark: SparkSession, tmp_path: Path, output: Any, change: dict[str, Any], message: str
) -> None:
    edges = write_edges(tmp_path / "edges", city(10))
    with pytest.raises(UserError, match=message):
        sample_graph.run(spark, {"edges": edges, "share": 0.1, "output": output("graph"), **change})


def unsorted(folder: Path) -> str:
    city(10).sample(frac=1, random_state=0).to_parquet(folder / "part-00000.parquet", index=False)
    return "part-00000.parquet is not sorted by origin"


def in_two_files(folder: Path) -> str:
    city(10).tail(1).to_parquet(folder / "part-00009.parquet", index=False)
    return "1 origins are in several files, such as 220"


def of_another_type(folder: Path) -> str:
    city(10).astype({"flow": str}).to_parquet(folder / "part-00009.parquet", index=False)
    return "part-00009.parquet: column flow is of type .*string, not double"


def without_a_column(folder: Path) -> str:
    city(10).drop(columns="flow").to_parquet(folder / "part-00009.parquet", index=False)
    return "part-00009.parquet has no column flow; it has origin, destination"


def with_a_hole(folder: Path) -> str:
    city(10).assign(origin=1000, flow=np.nan).to_parquet(folder / "part-00009.parquet", index=False)
    return "part-00009.parquet has edges without flow"


def spoilt_inside(folder: Path) -> str:
    """The footer is whole, a page in the middle is not."""
    file = folder / "part-00009.parquet"
    pq.write_table(pa.Table.from_pandas(city().assign(origin=1000), preserve_index=False), file, compression="zstd")
    content = bytearray(file.read_bytes())
    content[50:500] = bytes(450)
    file.write_bytes(content)
    return "part-00009.parquet cannot be read"


@pytest.mark.parametrize(
    "spoil", [unsorted, in_two_files, of_another_type, without_a_column, with_a_hole, spoilt_inside]
)
def test_edges_that_cannot_be_sampled_are_refused(spark: SparkSession, tmp_path: Path, output: Any, spoil: Any) -> None:
    edges = write_edges(tmp_path / "edges", city(10))
    message = spoil(tmp_path / "edges")
    with pytest.raises(Exception, match=message) as raised:
        sample_graph.run(spark, {"edges": edges, "share": 0.1, "output": output("graph")})
    assert as_user_error(raised.value) is not None
