"""The steps of a raster from its cells to its features, and people who are counted by one."""

from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from rasterio.transform import from_bounds

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.steps import Session, all_steps, run_step
from mora_pipeline.steps.grid import _count_people

MODALITY = """
modalities:
  people: {kind: raster, path: pop.tif, statistic: sum, population: true}
"""


@pytest.fixture
def cells(session: Session, lake: Lake) -> pa.Table:
    """Cells of which about half have people, and a region.yaml that says so; people are one a pixel."""
    folder = session.home / "raw"
    with rasterio.open(
        folder / "pop.tif", "w", driver="GTiff", height=300, width=300, count=1, dtype="float32", crs="EPSG:4326",
        transform=from_bounds(8.0, 47.0, 8.3, 47.3, 300, 300),
    ) as target:  # fmt: skip
        target.write(np.ones((1, 300, 300), dtype=np.float32))
    (folder / "region.yaml").write_text((folder / "region.yaml").read_text() + MODALITY)
    own = np.array(sorted(h3.grid_disk(h3.latlng_to_cell(47.15, 8.3, 8), 12)), dtype=np.int64)
    middle = np.array([h3.cell_to_latlng(cell) for cell in own.tolist()])
    columns = [own, np.arange(len(own)), *middle.T, np.zeros(len(own)), pa.nulls(len(own), pa.float64())]
    table = pa.table(columns, schema=schemas.CELLS)
    draft = lake.begin("cells", "tiny")
    draft.write(table)
    draft.commit()
    return table


def test_a_raster_goes_from_its_cells_to_what_a_preset_reads(session: Session, lake: Lake, cells: pa.Table) -> None:
    results = {}
    for name in ("raster_cells", "raster_features"):
        results[name] = run_step(next(step for step in all_steps() if step.name == name), "tiny", session)
        assert results[name].committed
    made = lake.read("raster_cells/people", "tiny").table()
    assert 100 < len(made) < len(cells)
    assert results["raster_cells"].metadata["people_sum"]["sum"] == pytest.approx(sum(made["sum"].to_pylist()))
    reader = RegionReader(session.region("tiny"), lake)
    loaded = LoadedModality.read(reader, "people", cells["cell"].to_numpy())
    west = cells["longitude"].to_numpy() < 8.29
    assert loaded.present[west].all()
    assert not loaded.present[cells["longitude"].to_numpy() > 8.31].any()
    pixels = [h3.cell_area(cell, "rads^2") * (180 / np.pi / 0.001) ** 2 for cell in cells["cell"].to_pylist()]
    expected = np.log1p(pixels / np.cos(np.radians(cells["latitude"].to_numpy())))  # pixels are narrower in the north
    assert loaded.vectors[west, 0] == pytest.approx(expected[west], rel=2e-3)
    assert loaded.amount_names == ()
    assert isinstance(CellVectors.from_table(lake.read("features/people", "tiny").table()), CellVectors)


def test_people_are_counted_where_the_raster_knows_them(
    session: Session, lake: Lake, cells: pa.Table, tmp_path: Path
) -> None:
    file = tmp_path / "part-0.parquet"
    pq.write_table(cells, file)
    _count_people(RegionReader(session.region("tiny"), lake), tmp_path)
    written = pq.read_table(file)
    assert written.schema.equals(schemas.CELLS)
    assert written.drop(["population"]).equals(cells.drop(["population"]))
    people = written["population"].to_pandas().to_numpy()
    known = cells["longitude"].to_numpy() < 8.29
    assert (people[known] > 30).all()
    assert np.isnan(people[cells["longitude"].to_numpy() > 8.31]).all()
