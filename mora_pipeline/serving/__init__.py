"""Answers from what a region has: vectors of coordinates and cells, and the distilled encoder as an MLflow model."""

from mora_pipeline.serving.store import EmbeddingStore

__all__ = ["EmbeddingStore"]
