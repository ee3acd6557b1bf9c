"""Each variant trains what it says, and is trained once."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE, base_graph, relative_effects, share_of_cells, variants
from mora_pipeline.evaluation.ablation.graphs import at_least, same_edges, top_share
from mora_pipeline.evaluation.ablation.parameters import FAMILIES, AblationParameters
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.training import Variant, neighbour_edges, train_variant
from mora_pipeline.lake import Lake
from mora_pipeline.presets.paper import line, trainer
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters
from mora_pipeline.region import RegionConfig

SHORT = AlignmentParameters(maximum_epochs=2, device="cpu")
QUICK_LINE = LineParameters(samples_per_cell=5, samples_per_edge=1)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the trainer was given, run by run."""
    seen: list[dict[str, Any]] = []
    train = trainer.train_alignment

    def watched(adjacency: Any, vectors: Any, modalities: Any, parameters: Any, on_epoch: Any = None) -> Any:
        seen.append({"edges": len(adjacency.values), "start": vectors, "modalities": modalities, "told": parameters})
        return train(adjacency, vectors, modalities, parameters, on_epoch)

    monkeypatch.setattr(trainer, "train_alignment", watched)
    return seen


def test_the_base_is_what_the_trainer_gives_for_the_published_inputs(inputs: MethodContext, trained: list[Any]) -> None:
    from mora_pipeline.presets.paper.graph import load_adjacency

    found = train_variant(inputs, Variant(BASE, BASE), SHORT).vectors
    adjacency = load_adjacency(inputs.reader.read("graph").batches, inputs.cells)
    expected = trainer.train_alignment(
        adjacency, inputs.dataset("line_vectors").vectors, trained[0]["modalities"], SHORT
    ).embeddings
    assert np.array_equal(found, expected)


def test_a_variant_is_trained_once_for_the_same_data_and_settings(inputs: MethodContext, trained: list[Any]) -> None:
    first = train_variant(inputs, Variant("a", "x"), SHORT).vectors
    assert np.array_equal(train_variant(inputs, Variant("b", "y"), SHORT).vectors, first)
    assert len(trained) == 1
    train_variant(inputs, Variant("a", "x", alignment={"layers": 1}), SHORT)
    assert len(trained) == 2


def test_each_change_reaches_the_trainer(inputs: MethodContext, trained: list[Any]) -> None:
    near = neighbour_edges(inputs.coordinates)
    changed = [
        Variant("graph", "x", graph=near, line=near),
        Variant("random", "x", start="random"),
        Variant("32", "x", dimension=32),
        Variant("one", "x", modalities=["ages"]),
        Variant("few cells", "x", share=0.1),
        Variant("anchor", "x", alignment={"anchor": "ages"}),
        Variant("seed", "x", seed=7),
        Variant("LINE's seed", "x", seed=7, line=inputs.edges),
    ]
    found = [train_variant(inputs, variant, SHORT, QUICK_LINE).vectors for variant in changed]
    graph, random, small, one, few, anchor, seed, both = trained
    assert graph["edges"] == len(near.flow)
    assert np.abs(random["start"]).max() <= 0.5 / 128
    assert found[2].shape == (len(inputs.cells), 32)
    assert small["start"].shape == (len(inputs.cells), 32)
    assert [item.name for item in one["modalities"]] == ["ages"]
    assert [int(item.present.sum()) for item in few["modalities"]] == [22, 22]
    assert anchor["told"].anchor == "ages"
    assert (seed["told"].seed, both["told"].seed, anchor["told"].seed) == (7, 7, 0)
    assert np.array_equal(seed["start"], inputs.dataset("line_vectors").vectors)
    own = line.train_line(*astuple(inputs.edges), len(inputs.cells), QUICK_LINE.model_copy(update={"seed": 7}))
    assert np.array_equal(both["start"], own)


def test_vectors_are_kept_for_the_device_that_trains(inputs: MethodContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is another device elsewhere: a home that moves between machines mixes no vectors."""
    asked: list[str] = []

    def watched(*given: Any, device: str = "") -> np.ndarray:
        asked.append(device or given[-1])
        return np.zeros((len(inputs.cells), 128), np.float32)

    monkeypatch.setattr("mora_pipeline.evaluation.methods.training.cached_or_train", watched)
    train_variant(inputs, Variant("a", "x", line=inputs.edges), AlignmentParameters(device="cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    train_variant(inputs, Variant("a", "x", line=inputs.edges))
    assert asked == ["cpu", "cpu", "cuda", "cuda"]  # LINE, alignment, LINE, alignment


def test_every_family_has_variants_and_each_differs_from_the_base(inputs: MethodContext) -> None:
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
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> None:
    config = region({})
    families = {variant.family for variant in variants(make_inputs(config, write_lake(config)), AblationParameters())}
    assert families == {BASE, "graph", "sampling", "start", "layers", "dimension", "seed"}


@pytest.mark.parametrize(
    ("published", "words", "there", "gone"),
    [
        ({"strategy": "top_share", "share": 0.1}, "top 10 %", {"top 30 %", "random 10 %"}, {"top 10 %"}),
        ({"strategy": "top_share", "share": 0.3}, "top 30 %", {"top 10 %", "random 30 %"}, {"top 30 %", "random 10 %"}),
        ({"strategy": "none"}, "all flows", {"top 10 %", "top 30 %"}, {"top 100 %", "random 100 %"}),
        ({"strategy": "threshold", "minimum_flow": 20.0}, "flows from 20", {"top 10 %", "top 100 %"}, set()),
    ],
)
def test_the_ladder_of_samples_leaves_out_the_published_one_alone(
    inputs: MethodContext, published: dict[str, Any], words: str, there: set[str], gone: set[str]
) -> None:
    publish_graph(inputs, published)
    found = variants(inputs, AblationParameters(families=["sampling", "graph"]))
    samples = {one.name.removeprefix("sampling: ") for one in found if one.family == "sampling"}
    assert there <= samples
    assert not gone & samples
    assert ("graph: full" in {one.name for one in found}) == (published["strategy"] != "none")
    assert base_graph(inputs) == words


def test_the_rewired_graph_is_sampled_as_the_published_one_is(inputs: MethodContext) -> None:
    publish_graph(inputs, {"strategy": "top_share", "share": 0.3})
    (rewired,) = [one for one in variants(inputs, AblationParameters(families=["graph"])) if "rewired" in one.name]
    assert rewired.line is not None
    assert rewired.graph is not None
    assert same_edges(rewired.graph, top_share(rewired.line, 0.3))


def publish_graph(inputs: MethodContext, told: dict[str, Any]) -> None:
    """Sample the region's flows as told, in the order of destinations, and publish them with that record."""
    share = 1.0 if told["strategy"] == "none" else told.get("share")
    kept = top_share(inputs.edges, share) if share else at_least(inputs.edges, told["minimum_flow"])
    order = np.argsort(kept.destination, kind="stable")
    columns = [inputs.cells[kept.origin[order]], inputs.cells[kept.destination[order]], kept.flow[order]]
    draft = inputs.reader.lake.begin("graph", inputs.reader.region)
    draft.write(pa.table(columns, schema=schemas.GRAPH))
    draft.commit(told)


def test_every_dimension_trains_line_anew_and_so_does_the_methods_own(inputs: MethodContext) -> None:
    """The published LINE vectors may have had other settings: 128 dimensions trained anew are the fair twin."""
    found = variants(inputs, AblationParameters(families=["dimension"], dimensions=[64, 128, 32]))[1:]
    assert [(one.name, one.dimension) for one in found] == [
        ("dimension: 32", 32), ("dimension: 64", 64), ("dimension: 128 (LINE anew)", 128)
    ]  # fmt: skip
    assert all(one.line is inputs.edges for one in found)


def test_further_seeds_train_the_base_with_and_without_line(inputs: MethodContext) -> None:
    told = AblationParameters(families=["seed"], training_seed=2, training_seeds=[1, 2, 5])
    found = {one.name: one for one in variants(inputs, told)[1:]}
    assert {name: one.seed for name, one in found.items()} == {
        "seed: 1": 1, "seed: 1 (LINE anew)": 1, "seed: 5": 5, "seed: 5 (LINE anew)": 5
    }  # fmt: skip
    assert [one.line is None for one in found.values()] == [True, False, True, False]


def test_the_neighbour_graph_is_a_method_too(
    inputs: MethodContext, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        line, "train_line", lambda *_: torch.randn(len(inputs.cells), 128, generator=torch.manual_seed(0)).numpy()
    )
    found = make_methods(["mora_neighbour_graph"], {}, inputs)["mora_neighbour_graph"].vectors
    assert found.shape == (len(inputs.cells), 128)
    assert trained[0]["edges"] == len(neighbour_edges(inputs.coordinates).flow)


@pytest.mark.parametrize(
    "wrong",
    [{"shares": [0.0]}, {"cell_shares": [1.5]}, {"layers": [-1]}, {"dimensions": [0]}, {"temperatures": [0.0]},
     {"training_seeds": [-1]}, {"protocols": ["transfer"]}, {"protocols": ["blocky"]}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AblationParameters(**wrong)


def test_effects_are_per_cent_of_the_base() -> None:
    effects = relative_effects({BASE: 0.5, "graph: neighbours": 0.45})
    assert effects == pytest.approx({BASE: 0.0, "graph: neighbours": -10.0})
    assert np.isnan(relative_effects({BASE: -0.1, "x": 0.1})["x"])
    assert share_of_cells(["base", "cells: 15 %"]) == {"cells: 15 %": 0.15, BASE: 1.0}


def test_the_amounts_of_a_region_can_be_left_out_and_are_part_of_the_training(
    inputs: MethodContext, trained: list[Any]
) -> None:
    names = [one.name for one in variants(inputs, AblationParameters(families=["modalities"]))]
    assert "no amounts" not in names  # there are none yet
    bare = train_variant(inputs, Variant("bare", "x"), SHORT).vectors
    counts = np.log1p(np.random.default_rng(0).poisson(5, len(inputs.cells)))
    draft = inputs.reader.lake.begin("amounts/ages", inputs.reader.region)
    draft.write(pa.table([inputs.cells, counts], schema=schemas.amounts(["people"])))
    draft.commit()
    chosen = {one.name: one for one in variants(inputs, AblationParameters(families=["modalities"]))}
    whole, without = (train_variant(inputs, chosen[name], SHORT).vectors for name in (BASE, "no amounts"))
    assert [one.amount_names for one in trained[1]["modalities"]] == [("people",), ()]
    assert not np.array_equal(whole, bare)
    assert np.array_equal(without, bare)
    assert len(trained) == 2  # the variant without is the base from before there were amounts


def test_what_training_may_not_see_has_no_known_amounts(inputs: MethodContext, trained: list[Any]) -> None:
    draft = inputs.reader.lake.begin("amounts/ages", inputs.reader.region)
    draft.write(pa.table([inputs.cells, np.ones(len(inputs.cells))], schema=schemas.amounts(["people"])))
    draft.commit()
    train_variant(inputs, Variant("few", "x", share=0.1), SHORT)
    ages = trained[0]["modalities"][0]
    assert np.array_equal(ages.amounts_present, ages.present)
    assert ages.present.sum() == 22
