"""Frozen input vectors of the cells, one dataset a modality: `features/<modality>`."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.region import ImageModality, TableModality, TextModality
from mora_pipeline.steps.checks import cells_known, no_nan
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, StepResult, Tracker
from mora_pipeline.steps.tables import coverage_table

Encode = Callable[[RegionRun, str, Any, Progress], CellVectors]


def encode_text(region: RegionRun, name: str, modality: TextModality, progress: Progress) -> CellVectors:
    """Text vectors: each distinct text is encoded once, a cell's vector is the count-weighted mean.

    Source: `texts/*` and `text_cells/*`; the encoder is the modality's in region.yaml.
    """
    from mora_pipeline.modalities.text.encoding import encode_text_cells, make_text_encoder

    texts, counts = region.read(f"texts/{name}").table(), region.read(f"text_cells/{name}").table()
    encoder = make_text_encoder(modality.encoder, region.config.base)
    return encode_text_cells(texts, counts, encoder, partial(progress, f"{name}: texts"))


def encode_image(region: RegionRun, name: str, modality: ImageModality, progress: Progress) -> CellVectors:
    """Image vectors of the cells that have imagery, from the window of each cell.

    Source: `image_cells/*` and the mosaics themselves; the encoder is the modality's in region.yaml.
    """
    from mora_pipeline.modalities.image.encoder import make_image_encoder
    from mora_pipeline.modalities.image.windows import encode_windows, open_mosaic

    windows, mosaic = region.read(f"image_cells/{name}").table(), open_mosaic(modality, region.config)
    encoder = make_image_encoder(modality.encoder, region.config.base)
    return encode_windows(windows, mosaic, encoder, partial(progress, f"{name}: windows"))


def encode_table(region: RegionRun, name: str, modality: TableModality, progress: Progress) -> CellVectors:
    """Table vectors: the histogram shares of each cell, group after group.

    Source: `table_cells/*`.
    """
    from mora_pipeline.modalities.table.encoding import encode_table_cells

    return encode_table_cells(region.read(f"table_cells/{name}").table())


def make_features(
    region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker, *, kind: type[Any], encode: Encode
) -> StepResult:
    """Encode every modality of a kind and write it as `features/<modality>`."""
    cells = region.cells()
    vectors: dict[str, CellVectors] = {}
    for name, modality in region.modalities(kind).items():
        vectors[name] = encode(region, name, modality, progress)
        details = {"kind": modality.kind, "encoder": getattr(modality, "encoder", None)}
        region.begin(f"features/{name}", details=details).write(vectors[name].to_table())
    checks = [
        cells_known({name: item.cells for name, item in vectors.items()}, cells),
        no_nan({name: item.vectors for name, item in vectors.items()}),
    ]
    rows = ((name, len(item.cells), len(cells), item.vectors.shape[1]) for name, item in vectors.items())
    return region.finish(checks, {"modalities": len(vectors), "coverage": coverage_table(rows)})


def _features(name: str, kind: type[Any], encode: Encode, kinds: set[str], pool: str | None) -> Step:
    return Step(
        f"{name}_features",
        partial(make_features, kind=kind, encode=encode),
        str(encode.__doc__),
        inputs=(f"{name}_cells", "cells"),
        group="features",
        kinds=frozenset(kinds),
        columns=schemas.VECTORS,
        checks=("cells_known", "no_nan"),
        pool=pool,
    )


TEXT_FEATURES = _features("text", TextModality, encode_text, {"pytorch", "huggingface"}, "gpu")
IMAGE_FEATURES = _features("image", ImageModality, encode_image, {"pytorch"}, "gpu")
TABLE_FEATURES = _features("table", TableModality, encode_table, {"numpy"}, None)
FEATURES = ("text_features", "image_features", "table_features")
