"""Frozen input vectors of the cells, one dataset a modality: `features/<modality>`."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.defs.checks import by_name, cells_known, no_nan
from mora_pipeline.defs.metadata import VECTORS, column_schema, markdown_rows
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.progress import log_progress
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.step import Kind, Step, blocking, step
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.modalities.table.config import TableModality
from mora_pipeline.modalities.text.config import TextModality

COMMON: dict[str, Any] = {"partitions_def": regions, "group_name": "features", "metadata": column_schema(VECTORS)}


@dg.asset(
    deps=["text_cells", "cells"],
    kinds={"pytorch", "huggingface"},
    pool="gpu",
    check_specs=blocking("text_features", "cells_known", "no_nan"),
    **COMMON,
)
def text_features(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Text vectors: each distinct text is encoded once, a cell's vector is the count-weighted mean.

    Source: `texts/*` and `text_cells/*`; the encoder is the modality's in region.yaml.
    """

    def encode(work: Step, name: str, modality: TextModality) -> CellVectors:
        from mora_pipeline.modalities.text.encoding import encode_text_cells, make_text_encoder

        texts, counts = work.read(f"texts/{name}").table(), work.read(f"text_cells/{name}").table()
        encoder = make_text_encoder(modality.encoder, work.config.base)
        return encode_text_cells(texts, counts, encoder, log_progress(context, f"{name}: texts"))

    with step(context, lake) as work:
        return make_features(work, TextModality, encode)


@dg.asset(
    deps=["image_cells", "cells"],
    kinds={"pytorch"},
    pool="gpu",
    check_specs=blocking("image_features", "cells_known", "no_nan"),
    **COMMON,
)
def image_features(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Image vectors of the cells that have imagery, from the window of each cell.

    Source: `image_cells/*` and the mosaics themselves; the encoder is the modality's in region.yaml.
    """

    def encode(work: Step, name: str, modality: ImageModality) -> CellVectors:
        from mora_pipeline.modalities.image.encoder import make_image_encoder
        from mora_pipeline.modalities.image.windows import encode_windows, open_mosaic

        windows, mosaic = work.read(f"image_cells/{name}").table(), open_mosaic(modality, work.config)
        encoder = make_image_encoder(modality.encoder, work.config.base)
        return encode_windows(windows, mosaic, encoder, log_progress(context, f"{name}: windows"))

    with step(context, lake) as work:
        return make_features(work, ImageModality, encode)


@dg.asset(
    deps=["table_cells", "cells"],
    kinds={"numpy"},
    check_specs=blocking("table_features", "cells_known", "no_nan"),
    **COMMON,
)
def table_features(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Table vectors: the histogram shares of each cell, group after group.

    Source: `table_cells/*`.
    """

    def encode(work: Step, name: str, modality: TableModality) -> CellVectors:
        from mora_pipeline.modalities.table.encoding import encode_table_cells

        return encode_table_cells(work.read(f"table_cells/{name}").table())

    with step(context, lake) as work:
        return make_features(work, TableModality, encode)


def make_features(
    work: Step, kind: type[Kind], encode: Callable[[Step, str, Kind], CellVectors]
) -> dg.MaterializeResult:
    """Encode every modality of a kind and publish it as `features/<modality>`."""
    cells = work.cells()
    made: dict[str, CellVectors] = {}
    for name, modality in work.modalities(kind).items():
        made[name] = encode(work, name, modality)
        details = {"kind": modality.kind, "encoder": getattr(modality, "encoder", None)}
        work.begin(f"features/{name}", details=details).write(made[name].to_table())
    rows = [
        (name, f"{len(item.cells):,}", f"{len(item.cells) / max(1, len(cells)):.1%}", item.vectors.shape[1])
        for name, item in made.items()
    ]
    results = by_name(
        cells_known({name: item.cells for name, item in made.items()}, cells),
        no_nan({name: item.vectors for name, item in made.items()}),
    )
    coverage = markdown_rows(["modality", "cells", "share of all cells", "dimension"], rows) if rows else "none"
    return work.finish(results, {"modalities": len(made), "coverage": coverage})
