"""The neighbour graph in place of the mobility graph: LINE and alignment are trained on it at their defaults."""

from mora_pipeline.evaluation.ablation.graphs import neighbour_edges
from mora_pipeline.evaluation.ablation.variants import Variant, train_variant
from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors


def neighbours(inputs: Inputs, _: str) -> dict[str, MethodVectors]:
    """LINE, LightGCN and alignment at their defaults, on the graph of each cell's nearest cells (MoRA's ablation)."""
    edges = neighbour_edges(inputs.coordinates)
    variant = Variant("neighbours", "graph", graph=edges, line=edges)
    return {"neighbours": MethodVectors(train_variant(inputs, variant).vectors)}
