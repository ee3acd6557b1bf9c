"""What region.yaml says of a modality of rasters."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import Name, problem

NEEDS = "kind raster needs the package exactextract. Install it: pip install 'mora-pipeline[geo]'"
TEMPERATURE = 0.7  # of the alignment loss: that of a table, whose numbers are of the same sort


class RasterModality(ModalityConfig):
    """Numbers on a grid, such as people or heights, added up or averaged by cell."""

    kind: Literal["raster"]
    path: Name = Field(description="file, folder or glob of GeoTIFFs")
    statistic: Literal["sum", "mean"] = Field(description="sum, of what is counted, or mean: sum or mean")
    band: int = Field(default=1, ge=1, description="number of the band, from 1")
    bands: dict[Name, Any] | None = Field(
        default=None, min_length=1, description="column: number of its band, or its file or glob below path"
    )
    nodata: list[float] | None = Field(
        default=None, description="values that mean no data, beside the one that the file declares"
    )
    population: bool = Field(default=False, description="whether its sum is how many people live in a cell")
    temperature: float = Field(default=TEMPERATURE, gt=0, description="temperature of its alignment loss")

    @field_validator("bands")
    @classmethod
    def _bands_are_numbers_or_files(cls, bands: dict[str, Any] | None) -> dict[str, Any] | None:
        for name, band in (bands or {}).items():
            if not (type(band) is int and band > 0) and not (type(band) is str and band):
                raise problem(f"has {name}: {band!r}; it must be the number of a band, from 1, or a file or glob")
            if name == "cell":
                raise problem("has a column cell, which is the name of the cells. Give it another name")
        return bands

    @model_validator(mode="after")
    def _population_is_a_sum(self) -> Self:
        if self.population and (self.statistic != "sum" or len(self.columns) > 1):
            raise problem(
                "counts the population, so it must be the sum of one band. Write statistic: sum, without bands"
            )
        return self

    @property
    def columns(self) -> dict[str, tuple[str | None, int]]:
        """The file or glob below `path` (None: `path` itself) and the band of each column."""
        if self.bands is None:
            return {self.statistic: (None, self.band)}
        return {name: (None, band) if isinstance(band, int) else (band, self.band) for name, band in self.bands.items()}
