"""Labels become targets and memberships as region.yaml says; what is lost is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.labels.files import match_ids
from mora_pipeline.evaluation.labels.tasks import Task, load_tasks
from mora_pipeline.region import RegionConfig

Make = Callable[..., RegionConfig]
RESOLUTION = 7


@pytest.fixture
def places(cells: pa.Table, tmp_path: Path) -> pd.DataFrame:
    """Three places in each of the first 60 cells, ids with leading zeros, in four counties."""
    rng = np.random.default_rng(0)
    frame = cells.select(["cell", "latitude", "longitude"]).to_pandas().head(60)
    frame = frame.loc[frame.index.repeat(3)].reset_index(drop=True)
    frame["lat"] = frame["latitude"] + rng.uniform(-0.001, 0.001, len(frame))
    frame["lon"] = frame["longitude"] + rng.uniform(-0.001, 0.001, len(frame))
    frame["id"] = [f"{number:05d}" for number in range(len(frame))]
    frame["county"] = [f"0{1 + number % 4}" for number in range(len(frame))]
    frame["people"] = rng.integers(1, 100, len(frame))
    frame["value"] = rng.normal(size=len(frame))
    frame[["id", "lat", "lon", "county", "people"]].to_csv(tmp_path / "places.csv", index=False)
    return frame.sample(frac=1, random_state=0)  # the order of labels must not matter


def only(config: RegionConfig, cells: pa.Table) -> Task:
    (task,) = load_tasks(config, cells)
    assert np.allclose(np.asarray(task.membership.sum(axis=1)).ravel(), 1)
    assert task.dropped == sum(task.reasons.values())
    assert len(task.target) == len(task.blocks) == task.membership.shape[0]
    return task


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_cells_label_is_the_weighted_mean_of_its_places(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path, suffix: str
) -> None:
    labels = places[["id", "value"]]
    if suffix == "parquet":
        labels.to_parquet(tmp_path / "labels.parquet")
    else:
        labels.to_csv(tmp_path / f"labels.{suffix}", index=False)
    declared = {"level": "cell", "path": f"labels.{suffix}", "place": "id", "column": "value", "weight": "people"}
    task = only(region({"x": declared}), cells)
    expected = pd.Series(
        {cell: np.average(part["value"], weights=part["people"]) for cell, part in places.groupby("cell")}
    )
    rows = [cells["cell"].to_pylist().index(cell) for cell in expected.index]
    assert task.membership.indices.tolist() == rows
    assert np.allclose(task.target, expected)


def test_a_sum_is_transformed_after_it_is_taken(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    places[["lat", "lon", "people"]].to_parquet(tmp_path / "labels.parquet")
    declared = {"level": "cell", "path": "labels.parquet", "latitude": "lat", "longitude": "lon", "column": "people",
                "aggregate": "sum", "transform": "log1p"}  # fmt: skip
    task = only(region({"x": declared}), cells)
    assert np.allclose(task.target, np.log1p(places.groupby("cell")["people"].sum()))


def test_a_group_is_the_mean_of_its_distinct_member_cells(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    pd.DataFrame({"fips": ["04", "01", "02", "03", "99"], "crime": [4.0, 1.0, 2.0, 3.0, 9.0]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    declared = {"level": "group", "path": "labels.csv", "id": "fips", "column": "crime",
                "members": {"path": "places.csv", "place": "id", "group": "county"}}  # fmt: skip
    task = only(region({"x": declared}), cells)
    vectors = np.random.default_rng(1).normal(size=(len(cells), 5))
    by_cell = pd.DataFrame(vectors, index=cells["cell"].to_pylist())
    distinct = places[["county", "cell"]].drop_duplicates()
    expected = by_cell.loc[distinct["cell"]].groupby(distinct["county"].to_numpy()).mean()
    assert task.target.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.allclose(task.membership @ vectors, expected)
    assert task.reasons == {"no member cells": 1}


def test_labels_written_as_numbers_still_find_ids_with_leading_zeros(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    """'00007' in one file, 7 or 7.0 in the other."""
    for kind in ("int64", "float64"):
        numbered = places.assign(id=places["id"].astype(int).astype(kind))
        numbered[["id", "value"]].to_parquet(tmp_path / f"{kind}.parquet")
    text, *numbers = (
        only(region({"x": {"level": "cell", "path": path, "place": "id", "column": "value"}}), cells)
        for path in (_written(places, tmp_path), "int64.parquet", "float64.parquet")
    )
    for number in numbers:
        assert np.allclose(text.target, number.target, rtol=1e-12)
        assert number.dropped == 0


def _written(places: pd.DataFrame, folder: Path) -> str:
    places[["id", "value"]].to_csv(folder / "text.csv", index=False)
    return "text.csv"


def test_leading_zeros_matter_where_they_tell_ids_apart() -> None:
    known = pd.Series(["01", "1", "2"], dtype=object)
    assert match_ids(pd.Series(["1", "01", "02", None], dtype=object), known).tolist() == [1, 0, -1, -1]


def test_points_take_the_vector_of_their_cell_and_points_elsewhere_are_counted(
    cells: pa.Table, region: Make, tmp_path: Path
) -> None:
    here = cells.slice(5, 3)
    labels = pd.DataFrame(
        {
            "lat": [*here["latitude"].to_pylist(), 10.0, np.nan, 95.0, here["latitude"][0].as_py(), -33.4],
            "lon": [*here["longitude"].to_pylist(), 10.0, 1.0, 1.0, here["longitude"][0].as_py(), -70.6],
            "price": ["1", "2", "3", "4", "5", "6", "7", "n/a"],
        }
    )
    labels.to_csv(tmp_path / "labels.csv", index=False)
    declared = {"level": "point", "path": "labels.csv", "latitude": "lat", "longitude": "lon", "column": "price"}
    task = only(region({"x": declared}), cells)
    assert task.membership.indices.tolist() == [5, 6, 7, 5]
    assert task.target.tolist() == [1, 2, 3, 7]
    assert task.reasons == {"no label": 1, "outside the cells": 3}


def test_blocks_are_h3_parents_three_levels_up(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    places.to_csv(tmp_path / "labels.csv", index=False)
    task = only(region({"x": {"level": "cell", "path": "labels.csv", "place": "id", "column": "value"}}), cells)
    for row, block in zip(task.membership.indices, task.blocks, strict=True):
        name = h3.int_to_str(cells["cell"][int(row)].as_py())
        assert h3.cell_to_parent(name, RESOLUTION - 3) == h3.int_to_str(int(block))


def test_missing_labels_and_unknown_places_are_counted(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    labels = places[["id", "value"]].copy()
    labels.iloc[0, 1], labels.iloc[1, 0], labels.iloc[2, 1] = np.nan, "nowhere", np.inf
    labels.to_parquet(tmp_path / "labels.parquet")
    declared = {"level": "cell", "path": "labels.parquet", "place": "id", "column": "value"}
    assert only(region({"x": declared}), cells).reasons == {"no label": 2, "unknown place": 1}


def test_a_task_without_any_label_comes_out_empty(
    cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path
) -> None:
    pd.DataFrame({"id": ["a", "b"], "value": [1.0, 2.0]}).to_csv(tmp_path / "labels.csv", index=False)
    members = {"path": "places.csv", "place": "id", "group": "county"}
    declared: list[dict[str, Any]] = [
        {"level": "cell", "path": "labels.csv", "place": "id", "column": "value"},
        {"level": "group", "path": "labels.csv", "id": "id", "column": "value", "members": members},
    ]
    for one in declared:
        task = only(region({"x": one}), cells)
        assert (len(task.target), task.dropped) == (0, 2)


def test_mistakes_are_one_message(cells: pa.Table, places: pd.DataFrame, region: Make, tmp_path: Path) -> None:
    places.assign(value=-3.0).to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really PAR1")
    declared = {"level": "cell", "path": "labels.csv", "place": "id", "column": "value"}
    for change, message in (
        ({"transform": "log1p"}, r"tasks\.x\.transform is log1p, but value holds -3"),
        ({"column": "valve"}, "Did you mean 'value'"),
        ({"path": "broken.parquet"}, "cannot be read as Parquet"),
        ({"path": "nothing.csv"}, "nothing.csv"),
    ):
        with pytest.raises(UserError, match=message):
            load_tasks(region({"x": {**declared, **change}}), cells)


def squares(cells: pa.Table, tmp_path: Path) -> pd.DataFrame:
    """Places that are squares over several cells, with a label each; one is far away."""
    pytest.importorskip("shapely")
    frame = cells.select(["latitude", "longitude"]).to_pandas()
    frame = frame.loc[frame.sub(frame.mean()).abs().sum(axis=1).sort_values().index].iloc[[0, 20, 50]]  # well inside
    frame = pd.concat([frame, pd.DataFrame({"latitude": [10.0], "longitude": [10.0]})], ignore_index=True)
    corners = [
        (x - 0.02, y - 0.02, x + 0.02, y + 0.02) for y, x in frame[["latitude", "longitude"]].itertuples(index=False)
    ]
    ring = "POLYGON (({0} {1}, {2} {1}, {2} {3}, {0} {3}, {0} {1}))"
    made = pd.DataFrame({"id": list("abcd"), "shape": [ring.format(*each) for each in corners]})
    made = made.assign(value=[1.0, 2.0, 4.0, 8.0], people=[10, 20, 30, 40], county=["x", "x", "y", "z"])
    made.to_csv(tmp_path / "places.csv", index=False)
    return made


def shares_of(made: pd.DataFrame, cells: pa.Table) -> pd.DataFrame:
    """A row for each place, a column for each of the region's cells."""
    from mora_pipeline.raw.polygons import spread_polygons

    rows, own, shares = spread_polygons(pa.array(made["shape"]), None, RESOLUTION)
    table = pd.DataFrame(0.0, index=made["id"], columns=cells["cell"].to_pylist())
    for row, cell, share in zip(rows, own.tolist(), shares, strict=True):
        if cell in table.columns:
            table.loc[made["id"][row], cell] = share
    return table


SHAPED = {"places": {"path": "places.csv", "id": "id", "geometry": "shape"}}


@pytest.mark.parametrize("located", [{"place": "id"}, {"geometry": "shape"}])
def test_a_label_of_a_polygon_is_shared_by_its_cells(
    cells: pa.Table, region: Make, tmp_path: Path, located: dict[str, str]
) -> None:
    """A mean is weighted by the share as well; what lies outside the region is lost once, not once a cell."""
    made = squares(cells, tmp_path)
    shares = shares_of(made, cells)
    declared = {"level": "cell", "path": "places.csv", **located, "column": "value", "weight": "people"}
    task = only(region({"x": declared}, **SHAPED), cells)
    weights = shares.mul(made["people"].to_numpy(), axis=0)
    expected = weights.mul(made["value"].to_numpy(), axis=0).sum() / weights.sum()
    assert task.membership.indices.tolist() == np.flatnonzero(weights.sum() > 0).tolist()
    assert np.allclose(task.target, expected.dropna())
    assert task.reasons == {"outside the cells": 1}


def test_a_sum_is_apportioned(cells: pa.Table, region: Make, tmp_path: Path) -> None:
    made = squares(cells, tmp_path)
    shares = shares_of(made, cells)
    declared = {"level": "cell", "path": "places.csv", "geometry": "shape", "column": "people", "aggregate": "sum"}
    task = only(region({"x": declared}, **SHAPED), cells)
    expected = shares.mul(made["people"].to_numpy(), axis=0).sum()
    assert np.allclose(task.target, expected[expected > 0])
    assert task.target.sum() == pytest.approx(60)  # of the three inside


def test_a_group_of_polygons_is_the_mean_of_its_members(cells: pa.Table, region: Make, tmp_path: Path) -> None:
    made = squares(cells, tmp_path)
    pd.DataFrame({"county": ["x", "y"], "crime": [1.0, 2.0]}).to_csv(tmp_path / "labels.csv", index=False)
    declared = {"level": "group", "path": "labels.csv", "id": "county", "column": "crime",
                "members": {"path": "places.csv", "place": "id", "group": "county"}}  # fmt: skip
    task = only(region({"x": declared}, **SHAPED), cells)
    shares = shares_of(made, cells)
    assert np.allclose(task.membership.toarray(), [shares.loc[["a", "b"]].mean(), shares.loc["c"]])


def test_labels_may_name_their_cells(cells: pa.Table, region: Make, tmp_path: Path) -> None:
    """In any form and at any resolution; what is no cell is outside."""
    names = [h3.int_to_str(cell) for cell in cells["cell"].to_pylist()[:2]]
    coarse = h3.cell_to_parent(h3.int_to_str(cells["cell"].to_pylist()[120]), RESOLUTION - 1)
    fine = h3.cell_to_children(names[1], RESOLUTION + 2)[0]
    rows = [(names[0], 1.0), (fine.upper(), 2.0), (coarse, 3.0), ("nowhere", 4.0)]
    pd.DataFrame(rows, columns=["h3", "value"]).to_csv(tmp_path / "labels.csv", index=False)
    squares(cells, tmp_path)
    declared = {"path": "labels.csv", "cell": "h3", "column": "value"}
    task = only(region({"x": {"level": "cell", **declared}}, **SHAPED), cells)
    own = dict(zip(cells["cell"].to_numpy()[task.membership.indices].tolist(), task.target.tolist(), strict=True))
    wanted = {h3.str_to_int(each): 3.0 for each in h3.cell_to_children(coarse, RESOLUTION)}
    assert own == {h3.str_to_int(names[0]): 1.0, h3.str_to_int(names[1]): 2.0, **wanted}
    assert task.reasons == {"outside the cells": 1}
    points = only(region({"x": {"level": "point", **declared}}, **SHAPED), cells)
    assert points.target.tolist() == [1.0, 2.0]  # a coarser cell is no point


def test_blocks_may_be_polygons(cells: pa.Table, region: Make, tmp_path: Path) -> None:
    """A cell belongs to the group that has most of it."""
    from mora_pipeline.evaluation.labels.tasks import load_groupings

    made = squares(cells, tmp_path)
    blocks = {"county": {"path": "places.csv", "geometry": "shape", "group": "county"}}
    config = region(
        {"x": {"level": "cell", "path": "places.csv", "place": "id", "column": "value"}}, blocks=blocks, **SHAPED
    )
    groups = load_groupings(config, cells)["county"]
    shares = shares_of(made, cells)
    by_group = np.stack([shares.loc[["a", "b"]].sum(), shares.loc["c"]])
    assert groups.tolist() == np.where(by_group.max(axis=0) > 0, by_group.argmax(axis=0), -1).tolist()
