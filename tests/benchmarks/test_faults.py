"""A sample of the fault test: commands are killed for real, and the next ones succeed by themselves."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.faults import kinds
from benchmarks.faults.bench import Bench
from benchmarks.faults.watching import read_all
from mora_pipeline.lake import Lake


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_after_kills_the_next_command_succeeds_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Spark, so that it takes seconds: the tree of a command, and its worker."""
    monkeypatch.setattr(kinds, "SELECT", kinds.LIGHT)
    monkeypatch.setattr("benchmarks.faults.bench.SELECT", kinds.LIGHT)
    monkeypatch.setattr("benchmarks.faults.bench.OF_LIGHT", tuple(kinds.KINDS))
    monkeypatch.setenv("DAGSTER_HOME", os.environ.get("DAGSTER_HOME", ""))  # what it sets is taken back
    told: list[str] = []
    result = Bench(["tree", "worker"], 1, told.append).run(2)
    assert asdict(result) == {**dict.fromkeys(asdict(result), 0), "kills": 2}, "\n".join(told)
    assert result.clean


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
