"""The report as one HTML page: tables and pictures inside it, nothing fetched, readable on a phone and printed."""

import base64
import html
from collections.abc import Mapping, Sequence

from mora_pipeline.evaluation.score_tables import ScoreTable


def report_page(
    title: str,
    tables: Sequence[ScoreTable],
    notes: Sequence[str],
    protocol: Sequence[str],
    facts: Mapping[str, str],
    pictures: Mapping[str, bytes],
) -> str:
    """The whole page.

    Args:
        title: heading, such as the region's name.
        tables: tables of scores.
        notes: what to know about them; a line each, or several.
        protocol: sentences.
        facts: texts by label.
        pictures: PNG by caption.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    parts += [_table(table) for table in tables] or ["<p>No task was judged.</p>"]
    parts += [_note(note) for note in notes]
    parts += [_picture(caption, png) for caption, png in pictures.items()]
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in protocol)
    parts.append(f"<h2>Protocol</h2><ul>{sentences}</ul>")
    if facts:
        rows = "".join(
            f"<tr><th>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>" for label, value in facts.items()
        )
        parts.append(f'<h2>Details</h2><div class="wide"><table class="facts">{rows}</table></div>')
    return _TEMPLATE.format(title=html.escape(title), body="\n".join(parts))


def _table(table: ScoreTable) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.head)
    rows = []
    for row, best in zip(table.body, table.best, strict=True):
        scores = [f"<td{' class=best' if at in best else ''}>{text}</td>" for at, text in enumerate(row[1:])]
        rows.append(f"<tr><th>{html.escape(row[0])}</th>{''.join(scores)}</tr>")
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{html.escape(table.title)}</h2><div class="wide">{inner}</div>'


def _note(note: str) -> str:
    lines = [html.escape(line) for line in note.splitlines()]
    return f"<p>{'<br>'.join(lines)}</p>"


def _picture(caption: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    text = html.escape(caption, quote=True)
    return f'<figure><img src="data:image/png;base64,{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: MoRA benchmark</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 70rem; color: #1a1a1a;
  background: #fff; overflow-wrap: anywhere; }}
h1 {{ margin: 0 0 1rem; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
th, td {{ padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }}
tr > th:first-child {{ text-align: left; position: sticky; left: 0; background: #fff; }}
thead th {{ border-bottom: 2px solid #888; }}
td.best {{ font-weight: 700; }}
.facts td, .facts th {{ text-align: left; white-space: normal; font-weight: 400; vertical-align: top; }}
.facts td {{ overflow-wrap: anywhere; }}
figure {{ margin: 2rem 0; }}
img {{ max-width: 100%; height: auto; }}
figcaption {{ color: #555; font-size: .9rem; }}
@media print {{ body {{ padding: 0; }} .wide {{ overflow: visible; }} table {{ font-size: .7rem; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
