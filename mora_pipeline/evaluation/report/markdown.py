"""A benchmark as Markdown: what the terminal, Dagster and docs/ show."""

import re

import pyarrow as pa

from mora_pipeline.evaluation.protocol import skipped_trials
from mora_pipeline.evaluation.report.summary import caveats, comparisons
from mora_pipeline.evaluation.report.tables import ScoreTable, score_tables
from mora_pipeline.region import Published


def markdown_report(benchmark: pa.Table, intervals: pa.Table | None = None, published: Published | None = None) -> str:
    """What the benchmark says in sentences, then methods × tasks, R², a table for each split and model."""
    tables = score_tables(benchmark, published)
    if not tables:
        return "No task was judged: region.yaml declares none, or no method was given.\n"
    found = comparisons(intervals) if intervals else []
    sentences = [f"- {escaped(item.sentence())}" for item in found]
    parts = ["\n".join(sentences)] if sentences else []
    parts += [*caveats(found), *(f"**{escaped(table.title)}**\n\n{_markdown(table)}" for table in tables)]
    return "\n\n".join([*parts, *map(_lines_escaped, notes(benchmark, tables))]) + "\n"


def notes(benchmark: pa.Table, tables: list[ScoreTable]) -> list[str]:
    """What marks in the tables mean, and what could not be judged."""
    found = list(dict.fromkeys(table.note for table in tables if table.note))
    skipped = skipped_trials(benchmark)
    if skipped:
        lines = ["- {task}, {split}, {model}: {reason}".format(**item) for item in skipped]
        found.append("Not judged:\n" + "\n".join(lines))
    return found


def _markdown(table: ScoreTable) -> str:
    lines = ["| " + " | ".join(map(escaped, table.head)) + " |", "|---" + "|---:" * (len(table.head) - 1) + "|"]
    for row, best in zip(table.body, table.best, strict=True):
        scores = [f"**{text}**" if at in best else text for at, text in enumerate(row[1:])]
        lines.append("| " + " | ".join([escaped(row[0]), *scores]) + " |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """One line of Markdown that shows the text as it is."""
    return re.sub(r"([\\*|<`\[])", r"\\\1", " ".join(text.splitlines()))


def _lines_escaped(text: str) -> str:
    return "\n".join(map(escaped, text.splitlines()))
