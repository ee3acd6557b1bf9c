import dataclasses

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.inductive.states import FLOWS, NEIGHBOURS, PARTNERS, fit_states

SHARED = 0.3 / 2**0.5  # by the vectors and the amounts of a modality
OWN = ["modality/ages", "modality/poi", "modality/sky", "amounts/ages", "amounts/poi", FLOWS]


def columns(states, name):
    """The columns of a state that belong to a block."""
    widths = {block: states.blocks[block].matrix.shape[1] for block in states.weights}
    names = list(widths)
    start = sum(widths[block] for block in names[: names.index(name)])
    return slice(start, start + widths[name])


def bounded(mapped):
    """Columns within three deviations of the fitted cells, all by one factor to a mean square of 1."""
    limit = 3 * mapped.std(0)
    clipped = np.clip(mapped, -limit, limit)
    return clipped / np.sqrt(np.square(clipped).sum(1).mean())


def test_blocks_have_the_weights_that_were_asked_for_and_a_state_is_about_one_long(town, small):
    evidence = town.evidence()
    states = fit_states(evidence, small)
    found = states.apply(evidence)
    assert list(states.weights) == [*OWN, PARTNERS, NEIGHBOURS]
    asked = dict(zip(OWN, [SHARED, SHARED, 0.3, SHARED, SHARED, 1.0], strict=True)) | {PARTNERS: 0.7, NEIGHBOURS: 0.5}
    total = sum(weight**2 for weight in asked.values())
    for name, weight in asked.items():
        part = found[:, columns(states, name)]
        known = part[np.abs(part).sum(1) > 0]
        assert np.square(known).sum(1).mean() == pytest.approx(weight**2 / total, rel=2e-2), name


def test_a_text_is_reduced_to_its_principal_components(town, small):
    evidence = town.evidence()
    states = fit_states(evidence, small)
    found = states.apply(evidence)[:, columns(states, "modality/poi")]
    expected = PCA(small.components).fit_transform(town.modalities[1].vectors.astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(bounded(expected)) * states.weights["modality/poi"], atol=1e-5)


def test_surroundings_are_means_of_what_the_related_cells_have(town, small):
    evidence = town.evidence()
    states = fit_states(evidence, small)
    found = states.apply(evidence)
    own = np.concatenate([found[:, columns(states, name)] / states.weights[name] for name in OWN], axis=1)
    means = evidence.neighbours.toarray() @ own
    centred = means - means.mean(0)
    expected = np.clip(centred, -3 * centred.std(0), 3 * centred.std(0)) / np.sqrt(np.square(centred).sum(1).mean())
    np.testing.assert_allclose(found[:, columns(states, NEIGHBOURS)], expected * states.weights[NEIGHBOURS], atol=1e-5)


def test_missing_evidence_is_zero_whatever_stands_in_its_row(town, small):
    evidence = town.evidence()
    states = fit_states(evidence, small)
    ages = town.modalities[0]
    spoilt = ages.vectors.copy()
    spoilt[~ages.present] = np.nan
    changed = dataclasses.replace(
        evidence, modalities=(dataclasses.replace(ages, vectors=spoilt), *town.modalities[1:])
    )
    found = states.apply(changed)
    np.testing.assert_array_equal(found[~ages.present, columns(states, "modality/ages")], 0)
    np.testing.assert_array_equal(found, states.apply(evidence))
    np.testing.assert_array_equal(found[3, columns(states, PARTNERS)], 0)  # cell 3 has no flow


def test_amounts_are_standardised_and_unknown_ones_are_the_mean(town, small):
    evidence = town.evidence()
    states = fit_states(evidence, small)
    found = states.apply(evidence)
    ages, poi = town.modalities[:2]
    for one, name in ((ages, "amounts/ages"), (poi, "amounts/poi")):
        own = one.amounts[one.amounts_present].astype(float)
        expected = bounded((own - own.mean(0)) / own.std(0)) * states.weights[name]
        np.testing.assert_allclose(found[one.amounts_present][:, columns(states, name)], expected, atol=1e-5)
    np.testing.assert_array_equal(found[~ages.amounts_present, columns(states, "amounts/ages")], 0)


def test_without_amounts_there_is_no_block_of_them(town, small):
    evidence = town.evidence()
    bare = tuple(dataclasses.replace(one, amount_names=()) for one in evidence.modalities)
    states = fit_states(dataclasses.replace(evidence, modalities=bare), small)
    assert list(states.weights) == ["modality/ages", "modality/poi", "modality/sky", FLOWS, PARTNERS, NEIGHBOURS]


def test_amounts_that_never_vary_say_nothing(town, small):
    """A region in which every cell has one and the same count."""
    evidence = town.evidence()
    poi = dataclasses.replace(town.modalities[1], amounts=np.full((60, 3), np.float32(1.1)))
    flat = dataclasses.replace(evidence, modalities=(town.modalities[0], poi, town.modalities[2]))
    states = fit_states(flat, small)
    assert not states.blocks["amounts/poi"].matrix.any()
    assert np.isfinite(states.apply(flat)).all()


def test_a_column_that_never_varies_says_nothing_elsewhere_either(town, small):
    evidence = town.evidence()
    flat = evidence.flows.copy()
    flat[:, 0] = 2.5
    states = fit_states(dataclasses.replace(evidence, flows=flat), small)
    assert not states.blocks[FLOWS].matrix[0].any()


def test_without_any_weight_there_is_nothing_to_learn(town, small):
    nothing = dict.fromkeys(["modality_weight", "flow_weight", "partner_weight", "neighbour_weight"], 0.0)
    with pytest.raises(UserError, match="every weight is 0"):
        fit_states(town.evidence(), small.model_copy(update=nothing))
