"""The report holds every number of the benchmark, says what they mean, and needs nothing but itself."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE
from mora_pipeline.evaluation.ablation.run import GRAPH
from mora_pipeline.evaluation.protocol.metrics import RMSE
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.report.ablations import ablation_markdown, ablation_parts, effects
from mora_pipeline.evaluation.report.charts import MOST_HEXAGONS, coarsened, enlarged, residual_map
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.markdown import markdown_report
from mora_pipeline.evaluation.report.page import report_html, write_report
from mora_pipeline.evaluation.report.summary import comparisons
from mora_pipeline.evaluation.report.tables import score_tables, task_table

TASK = {
    "level": "cell", "path": "data/labels_*.csv", "column": "crimes", "transform": "log1p", "aggregate": "mean",
    "weight": None, "leaks_allowed": False,
}  # fmt: skip
VOID = ("meta", "img", "br", "wbr", "rect", "circle", "line", "polygon", "polyline")


class Page(HTMLParser):
    """Checks that tags close, and collects texts and what the page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def markdown_of(scores: pa.Table) -> str:
    return markdown_report(ReportData("test_city", scores, schemas.INTERVALS.empty_table()))


def test_the_page_holds_every_score_and_fetches_nothing(data: ReportData, tmp_path: Path) -> None:
    path = write_report(tmp_path / "report", data)
    page = Page(path.read_text())
    for score in data.scores["r2"].to_pylist():
        assert f"{score:.3f}" in page.texts
    assert {"22,965", "0.5123", "2026-x", "the map", "LINE <raw>"} <= set(page.texts)
    assert sum(link.startswith("data:image/png;base64,") for link in page.links) == 1 + 2  # the map, and two charts
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "http" not in path.read_text()
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert markdown_report(data) in markdown
    assert "distilled encoder: held-out R²: 0.5123" in markdown


def test_the_page_tells_seeds_and_protocol(data: ReportData) -> None:
    texts = " ".join(Page(report_html(data)).texts)
    for told in ("Seeds 42.", "1000 bootstrap resamples", "H3 parent", "1000 trees"):
        assert told in texts


def test_the_page_tells_the_folds_of_region_papers(data: ReportData) -> None:
    declared = {"region_papers_folds": 5, "region_papers_shuffled": True, "region_papers_seed": 7}
    parameters = BenchmarkParameters(
        protocols=["region_papers"],
        region_papers_positive_only=True,
        **declared,  # type: ignore[arg-type]
    )
    told = "Region papers: 5 folds in the order of the places, shuffled by seed 7; rows with a label above 0 alone."
    assert told in Page(report_html(replace(data, parameters=parameters))).texts
    assert not any(text.startswith("Region papers:") for text in Page(report_html(data)).texts)


def test_the_summary_comes_first_and_says_ahead_behind_or_undecided(data: ReportData) -> None:
    (found,) = comparisons(data.intervals)
    sentence = found.sentence()
    assert sentence == (
        "Blocked folds (H3 parents), fast LightGBM: mora is ahead of a task's best baseline in 1 of 2 tasks, behind in "
        "1, undecided in 0. Against LINE <raw>, the best over these tasks, the mean difference is +0.000 (−0.100 to "
        "+0.100): the two cannot be told apart."
    )
    opening = (
        "On whole blocks the embeddings explain 50 % of the variance of the 2 labels; their inputs were not scored "
    )
    texts = Page(report_html(data)).texts
    told = ("Summary", sentence, "R², blocked folds (H3 parents), fast LightGBM", "R², task by method", "All scores")
    found_in_order = [text for text in texts if text in told or text.startswith(opening)]
    assert found_in_order == ["Summary", found_in_order[1], *told[1:]]
    assert found_in_order[1].startswith(opening)
    worse = data.intervals.to_pandas()
    worse.loc[worse["task"] == "mean", ["difference_low", "difference_high"]] = [-0.3, -0.1]
    (found,) = comparisons(pa.Table.from_pandas(worse, schema=schemas.INTERVALS))
    assert found.sentence().endswith("+0.000 (−0.300 to −0.100): worse.")
    alone = worse[worse["task"] == "income"]
    (found,) = comparisons(pa.Table.from_pandas(alone, schema=schemas.INTERVALS))
    assert found.sentence().startswith("Blocked folds (H3 parents), fast LightGBM: mora is ahead of a task's best")
    assert any(text.startswith("Fast LightGBM replaces") for text in texts)


def test_the_summary_is_of_blocked_folds_and_boosting_whichever_task_comes_first(data: ReportData) -> None:
    frame = data.intervals.to_pandas()
    others = (("blocked", "linear_probe"), ("random", "lightgbm"), ("blocked", "pooled_ridge"))
    odd = pd.concat([*(frame.assign(split=split, model=model) for split, model in others), frame])
    found = comparisons(pa.Table.from_pandas(odd, schema=schemas.INTERVALS, preserve_index=False))
    judged = [(item.split, item.model) for item in found]
    assert judged == [("blocked", "lightgbm_fast"), ("blocked", "pooled_ridge"), *others[:2]]


def test_intervals_of_single_cells_are_marked_and_many_comparisons_told(data: ReportData) -> None:
    texts = Page(report_html(data)).texts
    assert not any("drawn singly" in text for text in texts)
    assert any("about 5 % of the 3 differences compared here" in text for text in texts)
    frame = data.intervals.to_pandas().assign(by_cells=True)
    singly = replace(data, intervals=pa.Table.from_pandas(frame, schema=schemas.INTERVALS))
    texts = Page(report_html(singly)).texts
    assert "+0.000 (−0.100 to +0.100) §" in texts
    assert {"income §", "crime|rate §", "mean §"} <= set(texts)  # of the forest
    assert any("(−0.100 to +0.100; cells drawn singly: too narrow): the two" in text for text in texts)
    assert any(text.startswith("§ cells drawn singly: too narrow.") for text in texts)
    (alone,) = comparisons(pa.Table.from_pandas(frame[frame["task"] == "income"], schema=schemas.INTERVALS))
    assert alone.sentence().endswith("undecided in 0 (cells drawn singly: too narrow).")


def test_every_rmse_is_on_the_page_folded_up_and_the_lowest_is_best(data: ReportData) -> None:
    frame = data.scores.to_pandas()
    frame["rmse"] = 1000.0 + np.arange(len(frame))
    told = replace(data, scores=pa.Table.from_pandas(frame, schema=schemas.BENCHMARK))
    texts = Page(report_html(told).split("<details>")[1].split("</details>")[0]).texts
    assert {f"{value:,.0f}" for value in frame["rmse"]} <= set(texts)
    assert "mean" not in texts  # tasks differ in unit
    first = score_tables(told.scores, metric=RMSE)[0]
    assert first.best == [{0, 1}, set()]


def test_a_label_that_may_leak_is_marked_and_in_no_mean(data: ReportData) -> None:
    told = replace(data, tasks={"income": {**TASK, "leaks_allowed": True}, "crime|rate": TASK})
    (first, *_) = score_tables(told.scores, leaks=told.leaks)
    assert first.head == ["method", "income ‡", "crime|rate*", "mean"]
    assert first.body[0] == ["mora", "0.550", "0.450", "0.450"]
    (found,) = comparisons(told.intervals, told.leaks)
    assert list(found.tasks["task"]) == ["crime|rate"]
    texts = Page(report_html(told)).texts
    assert "income ‡" in texts
    assert sum(text.startswith("‡ the label may leak") for text in texts) == 2  # below the tasks and below the scores


def test_a_split_that_nothing_could_be_judged_on_is_no_table_of_dashes(data: ReportData) -> None:
    none = data.scores.to_pandas().assign(split="few_shot_200", model="linear_probe", r2=np.nan, rmse=np.nan)
    scores = pa.concat_tables([data.scores, pa.Table.from_pandas(none, schema=schemas.BENCHMARK, preserve_index=False)])
    assert [table.title for table in score_tables(scores)] == [table.title for table in score_tables(data.scores)]


def test_the_tasks_are_a_table(data: ReportData, tmp_path: Path) -> None:
    dropped = {"no label": 7, "outside the cells": 1}
    known = {**TASK, "weight": "<people>", "labels": 1200, "dropped": dropped, "blocks": 9}
    told = replace(data, tasks={"crime|rate": known, "income": TASK})
    head, rows = task_table(told.tasks, told.scores)
    assert dict(zip(head, rows[0], strict=True)) == {
        "task": "crime|rate", "level": "cell", "label": "crimes of labels_*.csv", "transform": "log1p",
        "aggregate": "mean, weighted by <people>", "labels": "1,200", "dropped": "7 no label, 1 outside the cells",
        "blocks": "9", "may leak": "no",
    }  # fmt: skip
    assert rows[1][5:] == ["10", "–", "–", "no"]  # a benchmark of before: the scores know how many labels were tested
    page = write_report(tmp_path, told)
    assert "mean, weighted by <people>" in Page(page.read_text()).texts
    assert "| crime\\|rate | cell | crimes of labels_\\*.csv |" in (tmp_path / "report.md").read_text()


def test_every_part_is_drawn(whole: ReportData) -> None:
    page = Page(report_html(whole))
    texts = set(page.texts)
    assert {
        "Ablations",
        "Predicted against true",
        "Where it errs",
        "Scaling curve, blocked folds (H3 parents), fast LightGBM",
    } <= texts
    assert "−10.0 % (−12.2 %)" in texts
    assert {"HAFusion †", "0.734", "† their papers"} <= texts
    cells = len(np.unique(whole.predictions["cell"].to_numpy()))
    maps = report_html(whole).split("Where it errs")[1].split("</section>")[0]
    assert maps.count("stroke: #999999") == 2 * cells  # hexagons of both tasks of the first method


def test_residuals_are_means_on_at_most_so_many_hexagons(cells: pa.Table) -> None:
    numbers = cells["cell"].to_numpy()
    few, mean = coarsened(np.concatenate([numbers, numbers]), np.repeat([1.0, 3.0], len(numbers)))
    assert np.array_equal(few, numbers)
    assert (mean == 2).all()
    many = np.sort([child for cell in numbers.tolist() for child in h3.cell_to_children(cell, 8)])
    assert len(many) > MOST_HEXAGONS
    coarse, mean = coarsened(many, np.ones(len(many)))
    assert np.array_equal(coarse, numbers)
    assert (mean == 1).all()


def test_a_map_has_north_above_and_hexagons_not_squeezed_and_red_where_predictions_are_too_high() -> None:
    cells = np.sort(h3.grid_disk(h3.latlng_to_cell(60.2, 24.9, 7), 3)).astype(np.int64)  # a degree east is half as long
    latitude, longitude = np.array([h3.cell_to_latlng(int(cell)) for cell in cells]).T
    north = latitude - latitude.mean()
    svg = residual_map(cells, 0 * north, north).svg
    drawn = re.findall(r'<path d="(M[^"]+)"[^>]*fill: #(\w{6}); stroke: #999999', svg)
    assert len(drawn) == len(cells)
    corners = [np.array(re.findall(r"-?[\d.]+", path), dtype=float).reshape(-1, 2) for path, _ in drawn]
    x, y = np.array([own[:6].mean(axis=0) for own in corners]).T
    assert np.corrcoef(y, latitude)[0, 1] < -0.999  # y of SVG grows downwards
    assert np.corrcoef(x, longitude)[0, 1] > 0.99
    wide, tall = np.array([np.ptp(own, axis=0) for own in corners]).T
    degrees_tall, degrees_wide = np.array([np.ptp(h3.cell_to_boundary(int(cell)), axis=0) for cell in cells]).T
    np.testing.assert_allclose(wide / tall, degrees_wide * np.cos(np.radians(latitude)) / degrees_tall, rtol=0.01)
    shades = np.array([list(bytes.fromhex(colour)) for _, colour in drawn], dtype=float)
    redness = shades[:, 0] - shades[:, 2]
    assert redness[north.argmax()] > 50
    assert redness[north.argmin()] < -50
    assert np.corrcoef(redness, north)[0, 1] > 0.7


def test_hexagons_that_are_far_apart_are_drawn_larger_where_they_are(cells: pa.Table) -> None:
    shapes = [np.array(h3.cell_to_boundary(cell))[:, ::-1] for cell in cells["cell"].to_pylist()]
    placed, larger = enlarged(shapes)
    assert larger == 1
    assert all(np.allclose(own, shape) for own, shape in zip(placed, shapes, strict=True))
    few, larger = enlarged([shapes[0], shapes[60], shapes[-1]])
    assert larger > 1
    assert np.allclose(np.ptp(few[0], axis=0), larger * np.ptp(shapes[0], axis=0))
    assert np.allclose(few[0].mean(axis=0), shapes[0].mean(axis=0))


def test_equal_data_make_equal_pages_without_a_date(whole: ReportData) -> None:
    page = report_html(whole)
    assert report_html(whole) == page
    assert "<metadata" not in page
    assert "<!DOCTYPE svg" not in page


def test_the_markdown_table_is_methods_by_tasks_with_the_best_in_bold(benchmark: pa.Table) -> None:
    lines = markdown_of(benchmark).splitlines()
    assert [line for line in lines if line.startswith("**R²")] == [
        "**R², blocked folds (H3 parents), fast LightGBM**", "**R², blocked folds (H3 parents), linear probe**",
        "**R², random split, LightGBM with MoRA's settings**", "**R², random split, linear probe**",
    ]  # fmt: skip
    assert lines[0].startswith("On whole blocks the embeddings explain 50 % of the variance of the 2 labels")
    assert lines[4] == "| method | income | crime\\|rate\\* | mean |"
    assert lines[6] == "| mora | **0.550** | **0.450** | **0.500** |"
    assert lines[7] == "| LINE \\<raw> | 0.350 | 0.250 | 0.300 |"
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
    text = markdown_of(table)
    assert "| m | 0.600 ± 0.141 | – | 0.600 |" in text
    assert "- b, random, lightgbm: every label is 3" in text


def test_ablations_are_a_table_with_the_papers_effects_beside(ablations: pa.Table) -> None:
    text = ablation_markdown(ablations, {})
    assert "| variant | mean R² | change | 95 % interval | paper | verdict | income | crime\\|rate |" in text
    assert "| graph: neighbours | 0.450 | −10.0 % | −12.0 to −8.0 % | −12.2 % | holds | 0.450 | 0.450 |" in text
    assert "| base | 0.500 | +0.0 % |  |  |  | 0.500 | 0.500 |" in text
    assert "no interval knows of other seeds" in text
    named = ablations.replace_schema_metadata({GRAPH: "top 30 %"})
    assert "| base (top 30 %) | 0.500 |" in ablation_markdown(named, {})
    (part,) = ablation_parts(named, {})
    texts = {text for row in part.rows for text in row}
    assert {"base (top 30 %)", "−12.0 to −8.0 %", "holds"} <= texts


def test_ablations_say_how_far_another_seed_moves_the_base_and_mark_verdicts_within_that(ablations: pa.Table) -> None:
    assert "was not measured" in ablation_markdown(ablations, {})

    def with_seeds(*scores: float) -> str:
        frame = ablations.to_pandas()
        base = frame[frame["variant"] == BASE]
        seeds = [base.assign(family="seed", variant=f"seed: {at}", r2=r2) for at, r2 in enumerate(scores)]
        return ablation_markdown(pa.Table.from_pandas(pd.concat([frame, *seeds]), schema=schemas.ABLATIONS), {})

    told = "Further seeds moved the base's mean R² by up to 4.0 % (blocked folds (H3 parents), fast LightGBM)"
    assert told in with_seeds(0.51, 0.48)
    assert "| −12.2 % | holds |" in with_seeds(0.51, 0.48)
    assert "| −12.2 % | holds ° |" in with_seeds(0.51, 0.44)


def test_a_split_that_nothing_could_be_judged_on_is_left_out_of_the_ablations(ablations: pa.Table) -> None:
    frame = ablations.to_pandas()
    skipped = pa.Table.from_pandas(frame.assign(split="random", r2=None), schema=schemas.ABLATIONS)
    both = pa.concat_tables([skipped, ablations])
    assert ablation_markdown(both, {}) == ablation_markdown(ablations, {})
    assert [part.drawings.keys() for part in ablation_parts(both, {})] == [
        part.drawings.keys() for part in ablation_parts(ablations, {})
    ]
    assert ablation_parts(skipped, {}) == []
    partly = frame.assign(r2=frame["r2"].where(frame["variant"] != "cells: 50 %"))
    found = effects(pa.Table.from_pandas(partly, schema=schemas.ABLATIONS), {})
    assert list(found["variant"]) == [BASE, "graph: neighbours", "cells: 15 %"]


def test_ablations_average_no_two_models(ablations: pa.Table) -> None:
    linear = ablations.to_pandas()
    linear["model"], linear["r2"] = "linear_probe", linear["r2"] - 0.4
    found = effects(pa.concat_tables([ablations, pa.Table.from_pandas(linear, schema=schemas.ABLATIONS)]), {})
    base = found[found["variant"] == BASE].set_index("section")["r2"]
    assert base.to_dict() == pytest.approx(
        {"blocked folds (H3 parents), fast LightGBM": 0.5, "blocked folds (H3 parents), linear probe": 0.1}
    )


def test_names_are_shown_as_they_are_and_make_no_markup(data: ReportData) -> None:
    frame = data.scores.to_pandas()
    frame["method"] = frame["method"].replace("mora", "a`b\n<script>[x](y)")
    frame["split"] = frame["split"].replace("blocked", "by_<b>")
    odd = replace(data, region="<i>", scores=pa.Table.from_pandas(frame, schema=schemas.BENCHMARK))
    page = Page(report_html(odd))
    assert not {"script", "i", "b"} & set(page.seen)
    assert {"<i>", "folds of whole <b>, fast LightGBM"} <= set(page.texts)
    line = next(line for line in markdown_of(odd.scores).splitlines() if "script" in line)
    assert line.startswith("| a\\`b \\<script>\\[x](y) |")


def test_a_region_without_tasks_has_a_report_too(tmp_path: Path, data: ReportData) -> None:
    empty = {
        name: getattr(schemas, schema).empty_table()
        for name, schema in (("scores", "BENCHMARK"), ("intervals", "INTERVALS"), ("predictions", "PREDICTIONS"))
    }
    path = write_report(tmp_path, replace(data, **empty))
    assert "No task was scored" in path.read_text()
    assert "No task was scored" in markdown_of(schemas.BENCHMARK.empty_table())
