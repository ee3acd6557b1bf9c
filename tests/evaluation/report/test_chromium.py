"""The page in a real browser: nothing is fetched, and a phone shows it without sideways scrolling."""

import html
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.page import report_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# The page stands in a frame of the width of a phone; what is measured becomes the document's title.
FRAME = """<!doctype html><title></title>
<iframe style="width:{width}px;height:2000px;border:0" srcdoc="{page}"></iframe>
<script>addEventListener("load", () => {{
  const frame = document.querySelector("iframe").contentWindow, page = frame.document, root = page.documentElement;
  const charts = [...page.querySelectorAll("svg.chart")].map(chart => chart.getBoundingClientRect());
  document.title = JSON.stringify({{
    width: root.scrollWidth, charts: charts.length, empty: charts.filter(box => box.width < 100 || !box.height).length,
    fetched: frame.performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length,
    scripts: page.scripts.length,
    text: parseFloat(getComputedStyle(page.body).fontSize),
  }});
}});</script>"""


def chromium(tmp_path: Path, *arguments: str) -> str:
    """What a headless Chromium prints."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("width", [360, 1100])
def test_a_screen_of_any_width_shows_the_whole_report(whole: ReportData, tmp_path: Path, width: int) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(report_html(whole), quote=True)))
    shown = chromium(
        tmp_path, "--dump-dom", "--virtual-time-budget=5000", f"--window-size={width + 40},1200", frame.as_uri()
    )
    told = json.loads(html.unescape(shown.split("<title>", 1)[1].split("</title>", 1)[0]))
    assert told["width"] <= width
    assert told["charts"] >= 8
    assert told["empty"] == 0
    assert told["fetched"] == 0
    assert told["scripts"] == 0
    assert told["text"] >= 14


def test_it_prints(whole: ReportData, tmp_path: Path) -> None:
    page, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(report_html(whole))
    chromium(tmp_path, f"--print-to-pdf={printed}", "--no-pdf-header-footer", page.as_uri())
    content = printed.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") + content.count(b"/Type/Page") >= 2
