"""Figures of a home for Prometheus: docs/metrics.md lists them."""

from mora_pipeline.metrics.collect import NAMES, DatasetFigures, RegionFigures, collect
from mora_pipeline.metrics.text import Sample, exposition

__all__ = ["NAMES", "DatasetFigures", "RegionFigures", "Sample", "collect", "exposition"]
