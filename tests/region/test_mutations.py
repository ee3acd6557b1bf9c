"""A sample of mutated region.yaml files; ``python -m tests.region.mutations 3000`` tries many."""

from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mora_pipeline.region import RegionConfig
from mora_pipeline.region.understanding import understand
from tests.region.mutations import Outcome, attempt, tried
from tests.region.regions import REGIONS, write_right_files


def test_the_regions_that_are_mutated_are_right(tmp_path: Path) -> None:
    write_right_files(tmp_path)
    for content in REGIONS:
        (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
        assert understand(RegionConfig.load(tmp_path)).config.region == "tiny"


def test_every_mutation_is_taken_or_refused_by_a_message(tmp_path: Path) -> None:
    write_right_files(tmp_path)
    outcome = tried(tmp_path, REGIONS, 150, seed=1)
    assert not outcome.others
    assert outcome.taken
    assert outcome.taken + outcome.refused == 150


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_of_any_kind_are_refused_by_a_message(tmp_path: Path, content: bytes) -> None:
    outcome = Outcome()
    attempt(tmp_path, content, outcome)
    assert (outcome.refused, outcome.others) == (1, [])
