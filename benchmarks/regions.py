"""Flows between places of a region as edges of cells, straight from the files that its region.yaml names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmarks.measure import ROOT
from mora_pipeline.raw.places import cells_at
from mora_pipeline.region import OdMobility, RegionConfig
from spark_jobs.gridding import centres_of

Rows = npt.NDArray[np.int64]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Flows:
    """A region's directed edges between cells, as the dataset `edges` has them.

    ``cells`` has the columns cell, latitude, longitude; ``origin``, ``destination`` are its rows; ``flow`` > 0.
    """

    config: RegionConfig
    cells: pa.Table
    origin: Rows
    destination: Rows
    flow: npt.NDArray[np.float64]


def load_flows(region: str, folder: Path = EXAMPLES) -> Flows:
    """Grid a region of kind `od`.

    Raises:
        UserError: if a file is missing.
        ValueError: if its mobility is of another kind.
    """
    config = RegionConfig.load(folder / region)
    mobility, places = config.mobility, config.places_or_none()
    if not isinstance(mobility, OdMobility) or places is None:
        raise ValueError(f"{region}: mobility.kind is '{mobility.kind}', this benchmark reads 'od'")
    table = pd.concat(pd.read_parquet(file) for file in config.files(places.path))
    points = (pa.array(table[name].to_numpy(np.float64)) for name in (places.latitude, places.longitude))
    cell_of_place = pd.Series(cells_at(*points, config.resolution).to_numpy(), index=table[places.id])
    cells, row_of_place = np.unique(cell_of_place.to_numpy(), return_inverse=True)
    rows = pd.Series(row_of_place, index=cell_of_place.index)
    names = mobility.columns
    pairs = pd.concat(pd.read_parquet(file) for file in config.files(mobility.path))
    edges = pd.DataFrame(
        {
            "origin": rows.reindex(pairs[names.origin]).to_numpy(),
            "destination": rows.reindex(pairs[names.destination]).to_numpy(),
            "flow": pairs[names.flow].to_numpy(np.float64),
        }
    ).dropna()
    edges = edges[(edges["origin"] != edges["destination"]) & (edges["flow"] > 0)]
    edges = edges.groupby(["origin", "destination"], as_index=False)["flow"].sum()
    latitude, longitude = centres_of(cells)
    ends = (edges[name].to_numpy(np.int64) for name in ("origin", "destination"))
    return Flows(
        config, pa.table({"cell": cells, "latitude": latitude, "longitude": longitude}), *ends, edges["flow"].to_numpy()
    )
