"""Examples as a user runs them: the region.yaml in a folder, and the downloads in data/ below it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from mora_pipeline.region import RegionConfig
from mora_pipeline.region.samples import TableSample
from mora_pipeline.region.understanding import Understanding

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load_example(name: str, folder: Path, *downloads: Callable[[Path], None]) -> RegionConfig:
    """The example as it stands in the repository, beside files that `downloads` write."""
    shutil.copy(EXAMPLES / name / "region.yaml", folder / "region.yaml")
    (folder / "data").mkdir()
    for write in downloads:
        write(folder / "data")
    return RegionConfig.load(folder)


def sample_of(understood: Understanding, key: str) -> TableSample:
    """The sample of one table."""
    return next(sample for sample in understood.samples if sample.table.key == key)


def counts(sample: TableSample) -> dict[str, int]:
    """Rows by reason; the good ones are `good`."""
    return {reason: count.rows for reason, count in sample.counts.items() if count.rows}
