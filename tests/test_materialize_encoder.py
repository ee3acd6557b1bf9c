"""`mora materialize X --encoder Y`: vectors in Y's space, also every night after; what does not fit is told at once."""

from pathlib import Path

import h3
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from mora_pipeline.cli import main
from mora_pipeline.commands.run_config import assign
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence
from tests.presets.inductive.conftest import make_town
from tests.presets.inductive.test_region import Home


class HomeOfCells(Home):
    """A home whose regions have cells of H3, as embeddings that are published need."""

    def cells(self, count: int) -> np.ndarray:
        disk = h3.grid_disk(h3.latlng_to_cell(47.1, 8.2, 8), 5)
        return np.array(sorted(h3.str_to_int(cell) for cell in disk)[:count])


@pytest.fixture
def home(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Region `no` (a word that YAML takes for false) has an encoder; `west` may be embedded by it."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    made = HomeOfCells(mora_home)
    made.add("no", make_town(1), modalities={})
    made.add("west", make_town(2), modalities={})
    encoder = made.train("no", InductiveParameters(units=40, neighbours=5)).encoder
    made.expected = encoder.embed(read_evidence(made.reader("west"), [], 5)[1])
    return made


def mora(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["materialize", *arguments])


def runs() -> int:
    from mora_pipeline.commands.instance import dagster_instance

    with dagster_instance() as instance:
        return len(instance.get_runs())


def shares_the_space_of_no() -> bool:
    """What the last run of `embeddings` tells."""
    from dagster import AssetKey

    from mora_pipeline.commands.instance import dagster_instance

    with dagster_instance() as instance:
        told = instance.get_latest_materialization_event(AssetKey("embeddings")).asset_materialization.metadata
    return bool(told["same space as the embeddings of no"].value)


def publish_embeddings_of_no(home: Home) -> None:
    """As its own training does, in one step with the encoder."""
    cells = home.reader("no").read("cells").table()["cell"].to_numpy()
    made = CellVectors(cells, np.zeros((len(cells), 128), np.float32)).to_table()
    version = home.lake.read("encoder", "no").version
    home.write("embeddings", "no", made, {"encoder_region": "no", "encoder_version": version})


def test_another_regions_encoder_embeds_it_by_option_and_by_region_yaml(home: Home) -> None:
    ended = mora("west", "--encoder", "no", "--select", "embeddings")
    assert ended.exit_code == 0, ended.output
    first = home.lake.read("embeddings", "west")
    assert first.details["encoder_region"] == "no"
    np.testing.assert_array_equal(CellVectors.from_table(first.table()).vectors, home.expected)
    assert not shares_the_space_of_no(), "its embeddings are of something else"
    publish_embeddings_of_no(home)

    file = home.path / "west" / "region.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "embeddings": {"encoder": "no"}}))
    ended = mora("west", "--select", "embeddings", "--force")  # as a nightly run does, if they had not been made
    assert ended.exit_code == 0, ended.output
    second = home.lake.read("embeddings", "west")
    assert second.version != first.version
    assert shares_the_space_of_no()
    np.testing.assert_array_equal(CellVectors.from_table(second.table()).vectors, home.expected)


def test_what_does_not_fit_is_refused_before_a_run_begins(home: Home) -> None:
    home.add("fine", make_town(3), modalities={}, resolution=9)
    ended = mora("fine", "--encoder", "no")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "for cells of resolution 8, but" in ended.stderr
    ended = mora("west", "--encoder", "no", "--select", "benchmark,edges")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "--encoder no is about the asset `embeddings`, which --select benchmark,edges leaves out" in ended.stderr
    assert runs() == 0


def test_a_region_is_named_as_it_is_written() -> None:
    config: dict[str, object] = {}
    assign(config, "embeddings", ["encoder"], "no", "--encoder no")
    assert config == {"ops": {"embeddings": {"config": {"encoder": "no"}}}}
    with pytest.raises(UserError, match="--encoder no: 'embeddings' holds a value in the --config file"):
        assign({"ops": {"embeddings": 3}}, "embeddings", ["encoder"], "no", "--encoder no")
