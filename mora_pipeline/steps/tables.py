"""Small tables in Markdown, as steps show them."""

from collections.abc import Iterable, Mapping, Sequence

from mora_pipeline.steps.results import Markdown


def markdown_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    """A table; "none" without rows."""
    body = list(rows)
    lines = [header, ["---"] * len(header), *body]
    text = "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
    return Markdown(text if body else "none")


def count_table(what: str, counts: Mapping[str, int]) -> Markdown:
    """Counts by name, largest first."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return markdown_rows([what, "rows"], [(name, f"{count:,}") for name, count in rows])


def coverage_table(rows: Iterable[tuple[str, int, int, object]]) -> Markdown:
    """How many of a region's cells each modality has.

    Args:
        rows: name of the modality, its cells, all cells, and the length of its vectors.
    """
    shown = [
        (name, f"{own:,}", f"{own / max(1, all_cells):.1%}", dimension) for name, own, all_cells, dimension in rows
    ]
    return markdown_rows(["modality", "cells", "share of all cells", "dimension"], shown)
