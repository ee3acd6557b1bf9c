"""What a check of a region warns of, beside its points: an extent without any, files that may be there twice."""

from collections.abc import Iterator, Mapping, Sequence

from mora_pipeline.raw.copies import DIFFERING
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.samples import Points


def warnings_of_extent(config: RegionConfig, points: Points) -> Iterator[str]:
    """Whether no point is in the box of the extent, as where its axes are swapped."""
    box = config.extent.box if config.extent else None
    latitude, longitude = points
    if not box or not len(latitude):
        return
    south, west, north, east = box
    within = (west <= longitude) & (longitude <= east) if west < east else (west <= longitude) | (longitude <= east)
    if not (within & (south <= latitude) & (latitude <= north)).any():
        yield (
            f"extent.box {box} holds none of the {len(latitude):,} sampled points. It is south, west, north, east, in "
            "degrees."
        )


def warnings_of_copies(remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Files that are named as copies and hold something else: their rows may count twice."""
    for key, sentences in remarks.items():
        yield from (f"{key}: {sentence}" for sentence in sentences if DIFFERING in sentence)
