"""Where each cell lies in the imagery: its pixel window in every image modality's mosaic.

Source: `cells` and the image files themselves (XYZ tiles or GeoTIFF). Cells without imagery have no row.
"""

import dagster as dg

from mora_pipeline.contract import schemas
from mora_pipeline.defs.checks import by_name, cells_known
from mora_pipeline.defs.metadata import column_schema, markdown_rows
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.step import blocking, step
from mora_pipeline.modalities.image.config import ImageModality


@dg.asset(
    partitions_def=regions,
    deps=["cells"],
    group_name="grid",
    kinds={"python", "parquet"},
    description=__doc__,
    metadata=column_schema(schemas.IMAGE_CELLS),
    check_specs=blocking("image_cells", "cells_known"),
)
def image_cells(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    from mora_pipeline.modalities.image.windows import cell_windows, open_mosaic

    with step(context, lake) as work:
        cells = work.cells()
        found, rows = {}, []
        for name, modality in work.modalities(ImageModality).items():
            windows = cell_windows(cells, open_mosaic(modality, work.config))
            work.begin(f"image_cells/{name}").write(windows)
            found[name] = windows["cell"].to_numpy()
            rows.append((name, f"{len(windows):,}", f"{len(windows) / max(1, len(cells)):.1%}"))
        coverage = markdown_rows(["modality", "cells", "share of all cells"], rows) if rows else "none"
        return work.finish(by_name(cells_known(found, cells)), {"modalities": len(found), "coverage": coverage})
