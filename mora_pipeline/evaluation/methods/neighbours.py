"""The neighbour graph in place of the mobility graph: LINE and alignment are trained on it at their defaults."""

from mora_pipeline.evaluation.graphs import k_ring_edges
from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors
from mora_pipeline.evaluation.variants import Variant, train_variant


def k_ring(inputs: Inputs, _: str) -> dict[str, MethodVectors]:
    """LINE, LightGCN and alignment at their defaults, on the graph of adjacent cells (MoRA's ablation)."""
    edges = k_ring_edges(inputs.cells)
    return {"k_ring": MethodVectors(train_variant(inputs, Variant("k_ring", "graph", graph=edges, line=edges)).vectors)}
