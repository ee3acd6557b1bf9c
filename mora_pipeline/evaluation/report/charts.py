"""Charts of the report as SVG: drawn for the width of a phone, sharp on paper, readable without a script."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.report.summary import AHEAD, BEHIND, Comparison, marked, signed, verdict_of
from mora_pipeline.evaluation.report.tables import MISSING, compact

WIDTH = 340
COLOURS = {AHEAD: "#1b7837", BEHIND: "#b2182b", "undecided": "#666"}
_ROW = 22
_LABEL = 132  # width of the names at the left
_BESIDE = 122  # width of the texts at the right of bars
_BINS = 36  # of predicted against true, each way
Floats = npt.NDArray[np.floating]


def forest(comparison: Comparison) -> str:
    """Differences to the best baseline with their intervals, a row a task."""
    rows = [(str(row["task"]), row) for _, row in comparison.tasks.iterrows()]
    if comparison.mean is not None:
        rows.append(("mean", comparison.mean))
    low = min(0.0, *(row["difference_low"] for _, row in rows))
    high = max(0.0, *(row["difference_high"] for _, row in rows))
    scale = _Scale(low, high, _LABEL + 16, WIDTH - 24)
    parts = [_line(scale(0), 4, scale(0), _ROW * len(rows) + 4, "#999", "3 3")]
    for at, (name, row) in enumerate(rows):
        y, colour = _ROW * at + 16, COLOURS[verdict_of(row)]
        ends = scale(row["difference_low"]), scale(row["difference_high"])
        parts += [
            _text(0, y + 4, marked(_short(name), row)),
            _line(ends[0], y, ends[1], y, colour, width=2),
            f'<circle cx="{scale(row["difference"]):.1f}" cy="{y}" r="4" fill="{colour}"><title>{html.escape(name)}: '
            f"{signed(row['difference'])} against {html.escape(row['baseline'])}</title></circle>",
        ]
    height = _ROW * len(rows) + 8
    parts += [_text(at, height + 14, f"{value:+.2g}" if value else "0", "middle") for value, at in scale.ticks()]
    return _svg(height + 20, parts, f"{comparison.title}: difference of R² to the best baseline")


def predicted_against_true(truth: Floats, predicted: Floats) -> str:
    """How often each pair of true and predicted value occurs: darker squares hold more labels."""
    low, high = np.percentile(truth, [0.5, 99.5])
    if high <= low:
        low, high = float(truth.min()), float(truth.max()) + 1e-9
    edges = np.linspace(low, high, _BINS + 1)
    pairs = np.clip(truth, low, high), np.clip(predicted, low, high)
    counts, _, _ = np.histogram2d(*pairs, bins=[edges, edges])
    size, left = 8, 48
    shade = np.sqrt(counts / counts.max())
    squares = [
        f'<rect x="{left + size * x}" y="{size * (_BINS - 1 - y)}" width="{size}" height="{size}" '
        f'fill="#08519c" fill-opacity="{0.1 + 0.9 * shade[x, y]:.2f}"/>'
        for x, y in np.argwhere(counts > 0)
    ]
    span = size * _BINS
    parts = [*squares, _line(left, span, left + span, 0, "#b2182b", "4 3")]
    parts += [f'<rect x="{left}" y="0" width="{span}" height="{span}" fill="none" stroke="#999"/>']
    parts += [_text(left - 4, span, compact(low), "end"), _text(left - 4, 10, compact(high), "end")]
    parts += [_text(left, span + 14, compact(low)), _text(left + span, span + 14, compact(high), "end")]
    parts += [_text(left + span / 2, span + 14, "true", "middle"), _text(0, span / 2, "predicted")]
    return _svg(span + 20, parts, "Predicted against true values")


def bars(values: Mapping[str, float], reference: str, labels: Mapping[str, str]) -> str:
    """A ladder: one bar a name, the reference's end marked all the way down.

    Args:
        values: R² by name.
        reference: the name that all others are compared with.
        labels: a text beside each bar.
    """
    known = [value for value in values.values() if np.isfinite(value)]
    scale = _Scale(min([0.0, *known]), max([0.01, *known]), _LABEL, WIDTH - _BESIDE - 4)
    parts = []
    for at, (name, value) in enumerate(values.items()):
        y, colour = _ROW * at + 4, "#08519c" if name == reference else "#6baed6"
        parts.append(_text(0, y + 12, _short(name)))
        if np.isfinite(value):
            left, right = sorted((scale(0), scale(value)))
            parts.append(f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="14" fill="{colour}"/>')
        parts.append(_text(WIDTH - _BESIDE, y + 12, labels.get(name, MISSING)))
    height = _ROW * len(values) + 4
    if reference in values:
        parts.append(_line(scale(values[reference]), 0, scale(values[reference]), height, "#b2182b", "3 3"))
    return _svg(height, parts, f"R² beside {reference}")


def curve(points: Sequence[tuple[float, float]], label: str) -> str:
    """A line through (share, R²): what more of something brings."""
    xs, ys = np.array(sorted(points)).T
    across, up = _Scale(0, float(xs.max()), 40, WIDTH - 10), _Scale(float(ys.min()), float(ys.max()), 170, 10)
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(xs, ys, strict=True))
    parts = [f'<polyline points="{path}" fill="none" stroke="#08519c" stroke-width="2"/>']
    parts += [
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5" fill="#08519c"/>' for x, y in zip(xs, ys, strict=True)
    ]
    parts += [_text(36, at + 4, f"{value:.3f}", "end") for value, at in up.ticks(3)]
    parts += [_text(across(x), 190, f"{100 * x:g} %", "end" if x == xs[-1] else "middle") for x in xs]
    return _svg(196, parts, label)


class _Scale:
    """Values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 4) -> list[tuple[float, float]]:
        """Round values across the scale, and where they stand."""
        step = 10 ** np.floor(np.log10((self.high - self.low) / count))
        step = next(step * times for times in (1, 2, 5, 10) if (self.high - self.low) / (step * times) <= count)
        first, last = np.ceil(self.low / step), np.floor(self.high / step)
        return [(float(tick * step), self(tick * step)) for tick in np.arange(first, last + 1)]


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{html.escape(label, quote=True)}" '
        f'class="chart">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "", width: float = 1) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 21 else f"{name[:20]}…"
