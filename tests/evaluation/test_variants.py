"""Each variant trains what it says, and is trained once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mora_pipeline.evaluation.ablation_parameters import FAMILIES, AblationParameters
from mora_pipeline.evaluation.ablations import (
    BASE,
    published_effect,
    relative_effects,
    share_of_cells,
    variants,
)
from mora_pipeline.evaluation.graphs import k_ring_edges
from mora_pipeline.evaluation.methods import Inputs, make_methods
from mora_pipeline.evaluation.variants import Variant, train_variant
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig
from mora_pipeline.training import line, trainer
from mora_pipeline.training.parameters import AlignmentParameters, LineParameters

SHORT = AlignmentParameters(maximum_epochs=2, device="cpu")
QUICK_LINE = LineParameters(samples_per_cell=5, samples_per_edge=1)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the trainer was given, run by run."""
    seen: list[dict[str, Any]] = []
    train = trainer.train_alignment

    def watched(adjacency: Any, vectors: Any, modalities: Any, parameters: Any) -> Any:
        seen.append({"edges": len(adjacency.values), "start": vectors, "modalities": modalities, "told": parameters})
        return train(adjacency, vectors, modalities, parameters)

    monkeypatch.setattr(trainer, "train_alignment", watched)
    return seen


def test_the_base_is_what_the_trainer_gives_for_the_published_inputs(inputs: Inputs, trained: list[Any]) -> None:
    from mora_pipeline.training.graph import load_adjacency

    found = train_variant(inputs, Variant(BASE, BASE), SHORT).vectors
    adjacency = load_adjacency(inputs.reader.read("graph").batches, inputs.cells)
    expected = trainer.train_alignment(
        adjacency, inputs.dataset("line_vectors").vectors, trained[0]["modalities"], SHORT
    ).embeddings
    assert np.array_equal(found, expected)


def test_a_variant_is_trained_once_for_the_same_data_and_settings(inputs: Inputs, trained: list[Any]) -> None:
    first = train_variant(inputs, Variant("a", "x"), SHORT).vectors
    assert np.array_equal(train_variant(inputs, Variant("b", "y"), SHORT).vectors, first)
    assert len(trained) == 1
    train_variant(inputs, Variant("a", "x", alignment={"layers": 1}), SHORT)
    assert len(trained) == 2


def test_each_change_reaches_the_trainer(inputs: Inputs, trained: list[Any]) -> None:
    near = k_ring_edges(inputs.cells)
    changed = [
        Variant("graph", "x", graph=near, line=near),
        Variant("random", "x", start="random"),
        Variant("32", "x", dimension=32),
        Variant("one", "x", modalities=["ages"]),
        Variant("few cells", "x", share=0.1),
        Variant("anchor", "x", alignment={"anchor": "ages"}),
    ]
    found = [train_variant(inputs, variant, SHORT, QUICK_LINE).vectors for variant in changed]
    graph, random, small, one, few, anchor = trained
    assert graph["edges"] == len(near.flow)
    assert np.abs(random["start"]).max() <= 0.5 / 128
    assert found[2].shape == (len(inputs.cells), 32)
    assert small["start"].shape == (len(inputs.cells), 32)
    assert [item.name for item in one["modalities"]] == ["ages"]
    assert [int(item.present.sum()) for item in few["modalities"]] == [22, 22]
    assert anchor["told"].anchor == "ages"


def test_every_family_has_variants_and_each_differs_from_the_base(inputs: Inputs) -> None:
    found = variants(inputs, AblationParameters())
    names = [variant.name for variant in found]
    assert names[0] == BASE
    assert len(set(names)) == len(names)
    assert {variant.family for variant in found} == {BASE, *FAMILIES}
    assert {
        "without ages",
        "mobility alone",
        "graph: rewired by chance",
        "sampling: random 10 %",
        "anchor: homes",
    } <= set(names)
    only = variants(inputs, AblationParameters(families=["layers"], layers=[1]))
    assert [variant.name for variant in only] == [BASE, "layers: 1"]
    with pytest.raises(ValueError, match="no family"):
        AblationParameters(families=["layer"])


def test_a_region_with_mobility_alone_has_the_variants_that_mean_something_there(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., Inputs]
) -> None:
    config = region({})
    families = {variant.family for variant in variants(make_inputs(config, write_lake(config)), AblationParameters())}
    assert families == {BASE, "graph", "sampling", "start", "layers", "dimension"}


def test_the_neighbour_graph_is_a_method_too(
    inputs: Inputs, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        line, "train_line", lambda *_: torch.randn(len(inputs.cells), 128, generator=torch.manual_seed(0)).numpy()
    )
    found = make_methods(["k_ring"], {}, inputs)["k_ring"].vectors
    assert found.shape == (len(inputs.cells), 128)
    assert trained[0]["edges"] == len(k_ring_edges(inputs.cells).flow)


def test_the_papers_effects_stand_beside_modalities_of_their_kind_alone() -> None:
    kinds = {"poi": "text", "satellite": "image", "ages": "table"}
    assert published_effect("anchor: ages", kinds) == "−14.4 % ‡"
    assert published_effect("anchor: poi", kinds) == ""
    assert [published_effect(f"without {name}", kinds) for name in kinds] == ["−1.8 % ‡", "−2.2 % ‡", "−4.0 % ‡"]
    two_tables = {**kinds, "vehicles": "table"}  # neither is the paper's
    assert published_effect("without ages", two_tables) == published_effect("anchor: vehicles", two_tables) == ""
    assert published_effect("without gone", {}) == ""


@pytest.mark.parametrize(
    "wrong",
    [{"shares": [0.0]}, {"cell_shares": [1.5]}, {"layers": [-1]}, {"dimensions": [0]}, {"temperatures": [0.0]},
     {"protocols": ["transfer"]}, {"protocols": ["blocky"]}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AblationParameters(**wrong)


def test_effects_are_per_cent_of_the_base_beside_the_papers() -> None:
    effects = relative_effects({BASE: 0.5, "graph: k-ring neighbours": 0.45})
    assert effects == pytest.approx({BASE: 0.0, "graph: k-ring neighbours": -10.0})
    assert np.isnan(relative_effects({BASE: -0.1, "x": 0.1})["x"])
    kinds = {"poi": "text", "ages": "table"}
    assert published_effect("graph: k-ring neighbours", kinds) == "−12.2 %"
    assert published_effect("layers: 3", kinds) == ""
    assert share_of_cells(["base", "cells: 15 %"]) == {"cells: 15 %": 0.15, BASE: 1.0}
