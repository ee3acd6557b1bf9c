"""What a region.yaml may say: raw data described as it is, and every mistake as one clear message."""

from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.embeddings import EmbeddingDefaults
from mora_pipeline.region.files import InputFile
from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.mobility import (
    EventColumns,
    EventsMobility,
    Mobility,
    OdColumns,
    OdMobility,
    TripColumns,
    TripsMobility,
)
from mora_pipeline.region.sections import PlacesConfig
from mora_pipeline.region.tasks import MEAN, CellTask, GroupTask, Members, PointTask, ReportedScores, TaskConfig

__all__ = [
    "MEAN",
    "CellTask",
    "EmbeddingDefaults",
    "EventColumns",
    "EventsMobility",
    "GroupTask",
    "InputFile",
    "Members",
    "Mobility",
    "ModalityConfig",
    "OdColumns",
    "OdMobility",
    "PlacesConfig",
    "PointTask",
    "RegionConfig",
    "ReportedScores",
    "TaskConfig",
    "TripColumns",
    "TripsMobility",
]
