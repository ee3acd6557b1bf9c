"""The frame of the report's page: one file, nothing fetched, readable at 360 pixels and printed."""

import base64
import html
from collections.abc import Mapping, Sequence

from mora_pipeline.evaluation.report.tables import ScoreTable


def page(title: str, sections: Sequence[str]) -> str:
    """The whole page of sections of HTML."""
    return _TEMPLATE.format(title=html.escape(title), body="\n".join(sections))


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it; empty without parts."""
    return f"<section><h2>{html.escape(title)}</h2>{''.join(parts)}</section>" if any(parts) else ""


def paragraph(text: str) -> str:
    """A paragraph; line breaks stay."""
    return f"<p>{'<br>'.join(html.escape(line) for line in text.splitlines())}</p>"


def breakable(name: str) -> str:
    """A name that a narrow column may break after an underscore."""
    return html.escape(name).replace("_", "_<wbr>")


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list."""
    return f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in sentences)}</ul>" if sentences else ""


def score_table(table: ScoreTable) -> str:
    """A table of scores under its title; the best of a column is bold."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.head)
    rows = []
    for row, best in zip(table.body, table.best, strict=True):
        scores = [f"<td{' class=best' if at in best else ''}>{text}</td>" for at, text in enumerate(row[1:])]
        rows.append(f"<tr><th>{html.escape(row[0])}</th>{''.join(scores)}</tr>")
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h3>{html.escape(table.title)}</h3><div class="wide">{inner}</div>'


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; nothing without rows."""
    if not rows:
        return ""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr><th>{html.escape(row[0])}</th>{''.join(f'<td>{html.escape(text)}</td>' for text in row[1:])}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table class="words"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def folded(title: str, *parts: str) -> str:
    """What is shown only when its title is pressed; empty without parts."""
    return f"<details><summary>{html.escape(title)}</summary>{''.join(parts)}</details>" if any(parts) else ""


def facts_table(facts: Mapping[str, str]) -> str:
    """Texts by label."""
    rows = "".join(
        f"<tr><th>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>" for label, value in facts.items()
    )
    return f'<div class="wide"><table class="facts">{rows}</table></div>' if rows else ""


def figure(caption: str, drawing: str) -> str:
    """A drawing under its caption."""
    return f"<figure><h3>{html.escape(caption)}</h3>{drawing}</figure>"


def figures(drawings: Mapping[str, str]) -> str:
    """Drawings by caption, side by side where there is room."""
    return f'<div class="figures">{"".join(figure(*item) for item in drawings.items())}</div>' if drawings else ""


def picture(caption: str, png: bytes) -> str:
    """A PNG inside the page."""
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
* {{ box-sizing: border-box; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 70rem; color: #1a1a1a;
  background: #fff; overflow-wrap: anywhere; -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
h1 {{ margin: 0 0 1rem; }}
h2 {{ font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid #ccc; }}
h3 {{ font-size: 1rem; margin: 1.2rem 0 .4rem; }}
li {{ margin: .3rem 0; }}
ul {{ padding-left: 1.2rem; }}
.wide {{ overflow-x: auto; }}
summary {{ cursor: pointer; margin: 1rem 0 .4rem; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
th, td {{ padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }}
tr > th:first-child {{ text-align: left; position: sticky; left: 0; background: #fff; }}
thead th {{ border-bottom: 2px solid #888; }}
td.best {{ font-weight: 700; }}
.words td, .words th {{ text-align: left; }}
.heat td {{ text-align: center; border: 1px solid #fff; }}
.facts td, .facts th {{ text-align: left; white-space: normal; font-weight: 400; vertical-align: top; }}
.facts td {{ overflow-wrap: anywhere; }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem 2rem; }}
figure {{ margin: 0; max-width: 44rem; break-inside: avoid; }}
.chart {{ width: 100%; max-width: 34rem; height: auto; display: block; }}
.chart text {{ font: 11px system-ui, sans-serif; fill: #333; }}
img {{ max-width: 100%; height: auto; }}
figcaption {{ color: #555; font-size: .85rem; }}
@media (max-width: 30rem) {{ th, td {{ padding: .25rem .4rem; }} table {{ font-size: .8rem; }}
  tr > th:first-child {{ min-width: 6.5rem; max-width: 8rem; white-space: normal; overflow-wrap: break-word; }} }}
@media print {{ body {{ padding: 0; font-size: 12px; max-width: none; }} .wide {{ overflow: visible; }}
  table {{ font-size: .6rem; width: 100%; }} th, td {{ padding: .1rem .2rem; white-space: normal; }}
  th {{ overflow-wrap: anywhere; }}
  tr > th:first-child {{ position: static; overflow-wrap: normal; }} h2, h3 {{ break-after: avoid; }}
  tr {{ break-inside: avoid; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
