"""Shows what a region's files were understood to be."""

from typing import TYPE_CHECKING

from mora_pipeline.region.geography import text_map
from mora_pipeline.region.understanding import Understanding

if TYPE_CHECKING:
    from rich.console import Console

    from mora_pipeline.region.samples import TableSample


def show(understanding: Understanding, terminal: "Console") -> None:
    """Print a table of the sources, what they say of how they are written, a map, what matches, and warnings."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("source", "files", "size", "sampled", "bad", "apart", box=None, pad_edge=False)
    for sample in understanding.samples:
        table.add_row(*map(escape, _row(sample)))
    terminal.print(table)
    for sample in understanding.samples:
        for line in _lines(sample):
            terminal.print(escape(f"  {sample.table.key}: {line}"))
    if understanding.box is not None:
        terminal.print(f"\nPoints: {understanding.box}; the sample is in {understanding.cells:,} cells.")
        for line in text_map(understanding.points):
            terminal.print(escape(f"  |{line}"))
    for match in understanding.matches:
        terminal.print(escape(f"{match.key}: {match.matched:,} of {match.of:,} {match.what}"))
        for remark in match.remarks:
            terminal.print(escape(f"  {match.key}: {remark}"))
    for warning in understanding.warnings:
        terminal.print(f"[yellow]Warning:[/yellow] {escape(warning)}")


def _row(sample: "TableSample") -> list[str]:
    apart = sum(sample.counts[reason].rows for reason in sample.apart if reason in sample.counts)
    bad = sum(count.rows for count in sample.bad.values())
    rows = f"{sample.rows:,} rows" + (" (all)" if sample.every else "")
    share = f"{bad:,} ({bad / sample.rows:.2%})" if bad else "0"
    return [sample.table.key, f"{sample.files:,}", _size(sample.bytes), rows, share, f"{apart:,}"]


def _lines(sample: "TableSample") -> list[str]:
    """What was found of a source, its bad rows by reason with an example, and those apart."""
    lines = list(sample.remarks)
    for reason, count in sorted(sample.bad.items(), key=lambda item: -item[1].rows):
        lines.append(f"bad, {reason}: {count.rows:,}, such as {sample.examples[reason]}")
    for reason in sorted(sample.apart & sample.counts.keys()):
        lines.append(f"apart, {reason}: {sample.counts[reason].rows:,}, such as {sample.examples[reason]}")
    return lines


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
