"""The lake: datasets of each region in versions, and the regions that a home knows."""

from mora_pipeline.contract.home import mora_home
from mora_pipeline.lake.home import opened
from mora_pipeline.lake.versions import DATASET_NAME, Draft, Lake, Version

__all__ = ["DATASET_NAME", "Draft", "Lake", "Version", "mora_home", "opened"]
