"""How far a region reaches, as region.yaml may say: a box, polygons, cells, or its places."""

from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from mora_pipeline.raw.reader import column_values
from mora_pipeline.raw.source import Source
from mora_pipeline.region.sections import Name, RawTable, Section, problem

Cells = npt.NDArray[np.int64]


class ExtentPolygons(RawTable):
    """Polygons whose cells are the region's."""

    geometry: Name = Field(default="geometry", description="column of the polygons: WKB or WKT")


class ExtentCells(RawTable):
    """A list of the region's cells."""

    cell: Name = Field(description="column of the H3 cell, as hex text or a whole number")


class ExtentConfig(Section):
    """How far the region reaches; without it, its cells are those that mobility sees."""

    box: list[float] | None = Field(default=None, description="south, west, north and east, degrees")
    polygons: ExtentPolygons | None = Field(default=None, description="polygons whose cells are the region's")
    cells: ExtentCells | None = Field(default=None, description="a list of cells")
    places: bool = Field(default=False, description="true: the cells of the table of places")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [name for name in ("box", "polygons", "cells", "places") if getattr(self, name)]
        if len(said) != 1:
            raise problem(f"must say one of box, polygons, cells and places (it has {', '.join(said) or 'none'})")
        if self.box is not None:
            _check_box(self.box)
        return self


def _check_box(box: list[float]) -> None:
    if len(box) != 4:
        raise problem(f"has a box of {len(box)} numbers; write south, west, north and east, such as [40, -75, 41, -73]")
    south, west, north, east = box
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
        raise problem(f"has box {box}; write south, west, north and east in degrees, such as [40, -75, 41, -73]")


def cells_of_table(source: Source, resolution: int) -> Cells:
    """The cells that a list names, at the region's resolution, int64 [n].

    Raises:
        UserError: if it cannot be read.
    """
    from mora_pipeline.raw.cells import as_cells, to_resolution

    named = as_cells(column_values(source, "cell"))
    return to_resolution(named.drop_null().to_numpy().astype(np.int64), resolution)[1]


def cells_of_polygons(source: Source, resolution: int) -> Cells:
    """The cells that polygons cover, int64 [n].

    Raises:
        UserError: if they cannot be read.
    """
    from mora_pipeline.raw.polygons import spread_polygons

    cells = []
    for file in source.files:
        values = column_values(replace(source, files=(file,)), "geometry")
        cells.append(spread_polygons(values, _crs_of(source, file), resolution)[1])
    return np.concatenate(cells)


def _crs_of(source: Source, file: str) -> str | None:
    """As declared, else as the file states it; None: that of each value, or degrees.

    Raises:
        UserError: if the file says that it has none, and none is declared.
    """
    from mora_pipeline.raw.crs import parquet_crs, stated_crs

    if source.crs is not None or source.format == "csv":
        return source.crs
    if source.format == "vector":
        from mora_pipeline.raw.vector_files import vector_schema

        return stated_crs(vector_schema(file, source.layer)[1], None, file)
    return stated_crs(parquet_crs(file, source.columns["geometry"]), None, file)
