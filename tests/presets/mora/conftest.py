"""The town of the inductive preset's tests, embedded by `mora` in small numbers."""

import pytest

from mora_pipeline.presets.mora.parameters import MoraParameters
from mora_pipeline.presets.mora.train import MoraResult, train_encoder
from tests.presets.inductive.conftest import other_town, schema, town  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def few() -> MoraParameters:
    return MoraParameters(
        gaussian_numbers=10, modality_numbers=8, surroundings_numbers=6, factor_numbers=4, aligned_numbers=4,
        components=6, neighbours=5, units=40,
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained(town, schema, few) -> MoraResult:  # noqa: F811
    return train_encoder(town.evidence(), schema, few)
