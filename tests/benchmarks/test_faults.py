"""The fault test's reader."""

from pathlib import Path

from benchmarks.faults.watching import read_all
from mora_pipeline.lake import Lake


def test_a_reader_tells_what_is_not_whole(tmp_path: Path) -> None:
    import pyarrow as pa

    lake = Lake(tmp_path / "lake")
    draft = lake.begin("edges", "town")
    draft.write(pa.table({"cell": [1]}))
    version = draft.commit()
    assert read_all(lake) == [None]
    version.files()[0].write_bytes(b"PAR1")
    (told,) = read_all(lake)
    assert str(told).startswith("edges: ")
