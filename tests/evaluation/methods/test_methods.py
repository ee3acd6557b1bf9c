"""Every method gives a vector a cell by its name, and none sees a label."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors, Edges
from mora_pipeline.evaluation.methods import catalogue
from mora_pipeline.evaluation.methods.catalogue import METHODS, make_methods, shared_methods
from mora_pipeline.evaluation.methods.coordinates import SCALES, sine_features
from mora_pipeline.evaluation.methods.flows import log_flow_components, statistics
from mora_pipeline.evaluation.methods.interface import Method, MethodContext, MethodVectors
from mora_pipeline.evaluation.protocol.parameters import OURS, BenchmarkParameters
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig


def test_every_method_gives_finite_vectors_in_the_order_of_the_cells(inputs: MethodContext, cells: pa.Table) -> None:
    """All but those that need a training, another package or an argument."""
    names = [
        name
        for name in METHODS
        if name not in ("paper", "mora_neighbour_graph", "node2vec", "hex2vec", "geoclip", "dataset")
    ]
    found = make_methods([*names, "raw:each", "dataset:line_vectors"], {}, inputs)
    assert {"mora", "raw", "raw:ages", "raw:homes", "dataset:line_vectors", "constant"} <= found.keys()
    for own in found.values():
        assert len(own.vectors) == len(cells)
        assert np.isfinite(own.vectors).all()
    assert np.array_equal(found["coordinates"].vectors[:, 0], cells["latitude"].to_numpy())
    assert np.array_equal(found["line"].vectors, found["dataset:line_vectors"].vectors)


def test_a_mistyped_method_is_named_with_the_nearest(inputs: MethodContext) -> None:
    for wrong, message in (("flow_svt", "Did you mean 'flow_svd'"), ("raw:agse", "the modalities are ages, homes")):
        with pytest.raises(UserError, match=message):
            make_methods([wrong], {}, inputs)


def test_geoclip_without_its_wheel_says_how_to_get_it(inputs: MethodContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geoclip", None)
    with pytest.raises(UserError, match=r"pip install 'mora-pipeline\[geoclip\]'"):
        make_methods(["geoclip"], {}, inputs)


def test_geoclip_is_asked_for_latitude_and_longitude(inputs: MethodContext, monkeypatch: pytest.MonkeyPatch) -> None:
    class LocationEncoder(torch.nn.Module):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return points * 2

    module = ModuleType("geoclip")
    module.LocationEncoder = LocationEncoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "geoclip", module)
    found = make_methods(["geoclip"], {}, inputs)["geoclip"].vectors
    assert np.allclose(found, 2 * inputs.coordinates, rtol=1e-6)


def test_geoclip_as_its_authors_trained_it_knows_what_lies_near(inputs: MethodContext) -> None:
    pytest.importorskip("geoclip")
    found = make_methods(["geoclip"], {}, inputs)["geoclip"].vectors
    assert found.shape == (len(inputs.cells), 512)
    apart = np.linalg.norm(found[:, None] - found, axis=2)
    kilometres = np.linalg.norm((inputs.coordinates[:, None] - inputs.coordinates) * [111, 93], axis=2)
    near = (kilometres > 0) & (kilometres < 4)
    assert apart[near].mean() < 0.8 * apart[kilometres > 20].mean()


def test_the_grid_of_sines_has_every_scale_and_knows_where_a_point_is() -> None:
    points = np.array([[10.0, 20.0], [10.0, 20.05], [-10.0, 20.0]])
    found = sine_features(points)
    assert found.shape == (3, 4 * SCALES)
    for at in range(SCALES):
        assert np.isclose(found, np.sin(np.radians(10.0) * 2**at)).any(axis=1)[0]
    assert np.linalg.norm(found[0] - found[1]) > 0.1


def test_flow_statistics_are_the_logs_of_sums_and_counts() -> None:
    edges = Edges(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([3.0, 4.0, 5.0]))
    expected = [[7, 0, 2, 0, 1], [5, 3, 1, 1, 0], [0, 9, 0, 2, 2]]
    assert np.allclose(statistics(edges, np.array([1.0, 0.0, 2.0])), np.log1p(expected))


def test_flow_components_are_the_singular_vectors_of_the_log_flows() -> None:
    random = np.random.default_rng(0)
    pairs = np.unique(random.integers(0, 60, (2, 400)), axis=1)
    edges = Edges(*pairs, random.integers(1, 9, pairs.shape[1]).astype(float))
    flows = np.log1p(sparse.csr_matrix((edges.flow, (edges.origin, edges.destination)), shape=(60, 60)).toarray())
    left, values, _ = np.linalg.svd(np.hstack([flows, flows.T]))
    found = log_flow_components(edges, 60)
    assert found.shape == (60, 12)
    # The spectrum of chance is flat: beyond the first, vectors of a randomised algorithm mix, their lengths do not.
    assert np.allclose(np.abs(found[:, 0]), np.abs(left[:, 0] * values[0]), atol=1e-3)
    assert np.allclose(np.linalg.norm(found, axis=0), values[:12], rtol=0.03)
    assert np.array_equal(log_flow_components(edges, 60), found)


def test_own_vectors_are_put_in_the_order_of_the_cells(inputs: MethodContext, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(inputs.cells))[:200]
    vectors = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    table = CellVectors(inputs.cells[order], vectors).to_table()
    pq.write_table(table, tmp_path / "mine.parquet")
    as_text = table.set_column(0, "cell", pa.array([f"{cell:x}" for cell in inputs.cells[order].tolist()]))
    pq.write_table(as_text, tmp_path / "text.parquet")
    files = {"mine": str(tmp_path / "mine.parquet"), "text": str(tmp_path / "text.parquet")}
    found = make_methods(["constant"], files, inputs)
    expected = np.zeros((len(inputs.cells), 4))
    expected[order] = vectors
    assert np.allclose(found["mine"].vectors, expected)
    assert np.allclose(found["text"].vectors, expected)


def test_a_file_that_cannot_be_used_is_told_in_one_message(inputs: MethodContext, tmp_path: Path) -> None:
    vectors = np.zeros((2, 3), dtype=np.float32)
    made = {
        "twice": CellVectors(inputs.cells[[0, 0]], vectors),
        "elsewhere": CellVectors(np.array([1, 2]), vectors),
        "broken": CellVectors(inputs.cells[:2], vectors + np.nan),
    }
    for name, table in made.items():
        pq.write_table(table.to_table(), tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"cell": [1]}), tmp_path / "lacking.parquet")
    for name, message in (
        ("twice", "several rows for a cell"), ("elsewhere", "none of the cells"), ("broken", "not finite"),
        ("lacking", "columns cell and vector"), ("absent", "columns cell and vector"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            make_methods(["constant"], {"mine": str(tmp_path / f"{name}.parquet")}, inputs)
    with pytest.raises(UserError, match="which is a method's name"):
        make_methods(["constant"], {"constant": "x.parquet"}, inputs)
    with pytest.raises(UserError, match="which is a method's name"):
        make_methods(["constant"], {"mora": "x.parquet"}, inputs)


def test_methods_are_shared_only_where_their_numbers_mean_the_same(
    inputs: MethodContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = np.zeros((3, 2))
    made: list[str] = []

    def maker(name: str, space: str | None) -> Method:
        def make(_: MethodContext, __: str) -> dict[str, MethodVectors]:
            made.append(name)
            return {name: MethodVectors(one + 1, space)}

        return make

    methods = {"a": maker("a", "x"), "b": maker("b", "z"), "c": maker("c", None), "dataset": METHODS["dataset"]}
    monkeypatch.setattr(catalogue, "METHODS", methods)
    here = {"a": MethodVectors(one, "x"), "b": MethodVectors(one, "y"), "c": MethodVectors(one)}
    here |= {"dataset:other": MethodVectors(one, "x"), "mine": MethodVectors(one, "file")}
    shared, reasons = shared_methods(here, {"mine": "absent.parquet"}, inputs, inputs)
    assert set(shared) == {"a"}
    assert (shared["a"][1] == 1).all()
    assert made == ["a", "b"]  # what no region shares is not made there
    assert set(reasons) == {"b", "c", "dataset:other", "mine"}
    assert "has not been made yet" in reasons["dataset:other"]
    assert "absent.parquet" in reasons["mine"]


def test_raw_features_with_a_flag_of_presence_are_no_others(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> None:
    """Two modalities of which one region lacks the first in some cells, another the second: as many columns."""
    ages = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
    spaces = []
    for lacking in ("ages", "homes"):
        config = region({}, modalities={"ages": ages, "homes": ages})
        lake = write_lake(config)
        whole = lake.read(f"features/{lacking}", config.region)
        draft = lake.begin(f"features/{lacking}", config.region)
        draft.write(whole.table().slice(1))
        draft.commit(whole.details)
        spaces.append(make_methods(["raw"], {}, make_inputs(config, lake))["raw"].space)
    assert None not in spaces
    assert spaces[0] != spaces[1]


def test_ours_are_the_embeddings_by_whatever_name_and_no_other_vectors() -> None:
    datasets = {f"dataset:{catalogue.LAKE[name]}" for name in OURS if name in catalogue.LAKE}
    assert set(OURS) == {"mora", "paper", "inductive", "distilled"} | datasets
    assert {name.partition(":")[0] for name in OURS} <= METHODS.keys()
    # What embeddings are made from, before anything learns: baselines.
    assert not {"encoder_inputs", "inputs", "inputs_surroundings", "raw"} & set(OURS)


def test_a_name_that_cannot_name_a_metric_is_refused() -> None:
    assert BenchmarkParameters(files={"node2vec-1.0_x": "a.parquet"}).files
    for name in ("a(b)", "<b>", "a|b", "", "r2/x", "line\nbreak"):
        with pytest.raises(ValueError, match="use letters, digits"):
            BenchmarkParameters(files={name: "a.parquet"})
