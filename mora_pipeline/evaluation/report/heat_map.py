"""Task by method at a glance: each R² as a coloured cell."""

from collections.abc import Collection

import pandas as pd

from mora_pipeline.evaluation.report.page import breakable
from mora_pipeline.evaluation.report.tables import MISSING, leak_marked


def heat_map(rows: pd.DataFrame, leaks: Collection[str] = ()) -> str:
    """An HTML table, tasks down and methods across; darker is better.

    Args:
        rows: `schemas.BENCHMARK` of one split and model.
        leaks: tasks whose label may leak; they are marked.
    """
    methods, tasks = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["task"]))
    mean = rows.groupby(["task", "method"])["r2"].mean().unstack().reindex(index=tasks, columns=methods)
    head = "".join(f"<th>{breakable(name)}</th>" for name in methods)
    body = "".join(
        f"<tr><th>{breakable(leak_marked(task, leaks))}</th>{''.join(_cell(value) for value in mean.loc[task])}</tr>"
        for task in tasks
    )
    table = f'<table class="heat"><thead><tr><th>task</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide">{table}</div>'


def _cell(value: float) -> str:
    if pd.isna(value):
        return f"<td>{MISSING}</td>"
    strength = min(max(value, 0.0), 1.0)
    ink = "#fff" if strength > 0.55 else "#1a1a1a"
    return f'<td style="background:rgba(8,81,156,{strength:.2f});color:{ink}">{value:.2f}</td>'
