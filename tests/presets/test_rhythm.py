"""The rhythm of a cell as shares: of its own moves where there are many, of the region's where there are few."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.rhythm import BINS, DIRECTIONS, RHYTHM_COLUMNS
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.rhythm import PRIOR_MOVES, read_rhythm, rhythm_evidence

CELLS = np.array([11, 12, 13, 14])


def table(counts: dict[int, dict[str, float]]) -> pa.Table:
    rows = [{"cell": cell, **dict.fromkeys(RHYTHM_COLUMNS, 0.0), **own} for cell, own in counts.items()]
    return pa.Table.from_pylist(rows, schemas.RHYTHM)


MANY, FEW, NIGHT = 11, 12, 14
COUNTS = table(
    {
        MANY: {"arrivals_weekday_06_10": 3e6, "arrivals_weekend_20_24": 1e6, "departures_weekday_16_20": 8e6},
        FEW: {"arrivals_weekend_20_24": 1.0},
        NIGHT: {"departures_weekday_00_06": PRIOR_MOVES},
    }
)


def share(shares: np.ndarray, cell: int, name: str) -> float:
    return float(shares[list(CELLS).index(cell), RHYTHM_COLUMNS.index(name)])


def test_each_direction_sums_to_one_where_there_are_timed_moves() -> None:
    shares, present = rhythm_evidence(COUNTS, CELLS)
    assert shares.dtype == np.float32
    assert shares.shape == (4, len(DIRECTIONS) * len(BINS))
    assert present.tolist() == [True, True, False, True]
    sums = shares.reshape(4, len(DIRECTIONS), len(BINS)).sum(axis=2)
    assert np.allclose(sums[present], 1, atol=1e-6)
    assert not shares[~present].any()


def test_many_moves_speak_for_themselves_and_few_for_the_region() -> None:
    shares, _ = rhythm_evidence(COUNTS, CELLS)
    assert share(shares, MANY, "arrivals_weekday_06_10") == pytest.approx(0.75, abs=1e-4)
    expected = (1 + PRIOR_MOVES * 0.25) / (1 + PRIOR_MOVES)
    assert share(shares, FEW, "arrivals_weekend_20_24") == pytest.approx(expected, rel=1e-5)
    assert share(shares, NIGHT, "departures_weekday_00_06") == pytest.approx(0.5, abs=1e-4)
    assert share(shares, NIGHT, "departures_weekday_16_20") == pytest.approx(0.5, abs=1e-4)


def test_a_direction_that_nobody_takes_is_even() -> None:
    shares, present = rhythm_evidence(COUNTS, CELLS)
    stays = [share(shares, cell, f"stays_{name}") for cell in CELLS[present] for name in BINS]
    assert stays == pytest.approx([1 / len(BINS)] * len(stays))


def test_a_row_without_a_move_is_masked() -> None:
    shares, present = rhythm_evidence(table({11: {}, 12: {"stays_weekend_10_16": 4.0}}), CELLS)
    assert present.tolist() == [False, True, False, False]
    assert not shares[0].any()


def test_a_rhythm_of_other_cells_is_refused() -> None:
    with pytest.raises(UserError, match="rhythm"):
        rhythm_evidence(COUNTS, CELLS[1:])


class Region:
    region = "town"


def test_a_region_that_has_none_is_read_as_none(tmp_path: Path) -> None:
    """No dataset, as in a lake of an earlier version; an empty one, as of od; and one that is read and recorded."""
    lake = Lake(tmp_path)

    def reader() -> RegionReader:
        return RegionReader(Region(), lake)  # type: ignore[arg-type]

    assert read_rhythm(reader(), CELLS) is None
    for counts in (schemas.RHYTHM.empty_table(), COUNTS):
        draft = lake.begin("rhythm", "town")
        draft.write(counts)
        version = draft.commit()
        used = reader()
        found = read_rhythm(used, CELLS)
        assert used.lineage["rhythm"].version == version.version
        assert (found is None) == (counts.num_rows == 0)
    assert found is not None
    np.testing.assert_array_equal(found[0], rhythm_evidence(COUNTS, CELLS)[0])
