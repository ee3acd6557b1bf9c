"""Where each cell is in the imagery: its pixel window in every image modality's mosaic.

Source: `cells` and the image files themselves (XYZ tiles or GeoTIFF). Cells without imagery have no row.
"""

from mora_pipeline.contract import schemas
from mora_pipeline.region import ImageModality
from mora_pipeline.steps.checks import cells_known
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, StepResult, Tracker
from mora_pipeline.steps.tables import coverage_table


def run(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Find the windows of every image modality and write them as `image_cells/<modality>`."""
    from mora_pipeline.modalities.image.windows import cell_windows, open_mosaic

    cells = region.cells()
    by_modality = {}
    for name, modality in region.modalities(ImageModality).items():
        windows = cell_windows(cells, open_mosaic(modality, region.config))
        region.begin(f"image_cells/{name}").write(windows)
        by_modality[name] = windows["cell"].to_numpy()
    coverage = coverage_table((name, len(own), len(cells), "") for name, own in by_modality.items())
    return region.finish([cells_known(by_modality, cells)], {"modalities": len(by_modality), "coverage": coverage})


IMAGE_CELLS = Step(
    "image_cells",
    run,
    __doc__,
    inputs=("cells",),
    group="grid",
    kinds=frozenset({"python", "parquet"}),
    columns=schemas.IMAGE_CELLS,
    checks=("cells_known",),
)
