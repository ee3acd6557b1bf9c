"""Charts of the report as SVG, by matplotlib: drawn for the width of a phone, sharp on paper, without a script."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO

import h3ronpy
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mora_pipeline.evaluation.protocol.metrics import compact
from mora_pipeline.evaluation.report.summary import AHEAD, BEHIND, UNDECIDED, Comparison, marked, outcome
from mora_pipeline.evaluation.report.tables import MISSING
from mora_pipeline.evaluation.report.titles import method_title
from mora_pipeline.plots import hexagons

WIDTH = 340.0  # of a chart, pixels
COLOURS = {AHEAD: "#1b7837", BEHIND: "#b2182b", UNDECIDED: "#666"}
BLUE, PALE, RED, GREY = "#08519c", "#6baed6", "#b2182b", "#999"
SETTINGS = {
    "svg.hashsalt": "mora",  # equal charts are equal bytes
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a $ in a name is a $
    "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY,
}  # fmt: skip
MOST_HEXAGONS = 1500  # more cannot be told apart on a phone; coarser parents replace them
TALLEST = 1.3  # height of a map, in widths
SPARSE, LARGEST = 0.3, 4.0  # share of the map below which hexagons are drawn larger, and by how much at most
_ROW, _BINS = 22, 36  # height of a row, pixels; bins of predicted against true, each way
Cells = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Drawing:
    """A chart as the page shows it, and a note below it."""

    svg: Markup
    note: str = ""


class _Chart:
    """A chart to draw on, which becomes a `Drawing` when its block ends."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        self.axes: Axes = self.figure.add_subplot()
        self.axes.tick_params(length=0)

    def drawing(self, label: str, note: str = "") -> Drawing:
        written = StringIO()
        self.figure.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
        return Drawing(_inline(written.getvalue(), label), note)


@contextmanager
def _chart(height: float) -> Iterator[_Chart]:
    with rc_context(SETTINGS):
        yield _Chart(height)


def _inline(svg: str, label: str) -> Markup:
    """An SVG file as an element of a page: no namespaces, no metadata, no style of the whole page, short numbers."""
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', svg)
    name = html.escape(label, quote=True)
    head = f'<svg class="chart" role="img" aria-label="{name}" {box.group() if box else ""}>'
    svg = head + svg[svg.index(">") + 1 :].replace("xlink:href", "href")
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match.group() if match.group(1) in used else "", svg)
    short = re.compile(r"(\.\d\d)\d+")
    svg = re.sub(r' d="[^"]*"', lambda match: short.sub(r"\1", match.group()), svg)
    return Markup(re.sub(r"\s*\n\s*", "\n", svg).strip())


def forest(comparison: Comparison) -> Drawing:
    """Differences to the best baseline with their intervals, a row a task; the baseline's name at the right."""
    rows = [(str(row["task"]), row) for _, row in comparison.tasks.iterrows()]
    if comparison.mean is not None:
        rows.append(("mean", comparison.mean))
    with _chart(_ROW * len(rows) + 28) as chart:
        for at, (_, row) in enumerate(rows):
            colour = COLOURS[outcome(row)]
            chart.axes.plot([row["difference_low"], row["difference_high"]], [at, at], color=colour, linewidth=2)
            chart.axes.plot(row["difference"], at, "o", color=colour, markersize=6)
        chart.axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
        chart.axes.locator_params(axis="x", nbins=4)
        _name_rows(
            chart.axes,
            [marked(_short(name), row) for name, row in rows],
            [method_title(row["baseline"]) for _, row in rows],
        )
        return chart.drawing(f"{comparison.title}: difference of {comparison.metric.title} to the best baseline")


def bars(values: Mapping[str, float], reference: str, labels: Mapping[str, str], title: str) -> Drawing:
    """One bar a name, the reference's end marked all the way down.

    Args:
        values: scores by name.
        reference: the name that all others are compared with.
        labels: a text beside each bar.
        title: of the score.
    """
    with _chart(_ROW * len(values) + 24) as chart:
        lengths = [value if np.isfinite(value) else 0 for value in values.values()]
        colours = [BLUE if name == reference else PALE for name in values]
        chart.axes.barh(range(len(values)), lengths, height=0.65, color=colours)
        if reference in values:
            chart.axes.axvline(values[reference], color=RED, linestyle="--", linewidth=1)
        chart.axes.locator_params(axis="x", nbins=3)
        _name_rows(chart.axes, [_short(name) for name in values], [labels.get(name, MISSING) for name in values])
        return chart.drawing(f"{title} beside {reference}")


def curve(points: Sequence[tuple[float, float]], label: str) -> Drawing:
    """A line through (share, score): what more of something brings."""
    xs, ys = np.array(sorted(points)).T
    with _chart(196) as chart:
        chart.axes.plot(xs, ys, "o-", color=BLUE, markersize=5)
        chart.axes.set_xticks(xs, [f"{100 * x:g} %" for x in xs])
        chart.axes.locator_params(axis="y", nbins=4)
        return chart.drawing(label)


def predicted_against_true(truth: Floats, predicted: Floats) -> Drawing:
    """How often each pair of true and predicted value occurs: darker squares hold more labels.

    Args:
        truth, predicted: [n], in the unit of the task.
    """
    low, high = np.percentile(truth, [0.5, 99.5])
    if high <= low:
        low, high = float(truth.min()), float(truth.max()) + 1e-9
    edges = np.linspace(low, high, _BINS + 1)
    counts, _, _ = np.histogram2d(np.clip(truth, low, high), np.clip(predicted, low, high), bins=[edges, edges])
    shade = np.where(counts > 0, 0.1 + 0.9 * np.sqrt(counts / counts.max()), 0)
    colours = LinearSegmentedColormap.from_list("shade", ["#fff", BLUE])
    with _chart(WIDTH) as chart:
        chart.axes.imshow(
            shade.T, origin="lower", extent=(low, high, low, high), cmap=colours, vmin=0, vmax=1, interpolation="none"
        )
        chart.axes.plot([low, high], [low, high], color=RED, linestyle="--", linewidth=1)
        chart.axes.set_xticks([low, high], [compact(low), compact(high)])
        chart.axes.set_yticks([low, high], [compact(low), compact(high)], rotation=90)
        chart.axes.set(xlabel="true", ylabel="predicted")
        return chart.drawing("Predicted against true values")


def residual_map(cells: Cells, truth: Floats, predicted: Floats) -> Drawing:
    """Mean of predicted − true on each hexagon: red where predictions are too high, blue where too low.

    Args:
        cells: int64 [n], the cell of each label; a cell may occur several times.
        truth, predicted: [n], in the unit of the task.
    """
    hexes, mean = coarsened(cells, predicted - truth)
    limit = max(float(np.percentile(np.abs(mean), 95)), 1e-12)
    shapes = dict[int, Floats]()
    for rows, corners in hexagons(hexes):
        shapes.update(zip(rows.tolist(), corners, strict=True))
    polygons, larger = enlarged([shapes[row] for row in range(len(hexes))])
    (west, south), (east, north) = np.min(np.vstack(polygons), axis=0), np.max(np.vstack(polygons), axis=0)
    squeeze = max(float(np.cos(np.radians((south + north) / 2))), 0.1)  # degrees of longitude are shorter than latitude
    height = float(np.clip((north - south) / ((east - west) * squeeze), 0.1, TALLEST)) * WIDTH
    note = (
        f"predicted less true: blue {compact(-limit)} or less, white 0, red {compact(limit)} or more; "
        f"{len(hexes):,} hexagons" + (f", drawn {larger:.1f} times as wide as they are" if larger > 1 else "")
    )
    with _chart(height) as chart:
        drawn = PolyCollection(polygons, array=mean, cmap="RdBu_r", edgecolors=GREY, linewidths=0.3, clip_on=False)
        drawn.set_clim(-limit, limit)
        chart.axes.add_collection(drawn)
        chart.axes.set(xlim=(west, east), ylim=(south, north), aspect=1 / squeeze)
        chart.axes.set_axis_off()
        return chart.drawing(note, note)


def enlarged(polygons: Sequence[Floats]) -> tuple[list[Floats], float]:
    """Hexagons that are far apart, larger than they are, so that they can be seen.

    Args:
        polygons: longitude and latitude, [vertices, 2] each.

    Returns:
        The polygons, and how many times as wide they are as they should be.
    """
    whole = np.prod(np.ptp(np.concatenate(polygons), axis=0))
    covered = sum(np.prod(np.ptp(polygon, axis=0)) for polygon in polygons) / max(whole, 1e-12)
    larger = float(np.clip(np.sqrt(SPARSE / max(covered, 1e-9)), 1, LARGEST))
    centres = [polygon.mean(axis=0) for polygon in polygons]
    return [centre + (own - centre) * larger for own, centre in zip(polygons, centres, strict=True)], larger


def coarsened(cells: Cells, values: Floats) -> tuple[Cells, npt.NDArray[np.float64]]:
    """The mean of values on each cell, or on the finest parents of which there are at most `MOST_HEXAGONS`.

    Args:
        cells: int64 [n].
        values: [n].

    Returns:
        Hexagons, int64 [m] ascending, and float64 [m].
    """
    unsigned = cells.astype(np.uint64)
    resolution = int(np.asarray(h3ronpy.cells_resolution(unsigned[:1]))[0])
    while len(np.unique(unsigned)) > MOST_HEXAGONS and resolution > 0:
        resolution -= 1
        unsigned = np.asarray(h3ronpy.change_resolution(unsigned, resolution))
    hexes, rows, counts = np.unique(unsigned.astype(np.int64), return_inverse=True, return_counts=True)
    return hexes, np.bincount(rows, values.astype(np.float64), len(hexes)) / counts


def _name_rows(axes: Axes, left: Sequence[str], right: Sequence[str]) -> None:
    axes.set_yticks(range(len(left)), left)
    axes.set_ylim(len(left) - 0.5, -0.5)
    for at, text in enumerate(right):
        axes.text(1.02, at, _short(text), transform=axes.get_yaxis_transform(), va="center")


def _short(name: str) -> str:
    return name if len(name) <= 21 else f"{name[:20]}…"
