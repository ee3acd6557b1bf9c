"""A benchmark as Markdown: what the terminal, Dagster and docs/ show."""

import re
from collections.abc import Sequence

import pyarrow as pa

from mora_pipeline.evaluation.protocol.scores import skipped_trials
from mora_pipeline.evaluation.report.claims import CLAIMS, claim_sentences
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.opening import opening_sentence
from mora_pipeline.evaluation.report.summary import caveats, comparisons, headline
from mora_pipeline.evaluation.report.tables import ScoreTable, score_tables


def markdown_report(data: ReportData) -> str:
    """One sentence and the table that it is of, then comparisons in words, then a table for each split and model."""
    metric = data.metrics[0]
    tables = score_tables(data.scores, data.reported_scores, data.leaks, metric, data.best_of_seeds)
    if not tables:
        return "No task was scored: region.yaml declares none, or no method was given.\n"
    compared = comparisons(data.intervals, data.leaks, metric)
    claims = claim_sentences(data.intervals, data.details, data.leaks)
    first, *others = [f"**{escaped(table.title)}**\n\n{_markdown(table)}" for table in tables]
    parts = [escaped(opening_sentence(data.scores, data.leaks, metric)), first]
    parts += [_bullets([item.sentence() for item in headline(compared)]), *caveats(compared)]
    parts += [f"**{CLAIMS}**", _bullets(claims)] if claims else []
    parts += others
    parts += map(_lines_escaped, notes(data.scores, tables))
    return "\n\n".join(filter(None, parts)) + "\n"


def notes(benchmark: pa.Table, tables: list[ScoreTable]) -> list[str]:
    """What marks in the tables mean, and what could not be scored."""
    shown = list(dict.fromkeys(table.note for table in tables if table.note))
    skipped = skipped_trials(benchmark)
    if skipped:
        lines = ["- {task}, {split}, {model}: {reason}".format(**item) for item in skipped]
        shown.append("Not scored:\n" + "\n".join(lines))
    return shown


def _markdown(table: ScoreTable) -> str:
    lines = ["| " + " | ".join(map(escaped, table.head)) + " |", "|---" + "|---:" * (len(table.head) - 1) + "|"]
    for row, best in zip(table.body, table.best, strict=True):
        scores = [f"**{text}**" if at in best else text for at, text in enumerate(row[1:])]
        lines.append("| " + " | ".join([escaped(row[0]), *scores]) + " |")
    return "\n".join(lines)


def plain_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; nothing without rows."""
    lines = ["| " + " | ".join(map(escaped, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) if rows else ""


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def escaped(text: str) -> str:
    """One line of Markdown that shows the text as it is."""
    return re.sub(r"([\\*|<`\[])", r"\\\1", " ".join(text.splitlines()))


def _lines_escaped(text: str) -> str:
    return "\n".join(map(escaped, text.splitlines()))
