"""What a region.yaml may say: raw data described as it is, and every mistake as one clear message."""

from mora_pipeline.region.config import NO_MOBILITY, RegionConfig
from mora_pipeline.region.embeddings import EmbeddingDefaults
from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.mobility import EventsMobility, OdMobility, TripsMobility
from mora_pipeline.region.sections import PlacesConfig
from mora_pipeline.region.tasks import MEAN, CellTask, GroupTask, Members, PointTask, ReportedFolds, ReportedScores

__all__ = [
    "MEAN",
    "NO_MOBILITY",
    "CellTask",
    "EmbeddingDefaults",
    "EventsMobility",
    "GroupTask",
    "Members",
    "ModalityConfig",
    "OdMobility",
    "PlacesConfig",
    "PointTask",
    "RegionConfig",
    "ReportedFolds",
    "ReportedScores",
    "TripsMobility",
]
