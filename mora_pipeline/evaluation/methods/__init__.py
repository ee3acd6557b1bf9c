"""What a benchmark compares, all through one interface: a name gives vectors, one a cell."""

from mora_pipeline.evaluation.methods.catalogue import METHODS, make_methods, shared_methods
from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors

__all__ = ["METHODS", "Inputs", "MethodVectors", "make_methods", "shared_methods"]
