"""The report holds every number of the benchmark, and needs nothing but itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from mora_pipeline import schemas
from mora_pipeline.evaluation.report import markdown_table, write_report

PNG = b"\x89PNG\r\n\x1a\nnot really"


@pytest.fixture
def benchmark() -> pa.Table:
    rows = []
    for at, (method, task) in enumerate((m, t) for m in ("MoRA", "LINE <raw>") for t in ("income", "crime|rate")):
        for split in ("random", "blocked"):
            for model in ("lightgbm" if task == "income" else "pooled_ridge", "ridge"):
                r2 = 0.9 - 0.1 * at - (0.35 if split == "blocked" else 0) - (0.013 if model == "ridge" else 0)
                row = {"method": method, "task": task, "split": split, "seed": 42, "model": model, "n": 10, "rmse": 1.0}
                rows.append({**row, "r2": r2})
    return pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)


class Page(HTMLParser):
    """Checks that tags close, and collects texts and what the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_holds_every_score_and_fetches_nothing(benchmark: pa.Table, tmp_path: Path) -> None:
    details = {"cells": 22965, "distilled encoder": {"held-out R²": 0.51234}, "versions": {"embeddings": "2026-x"}}
    path = write_report(tmp_path / "report", "test_city", benchmark, details, {"the map": PNG})
    page = Page()
    page.feed(path.read_text())
    assert page.open == []
    for score in benchmark["r2"].to_pylist():
        assert f"{score:.3f}" in page.texts
    assert {"22,965", "0.5123", "2026-x", "the map", "LINE <raw>"} <= set(page.texts)
    assert len(page.links) == 1
    assert page.links[0].startswith("data:image/png;base64,")
    assert "http" not in path.read_text()
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert markdown_table(benchmark) in markdown
    assert "distilled encoder: held-out R²: 0.5123" in markdown


def test_the_markdown_table_is_methods_by_tasks_with_the_best_in_bold(benchmark: pa.Table) -> None:
    lines = markdown_table(benchmark).splitlines()
    assert [line for line in lines if line.startswith("**R²")] == [
        "**R², random split (published protocol)**", "**R², blocked folds**",
        "**R², linear probe, random split**", "**R², linear probe, blocked folds**",
    ]  # fmt: skip
    assert lines[2] == "| method | income | crime\\|rate\\* | mean |"
    assert lines[4] == "| MoRA | **0.900** | **0.800** | **0.850** |"
    assert lines[5] == "| LINE <raw> | 0.700 | 0.600 | 0.650 |"
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines if line.startswith("|"))
    assert "few groups: ridge" in lines[-1]


def test_several_seeds_show_their_deviation_and_skipped_trials_a_dash() -> None:
    base = {"method": "m", "split": "random", "model": "lightgbm", "n": 10, "rmse": 1.0}
    rows = [
        {**base, "task": "a", "seed": 1, "r2": 0.5},
        {**base, "task": "a", "seed": 2, "r2": 0.7},
        {**base, "task": "b", "seed": 1, "r2": None},
        {**base, "task": "b", "seed": 2, "r2": None},
    ]
    reasons = '[{"task": "b", "split": "random", "model": "lightgbm", "reason": "every label is 3"}]'
    table = pa.Table.from_pylist(rows, schema=schemas.BENCHMARK.with_metadata({"skipped": reasons}))
    text = markdown_table(table)
    assert "| m | 0.600 ± 0.141 | – | 0.600 |" in text
    assert "- b, random, lightgbm: every label is 3" in text


def test_a_region_without_tasks_has_a_report_too(tmp_path: Path) -> None:
    path = write_report(tmp_path, "empty", schemas.BENCHMARK.empty_table(), {}, {})
    assert "No task was judged" in path.read_text()
    assert "No task was judged" in markdown_table(schemas.BENCHMARK.empty_table())
