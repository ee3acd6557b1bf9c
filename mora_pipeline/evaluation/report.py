"""The benchmark for people: Markdown tables, and one self-contained page with tables and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from mora_pipeline.evaluation.page import report_page
from mora_pipeline.evaluation.protocol import skipped_trials
from mora_pipeline.evaluation.score_tables import MISSING, ScoreTable, score_tables
from mora_pipeline.files import replace_file

PROTOCOL = (
    "Random split: LightGBM (learning rate .05, depth 7, 1000 trees unless configured otherwise) on 80 % of the "
    "labels, scored on the other 20 %.",
    "Blocked folds: no H3 parent, three levels up, has labels on both sides; scored on the pooled predictions of all "
    "folds, so that a method gains nothing from knowing its neighbours' labels.",
    "Linear probe: ridge on standardised vectors; its penalty is chosen by leave-one-out error on the fit rows.",
    f"Bold is the best of a column. The mean is over the tasks that every method has a score for. {MISSING} is a task "
    "that could not be judged.",
)


def markdown_table(benchmark: pa.Table) -> str:
    """The benchmark as Markdown: methods × tasks, R²; random split, blocked folds, then the linear probe."""
    tables = score_tables(benchmark)
    if not tables:
        return "No task was judged: region.yaml declares none, or no method was given.\n"
    parts = [f"**{table.title}**\n\n{_markdown(table)}" for table in tables]
    return "\n\n".join([*parts, *map(_escaped_star, _notes(benchmark, tables))]) + "\n"


def _markdown(table: ScoreTable) -> str:
    lines = ["| " + " | ".join(map(_escaped, table.head)) + " |", "|---" + "|---:" * (len(table.head) - 1) + "|"]
    for row, best in zip(table.body, table.best, strict=True):
        scores = [f"**{text}**" if at in best else text for at, text in enumerate(row[1:])]
        lines.append("| " + " | ".join([_escaped(row[0]), *scores]) + " |")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return _escaped_star(text).replace("|", "\\|")


def _escaped_star(text: str) -> str:
    return text.replace("*", "\\*")


def _notes(benchmark: pa.Table, tables: list[ScoreTable]) -> list[str]:
    notes = list(dict.fromkeys(table.note for table in tables if table.note))
    skipped = skipped_trials(benchmark)
    if skipped:
        lines = ["- {task}, {split}, {model}: {reason}".format(**item) for item in skipped]
        notes.append("Not judged:\n" + "\n".join(lines))
    return notes


def write_report(
    folder: Path,
    region: str,
    benchmark: pa.Table,
    details: Mapping[str, Any] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> Path:
    """Write report.html, which needs no other file and no network, and report.md.

    Args:
        folder: where; made if missing.
        region: the region's name.
        benchmark: `schemas.BENCHMARK`.
        details: what else the reader should know, by label: numbers, texts, or mappings of these (cells, versions,
            seeds, scores of the distilled encoder).
        pictures: PNG by caption.

    Returns:
        The path of report.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = _flat(details or {})
    lines = [f"- {label}: {value}" for label, value in facts.items()]
    protocol = "\n".join(f"- {sentence}" for sentence in PROTOCOL)
    sections = [f"# {region}", markdown_table(benchmark), f"## Protocol\n\n{protocol}"]
    if lines:
        sections.append("## Details\n\n" + "\n".join(lines))
    replace_file(folder / "report.md", "\n\n".join(sections) + "\n")
    tables = score_tables(benchmark)
    page = report_page(region, tables, _notes(benchmark, tables), PROTOCOL, facts, pictures or {})
    replace_file(folder / "report.html", page)
    return folder / "report.html"


def _flat(details: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    facts: dict[str, str] = {}
    for label, value in details.items():
        if isinstance(value, Mapping):
            facts.update(_flat(value, f"{prefix}{label}: "))
        else:
            facts[f"{prefix}{label}"] = _shown(value)
    return facts


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: MISSING}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple | set):
        return ", ".join(str(item) for item in value)
    return str(value)
