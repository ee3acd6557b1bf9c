"""Figures for Prometheus: its own parser reads them, and they are the lake's and the history's."""

import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.metrics import NAMES, Sample, exposition
from tests.outside.recording import record_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parser = pytest.importorskip("prometheus_client.parser")
    families = list(parser.text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def mora(*arguments: str) -> str:
    ended = CliRunner().invoke(main, list(arguments))
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_labels_and_helps_with_every_kind_of_character_come_back() -> None:
    odd = 'a "quoted" \\ back\nnew'
    text = exposition([Sample("m", 0.1, {"x": odd}), Sample("m", 3, {"x": "b"})], {"m": odd, "unused": "no"})
    assert parsed(text) == {("m", (("x", odd),)): 0.1, ("m", (("x", "b"),)): 3.0}
    assert "unused" not in text


def test_a_home_with_a_run_has_its_figures(mora_home: Path, commit: Any, write_region: Any) -> None:
    write_region("town")
    for dataset, rows in (("cells", 7), ("edges", 40), ("quarantine/edges", 2), ("quarantine/text_cells", 3)):
        commit(dataset, "town", rows)
    commit("embeddings", "town", 7)
    record_run(seconds=12.5)
    figures = parsed(mora("metrics"))
    town = ("region", "town")
    assert figures["mora_region_cells", (town,)] == 7
    assert figures["mora_region_edges", (town,)] == 40
    assert figures["mora_region_bad_rows", (town,)] == 5
    assert figures["mora_dataset_rows", (("dataset", "embeddings"), town)] == 7
    assert 0 <= figures["mora_region_embeddings_age_seconds", (town,)] < 60
    assert figures["mora_region_last_run_success", (town,)] == 1
    assert figures["mora_step_seconds", (town, ("step", "edges"))] == 12.5
    assert figures["mora_step_peak_memory_bytes", (town, ("step", "edges"))] == 2**29
    assert figures["mora_region_disk_bytes", (town, ("what", "lake"))] > 0
    assert figures["mora_daemon_up", ()] == 0
    assert figures["mora_history_readable", ()] == 1
    assert abs(figures["mora_collected_timestamp_seconds", ()] - time.time()) < 60
    assert {name for name, _ in figures} <= set(NAMES)


def test_a_damaged_history_or_dataset_costs_only_its_own_figures(
    mora_home: Path, commit: Any, write_region: Any
) -> None:
    write_region("town")
    commit("edges", "town")
    commit("cells", "town")
    (mora_home / "lake" / "cells" / "region=town" / "current.json").write_text("{")
    history = mora_home / "dagster" / "history"
    history.mkdir(parents=True)
    (history / "runs.db").write_bytes(b"no database" * 100)
    figures = parsed(mora("metrics"))
    assert figures["mora_history_readable", ()] == 0
    assert figures["mora_dataset_damaged", (("dataset", "cells"), ("region", "town"))] == 1
    assert figures["mora_region_edges", (("region", "town"),)] == 3
    assert ("mora_region_cells", (("region", "town"),)) not in figures


def test_the_daemon_writes_the_file_that_everybody_may_read(
    mora_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mora_pipeline.defs.figures import metrics_file

    def tick() -> str:
        with dg.instance_for_test() as instance, dg.build_sensor_context(instance) as context:
            return str(metrics_file(context).skip_message)

    assert tick() == "MORA_METRICS_FILE is not set."
    file = tmp_path / "mora.prom"
    monkeypatch.setenv("MORA_METRICS_FILE", str(file))
    assert tick() == f"Wrote {file}."
    assert parsed(file.read_text())["mora_disk_free_bytes", ()] > 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert mora("metrics", "--write", str(file)) == ""
    wrong = CliRunner().invoke(main, ["metrics", "--write", str(tmp_path / "no" / "mora.prom")])
    assert (wrong.exit_code, "cannot be written" in wrong.stderr) == (2, True)


def test_the_endpoint_answers_on_the_loopback_address(mora_home: Path) -> None:
    import threading

    from mora_pipeline.commands.metrics import server

    with server(0) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_port}"
        assert listening.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert parsed(answer.read().decode())
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address, timeout=30)
        listening.shutdown()


def test_the_page_lists_every_figure_with_its_meaning_and_no_other() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `mora_")]
    listed = {row[1].strip().strip("`"): row[3].strip() for row in rows}
    assert listed == {name: meaning.rstrip(".") for name, meaning in NAMES.items()}
