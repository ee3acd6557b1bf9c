"""What a region.yaml may say: raw data described as it lies there, and every mistake as one clear message."""

from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.embeddings import Embedding
from mora_pipeline.region.files import InputFile
from mora_pipeline.region.mobility import (
    EventColumns,
    EventsMobility,
    Mobility,
    OdColumns,
    OdMobility,
    TripColumns,
    TripsMobility,
)
from mora_pipeline.region.modalities import (
    ImageModality,
    Modality,
    PointColumns,
    TableModality,
    TextColumns,
    TextModality,
)
from mora_pipeline.region.parts import Places
from mora_pipeline.region.tasks import MEAN, CellTask, GroupTask, Members, PointTask, Published, Task

__all__ = [
    "MEAN",
    "CellTask",
    "Embedding",
    "EventColumns",
    "EventsMobility",
    "GroupTask",
    "ImageModality",
    "InputFile",
    "Members",
    "Mobility",
    "Modality",
    "OdColumns",
    "OdMobility",
    "Places",
    "PointColumns",
    "PointTask",
    "Published",
    "RegionConfig",
    "TableModality",
    "Task",
    "TextColumns",
    "TextModality",
    "TripColumns",
    "TripsMobility",
]
