"""Puts the report together: what the benchmark says first, then the tables, the pictures and how it was made."""

import html
from pathlib import Path

import pandas as pd

from mora_pipeline.contract.files import replace_file
from mora_pipeline.evaluation.protocol.regressors import PROBE
from mora_pipeline.evaluation.protocol.run import skipped_trials
from mora_pipeline.evaluation.protocol.trials import BLOCKED
from mora_pipeline.evaluation.report.ablation_part import ablation_figures, ablation_note
from mora_pipeline.evaluation.report.charts import forest, predicted_against_true
from mora_pipeline.evaluation.report.claims import CLAIMS, claim_sentences
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.heat_map import heat_map
from mora_pipeline.evaluation.report.markdown import escaped, markdown_report, notes, plain_markdown
from mora_pipeline.evaluation.report.page import (
    facts_table,
    figures,
    folded,
    listed,
    page,
    paragraph,
    picture,
    plain_table,
    score_table,
    section,
)
from mora_pipeline.evaluation.report.residual_map import residual_map
from mora_pipeline.evaluation.report.summary import SINGLY, Comparison, caveats, comparisons, summary_table
from mora_pipeline.evaluation.report.tables import MODELS, RMSE, score_tables, sections, split_title
from mora_pipeline.evaluation.report.task_part import task_notes, task_table
from mora_pipeline.evaluation.report.words import flat_facts, protocol_words


def write_report(folder: Path, data: ReportData) -> Path:
    """Write report.html, which needs no other file and no network, and report.md.

    Returns:
        The path of report.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    protocol = "\n".join(f"- {sentence}" for sentence in protocol_words(data.parameters))
    lines = [f"- {escaped(label)}: {escaped(value)}" for label, value in _facts(data).items()]
    parts = [
        f"# {data.region}",
        markdown_report(data),
        *(["## Tasks", plain_markdown(*task_table(data.tasks, data.scores))] if data.tasks else []),
        *task_notes(data.tasks),
        f"## Protocol\n\n{protocol}",
        "## Details\n\n" + "\n".join(lines),
    ]
    replace_file(folder / "report.md", "\n\n".join(parts) + "\n")
    replace_file(folder / "report.html", report_html(data))
    return folder / "report.html"


def report_html(data: ReportData) -> str:
    """The page, self-contained."""
    tables = score_tables(data.scores, data.published, data.leaks)
    errors = score_tables(data.scores, leaks=data.leaks, measure=RMSE)
    found = comparisons(data.intervals, data.leaks)
    main = [item for item in found if (item.split, item.model) == (found[0].split, found[0].model)]
    drawn = [item for item in found if item.model != PROBE] or found
    parts = [
        f"<h1>{html.escape(data.region)}</h1>",
        section(
            "Summary",
            listed([item.sentence() for item in main]),
            plain_table(*summary_table(found)),
            *map(paragraph, caveats(found)),
        ),
        section(CLAIMS, listed(claim_sentences(data.intervals, data.details, data.leaks))),
        section(
            "How far from the best baseline",
            figures({_title(item): forest(item) for item in drawn}),
            paragraph(SINGLY) if any(item.by_cells for item in drawn) else "",
        ),
        section("Tasks", plain_table(*task_table(data.tasks, data.scores)), *map(paragraph, task_notes(data.tasks))),
        section("R², task by method", *_heat_maps(data)),
        section(
            "All scores",
            *map(score_table, tables),
            *map(paragraph, notes(data.scores, tables)),
            folded("RMSE, in the unit of each label as transformed; the lowest is bold", *map(score_table, errors)),
        ),
        section(
            "Ablations",
            paragraph(ablation_note(data.ablations)),
            figures(ablation_figures(data.ablations, data.ablation_kinds)),
        ),
        section("Predicted against true", figures(_pairs(data))),
        section("Where it errs", figures(_maps(data))),
        section("Map", *(picture(caption, png) for caption, png in data.pictures.items())),
        section("Protocol", listed(protocol_words(data.parameters))),
        section("Details", facts_table(_facts(data))),
    ]
    if not tables:
        parts.insert(1, paragraph("No task was judged."))
    return page(data.region, parts)


def _title(comparison: Comparison) -> str:
    return f"{comparison.method}: {comparison.title}"


def _heat_maps(data: ReportData) -> list[str]:
    """One for each split that is not few-shot or transfer; the first model of each."""
    frame = data.scores.to_pandas()
    found, seen = [], set()
    for split, model, rows in sections(frame):
        if split in ("random", BLOCKED) or split.startswith("by_"):
            if split not in seen and rows["r2"].notna().any():
                found.append(f"<h3>{html.escape(split_title(split))}, {MODELS[model]}</h3>{heat_map(rows, data.leaks)}")
            seen.add(split)
    return found


def _main_rows(data: ReportData) -> list[tuple[str, pd.DataFrame]]:
    """Predictions of the first method by caption: what the benchmark is about."""
    frame = data.predictions.to_pandas()
    if not len(frame):
        return []
    own = frame[frame["method"] == frame["method"].iloc[0]]
    return [
        (f"{task} ({method}, {split_title(split)})", rows)
        for (task, method, split), rows in own.groupby(["task", "method", "split"], sort=False)
    ]


def _pairs(data: ReportData) -> dict[str, str]:
    return {
        caption: predicted_against_true(rows["truth"].to_numpy(), rows["predicted"].to_numpy())
        for caption, rows in _main_rows(data)
    }


def _maps(data: ReportData) -> dict[str, str]:
    return {
        caption: residual_map(rows["cell"].to_numpy(), rows["truth"].to_numpy(), rows["predicted"].to_numpy())
        for caption, rows in _main_rows(data)
    }


def _facts(data: ReportData) -> dict[str, str]:
    told = {
        "seeds": data.parameters.seeds,
        "not judged": len(skipped_trials(data.scores)),
        **data.details,
        **({"ablations": data.ablation_facts} if data.ablation_facts else {}),
    }
    return flat_facts(told)
