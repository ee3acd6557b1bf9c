"""The step that encodes modalities: an amount that is a label stays out of what it writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.lake import Lake
from mora_pipeline.steps import Session, StepResult, all_steps, run_step

NUM_CELLS = 40
MODALITY = """
modalities:
  ages: {kind: table, path: ages.csv, place: id, weight: people, groups: {age: "age_*"}}
tasks:
  homes: {level: cell, path: labels.csv, place: id, column: homes, aggregate: sum}
  people: {level: cell, path: labels.csv, place: id, column: people, aggregate: sum LEAKS}
"""


@pytest.fixture
def raw(session: Session, lake: Lake) -> Path:
    """Forty places in a cell each, of which all but four have people; what the grid has made of them is in the lake."""
    import h3

    random, folder = np.random.default_rng(0), session.home / "raw"
    latitude = np.linspace(47.0, 47.8, NUM_CELLS)
    places = pd.DataFrame({"id": [f"p{at}" for at in range(NUM_CELLS)], "latitude": latitude, "longitude": 8.0})
    places.to_csv(folder / "places.csv", index=False)
    cells = np.array([h3.str_to_int(h3.latlng_to_cell(one, 8.0, 8)) for one in latitude])
    people, homes = random.poisson(900, NUM_CELLS).astype(float), random.poisson(300, NUM_CELLS)
    places.assign(people=people**2, homes=homes).to_csv(folder / "labels.csv", index=False)
    order = np.argsort(cells)
    young = random.poisson(300, NUM_CELLS).astype(float)
    own = slice(0, NUM_CELLS - 4)

    def write(dataset: str, columns: list[object], schema: pa.Schema) -> None:
        draft = lake.begin(dataset, "tiny")
        draft.write(pa.table([np.asarray(column)[order] for column in columns], schema=schema).slice(0, own.stop))
        draft.commit()

    write(
        "table_cells/ages", [cells, young / people, 1 - young / people], schemas.table_cells(["age_young", "age_old"])
    )
    write("table_weights/ages", [cells, people], schemas.WEIGHTS)
    names = ["age: (total)", "age: age_young", "age: age_old"]
    write("table_sums/ages", [cells, people, young, people - young], schemas.table_sums(names))
    own = slice(0, NUM_CELLS)
    middle = [latitude, np.full(NUM_CELLS, 8.0), np.zeros(NUM_CELLS), people]
    write("cells", [cells, np.argsort(order), *middle], schemas.CELLS)
    return folder


def run(session: Session, raw: Path, leaks: str = "") -> StepResult:
    region_yaml = raw / "region.yaml"
    region_yaml.write_text(region_yaml.read_text() + MODALITY.replace(" LEAKS", leaks))
    step = next(step for step in all_steps() if step.name == "table_features")
    return run_step(step, "tiny", session)


def test_a_weight_that_is_a_label_stays_out_and_so_do_the_parts_of_its_like(
    session: Session, lake: Lake, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = run(session, raw)
    assert [version.dataset for version in result.versions] == ["amounts/ages", "features/ages"]
    assert lake.read("amounts/ages", "tiny").table().column_names == ["cell"]
    shown = result.metadata["amounts_left_out"].text
    assert "| people of ages | its correlation with the label people is 0.999 |" in shown
    assert "| age: age_old of ages | it is a part of age: (total): its " in shown
    assert "The amount people of ages is no feature" in caplog.text
    assert result.metadata["ages_amounts"] == 0


def test_amounts_stay_where_the_task_allows_it(session: Session, lake: Lake, raw: Path) -> None:
    result = run(session, raw, ", leaks: allowed")
    amounts = lake.read("amounts/ages", "tiny").table()
    assert amounts.column_names == ["cell", "age: (total)", "age: age_young", "age: age_old", "people"]
    assert amounts.num_rows == NUM_CELLS - 4
    weights = lake.read("table_weights/ages", "tiny").table()["weight"].to_numpy()
    np.testing.assert_allclose(np.expm1(amounts["people"].to_numpy()), weights)
    assert result.metadata["amounts_left_out"].text == "none"


def test_labels_that_cannot_be_read_keep_nothing_out(
    session: Session, lake: Lake, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (raw / "labels.csv").write_text("id,homes\np0,3\n")
    assert run(session, raw).committed
    assert len(lake.read("amounts/ages", "tiny").table().column_names) == 5
    assert "No amount is compared with the label people, which cannot be read. UserError: " in caplog.text
