"""Kinds of modalities, a package each: what region.yaml says of it, its checks, its cells, its encoder, its head."""

from mora_pipeline.modalities.interface import LoadedModality, ModalityKind, kind_of, kinds, register, unregister

__all__ = ["LoadedModality", "ModalityKind", "kind_of", "kinds", "register", "unregister"]
