"""The lake: datasets of each region in versions, and the regions that a home knows."""

from mora_pipeline.lake.versions import (
    BATCH_ROWS,
    DATASET_NAME,
    Draft,
    Lake,
    Version,
    mora_home,
    read_files,
    readable,
)

__all__ = ["BATCH_ROWS", "DATASET_NAME", "Draft", "Lake", "Version", "mora_home", "read_files", "readable"]
