"""All methods by name."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.evaluation.methods.coordinates import constant, coordinates, harmonics, space2vec_grid
from mora_pipeline.evaluation.methods.files import own_vectors
from mora_pipeline.evaluation.methods.flows import flow_statistics, flow_svd
from mora_pipeline.evaluation.methods.geoclip import geoclip
from mora_pipeline.evaluation.methods.hex2vec import hex2vec
from mora_pipeline.evaluation.methods.inductive import encoder_inputs, inductive
from mora_pipeline.evaluation.methods.inputs import inputs, inputs_surroundings, shared_inputs
from mora_pipeline.evaluation.methods.interface import Method, MethodContext, MethodVectors, SharedMethod
from mora_pipeline.evaluation.methods.node2vec import node2vec
from mora_pipeline.evaluation.methods.raw import pca, raw
from mora_pipeline.evaluation.methods.training import mora_neighbour_graph, paper
from mora_pipeline.region import NO_MOBILITY, RegionConfig

OF_FLOWS = (
    "paper",
    "line",
    "flows",
    "flow_svd",
    "node2vec",
    "dataset:line_vectors",
)  # nothing is left of them without flows
LAKE = {"mora": "embeddings", "distilled": "distilled_encoder", "line": "line_vectors"}


def _dataset(name: str, dataset: str) -> Method:
    return lambda context, _: {name: context.dataset(dataset)}


def _named_dataset(context: MethodContext, name: str) -> dict[str, MethodVectors]:
    """Any dataset of the lake with the columns cell and vector."""
    if not name:
        raise UserError("benchmark: methods names dataset: without a name. Write dataset:embeddings, for example.")
    return {f"dataset:{name}": context.dataset(name)}


METHODS: Mapping[str, Method] = {
    **{name: _dataset(name, dataset) for name, dataset in LAKE.items()},
    "dataset": _named_dataset,
    "inputs": inputs,
    "inputs_surroundings": inputs_surroundings,
    "paper": paper,
    "inductive": inductive,
    "encoder_inputs": encoder_inputs,
    "raw": raw,
    "pca": pca,
    "flows": flow_statistics,
    "flow_svd": flow_svd,
    "mora_neighbour_graph": mora_neighbour_graph,
    "coordinates": coordinates,
    "space2vec_grid": space2vec_grid,
    "harmonics": harmonics,
    "constant": constant,
    "node2vec": node2vec,
    "hex2vec": hex2vec,
    "geoclip": geoclip,
}


# Their columns are aligned by name, and scaled by the region that is fitted: they are made of both regions at once.
ALIGNED: Mapping[str, SharedMethod] = {
    "inputs": partial(shared_inputs, surroundings=False),
    "inputs_surroundings": partial(shared_inputs, surroundings=True),
}


def make_methods(names: Sequence[str], files: Mapping[str, str], context: MethodContext) -> dict[str, MethodVectors]:
    """Vectors [N, d] of all methods asked for, by the name to show, in that order; then those of files.

    A method that the region has no data for gives nothing: `raw` without modalities, those of `left_out`.

    Raises:
        UserError: if there is no such method, or a file has the name of another method.
    """
    methods: dict[str, MethodVectors] = {}
    without = left_out(names, context.reader.config)
    for asked in names:
        name, _, argument = asked.partition(":")
        if name not in METHODS or (argument and name not in ("raw", "dataset")):
            near = did_you_mean(name, METHODS)
            raise UserError(f"benchmark: there is no method '{asked}'; there are {', '.join(METHODS)}.{near}")
        if asked not in without:
            methods.update(METHODS[name](context, argument))
    for name, path in files.items():
        if name in methods or name in METHODS:
            raise UserError(f"benchmark: files calls {path} '{name}', which is a method's name. Choose another.")
        methods[name] = own_vectors(context, path)
    return methods


def left_out(names: Sequence[str], config: RegionConfig) -> dict[str, str]:
    """Why some of the methods asked for cannot be made in a region, by name: they are of flows, and it has none."""
    return {} if config.mobility else {name: NO_MOBILITY for name in names if name in OF_FLOWS}


def shared_methods(
    here: Mapping[str, MethodVectors], files: Mapping[str, str], context: MethodContext, there: MethodContext
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, str]]:
    """The methods whose numbers mean the same in both regions, and why others do not transfer.

    Args:
        here: vectors in this region, by the name shown.
        files: the user's own vectors, by the name shown.
        context: this region's.
        there: the other region's context; only methods that can be shared are made from them.

    Returns:
        Vectors by name, [N, d] here and [M, d] there; by name why a method, or which part of it, does not transfer.
    """
    shared: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    reasons: dict[str, str] = {}
    for name, own in here.items():
        if name in ALIGNED:
            try:
                ours, theirs, reasons[name] = ALIGNED[name](context, there)
            except UserError as error:
                reasons[name] = str(error)
            else:
                shared[name] = (ours, theirs)
            continue
        if own.space is None:
            reasons[name] = "its vectors mean something in their own region alone"
            continue
        own_file = {name: files[name]} if name in files else {}
        try:
            other = make_methods([] if own_file else [name], own_file, there).get(name)
        except UserError as error:
            reasons[name] = str(error)
            continue
        if other is None or other.space != own.space:
            elsewhere = left_out([name], there.reader.config)
            reasons[name] = elsewhere.get(name, "its numbers mean something else there")
        else:
            shared[name] = own.vectors[:, : own.shared], other.vectors[:, : own.shared]
    return shared, reasons
