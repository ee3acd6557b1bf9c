"""A region of a hundred cells with every kind of modality, written in a second, and a home that makes its assets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.definitions import defs
from mora_pipeline.defs.op_names import by_step_of_run
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.steps import FORCE_TAG

ASSETS = [item for item in defs.assets or [] if isinstance(item, dg.AssetsDefinition)]
ASSET_NAMES = [key.to_user_string() for asset in ASSETS for key in asset.keys]
SIDE = 10
RESOLUTION = 8
SOUTH, WEST, STEP = 47.30, 8.40, 0.014  # more than a cell's width apart: every place has its own cell
CATEGORIES = ["cafe", "school", "office", "park"]


class Home:
    """A home with regions, and one Dagster instance."""

    def __init__(self, path: Path, settings: dict[str, dict[str, object]], instance: dg.DagsterInstance) -> None:
        self.path, self.settings, self.instance = path, settings, instance
        self.lake = Lake(path / "lake")
        self.first: dict[str, list[bytes]] = {}

    def add(self, region_yaml: Path, region: str) -> None:
        Registry(self.path).add(region_yaml)
        self.instance.add_dynamic_partitions("regions", [region])

    def materialize(
        self, region: str, *names: str, settings: dict[str, dict[str, object]] | None = None, force: bool = True
    ) -> dg.ExecuteInProcessResult:
        """Make the named assets of a region, or all; `settings` by asset, instead of those of all tests.

        Args:
            force: make anew what has not changed as well.
        """
        chosen = list(names) or ASSET_NAMES
        config = self.settings["ops"] | {name: {"config": item} for name, item in (settings or {}).items()}
        return dg.materialize(
            ASSETS,
            selection=chosen,
            partition_key=region,
            instance=self.instance,
            tags={FORCE_TAG: "true"} if force else None,
            resources=dict(defs.resources or {}),
            run_config=by_step_of_run({"ops": {name: item for name, item in config.items() if name in chosen}}),
            raise_on_error=False,
        )

    def vectors(self, dataset: str, region: str) -> CellVectors:
        return CellVectors.from_table(self.lake.read(dataset, region).table())


def places() -> pd.DataFrame:
    """A square of places; the first half lives in the west and works in the east."""
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    return pd.DataFrame(
        {
            "id": [f"p{number:03d}" for number in range(SIDE * SIDE)],
            "latitude": SOUTH + STEP * row,
            "longitude": WEST + STEP * 1.5 * column,
            "district": [f"d{number}" for number in (row // 5) * 2 + column // 5],
            "people": 100 + 10 * row,
        }
    )


def flows(towns: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Gravity: more to near places; every place sends to twelve others and moves within itself."""
    points = towns[["latitude", "longitude"]].to_numpy()
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    rows = []
    for origin in range(len(towns)):
        near = np.argsort(distance[origin])[:13]
        for destination in near:
            flow = 100 / (1 + 50 * distance[origin, destination]) * generator.uniform(0.5, 1.5)
            rows.append((towns["id"][origin], towns["id"][destination], round(float(flow), 3)))
    return pd.DataFrame(rows, columns=["from", "to", "trips"])


def write_image(path: Path, generator: np.random.Generator) -> None:
    import rasterio
    from rasterio.transform import from_bounds

    size, reach = 160, SIDE * STEP
    bounds = (WEST - STEP, SOUTH - STEP, WEST + 1.5 * reach, SOUTH + reach)
    pixels = generator.integers(0, 255, (3, size, size), dtype=np.uint8)
    pixels[0] = np.linspace(0, 255, size, dtype=np.uint8)[None, :]
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=3, dtype="uint8", crs="EPSG:4326",
        transform=from_bounds(*bounds, size, size),
    ) as file:  # fmt: skip
        file.write(pixels)


def written_region(folder: Path, name: str, with_modalities: bool = True) -> Path:
    """Write raw files and their region.yaml; returns the path of the latter."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(7)
    towns = places()
    towns.to_csv(folder / "places.csv", index=False)
    flows(towns, generator).to_parquet(folder / "flows.parquet", index=False)
    towns.assign(income=50 + 3 * towns["longitude"] + generator.normal(0, 0.1, len(towns))).to_parquet(
        folder / "labels.parquet", index=False
    )
    towns.groupby("district", as_index=False)["people"].sum().to_csv(folder / "districts.csv", index=False)
    description = {
        "region": name,
        "resolution": RESOLUTION,
        "places": {"path": "places.csv", "id": "id", "latitude": "latitude", "longitude": "longitude"},
        "mobility": {
            "kind": "od",
            "path": "flows.parquet",
            "columns": {"origin": "from", "destination": "to", "flow": "trips"},
        },
        "tasks": {
            "income": {"level": "cell", "path": "labels.parquet", "place": "id", "column": "income"},
            "spots": {
                "level": "point",
                "path": "labels.parquet",
                "latitude": "latitude",
                "longitude": "longitude",
                "column": "people",
            },
        },
    }
    if with_modalities:
        description["modalities"] = write_modalities(folder, towns, generator)
    path = folder / "region.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def write_modalities(folder: Path, towns: pd.DataFrame, generator: np.random.Generator) -> dict[str, object]:
    chosen = towns.iloc[generator.integers(0, len(towns), 150)]
    pois = chosen[["latitude", "longitude"]].assign(kind=generator.choice(CATEGORIES, len(chosen)))
    pois.to_csv(folder / "pois.csv.gz", index=False)
    share = generator.uniform(10, 90, len(towns))
    ages = towns[["id", "people"]].assign(age_young=share, age_old=100 - share)
    ages.iloc[:90].to_parquet(folder / "ages.parquet", index=False)
    write_image(folder / "picture.tif", generator)
    return {
        "poi": {
            "kind": "text",
            "path": "pois.csv.gz",
            "columns": {"latitude": "latitude", "longitude": "longitude", "category": "kind"},
        },
        "ages": {
            "kind": "table",
            "path": "ages.parquet",
            "place": "id",
            "weight": "people",
            "groups": {"age": "age_*"},
        },
        "sky": {"kind": "image", "source": "geotiff", "path": "picture.tif"},
    }


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, object]:
    """Run config that trains for seconds."""
    configs = {
        "graph": {"share": 0.3},
        "line_vectors": {"samples_per_cell": 20.0, "samples_per_edge": 1.0},
        "embeddings": {"preset": "paper", "paper": {"maximum_epochs": 4}},
        "distilled_encoder": {"epochs": 10, "degree": 4, "hidden": 16, "hidden_layers": 1},
        "benchmark": {"trees": 10, "fast_trees": 10, "seeds": [42], "folds": 3, "cell_minimum_child": 5},
        "ablations": {"families": ["layers", "graph"], "layers": [1], "alignment_epochs": 2, "seeds": [42]},
    }
    return {"ops": {name: {"config": config} for name, config in configs.items()}}


@pytest.fixture(scope="session")
def write_region() -> Callable[..., Path]:
    """Writes the raw files of a region and its region.yaml."""
    return written_region


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_settings) -> Iterator[Home]:
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("MORA_HOME", str(path))
        patch.setenv("MORA_SPARK_MASTER", "local[2]")
        patch.setenv("MORA_SPARK_DRIVER_MEMORY", "1g")
        for name in ("MLFLOW_TRACKING_URI", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        yield Home(path, tiny_settings, instance)
