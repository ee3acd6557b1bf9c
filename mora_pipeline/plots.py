"""Pictures of a region: its cells coloured by their vectors, and the curves of its training. Both are PNG bytes."""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from h3ronpy.vector import cells_to_coordinates, cells_to_wkb_polygons
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDTH = 9.0  # inches
DOTS = 110  # per inch: about 1000 pixels wide
COLOUR_RANGE = (2.0, 98.0)  # percentiles of a component that become 0 and 1, so that few odd cells cost no contrast
_WKB_HEADER = 13  # bytes before the vertices of a polygon of one ring: order, type, rings, points
_GREY = 0.5
_DARKEST, _LIGHTEST = 0.06, 0.92  # no cell is black, and none vanishes on white

Degrees = npt.NDArray[np.float64]


def region_map_png(cells: pa.Table, embeddings: npt.NDArray[np.float32], title: str = "") -> bytes:
    """A map of hexagons; cells with similar vectors have similar colours.

    Args:
        cells: column ``cell`` (H3 cells, int64), one row a vector.
        embeddings: float32 [N, d]; their first three principal components become red, green and blue.
        title: a line above the map.

    Raises:
        ValueError: if there are no cells, or not one vector each.
    """
    cell = cells["cell"].to_numpy()
    if not len(cell) or len(embeddings) != len(cell):
        raise ValueError(f"a map needs a vector for each of its cells; {len(cell)} cells, {len(embeddings)} vectors")
    colours = component_colours(embeddings)
    figure = Figure(dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    vertices: list[npt.NDArray[np.float64]] = []
    order: list[npt.NDArray[np.int64]] = []
    for rows, polygons in hexagons(cell):
        vertices.extend(polygons)
        order.append(rows)
    faces = colours[np.concatenate(order)]
    axes.add_collection(PolyCollection(vertices, facecolors=faces, edgecolors=faces, linewidths=0.4))
    _fit(figure, np.concatenate(vertices))
    axes.set_title(title or f"{len(cell):,} cells; similar colours mean similar vectors", fontsize=10, loc="left")
    return _png(figure)


def component_colours(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Red, green and blue in [0, 1] from the first three principal components of float32 [N, d]: float64 [N, 3].

    Each component's sign is fixed (its largest weight is positive); components without spread are grey.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :3]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    components = centred @ axes
    low, high = np.percentile(components, COLOUR_RANGE, axis=0)
    flat = high - low <= 1e-9 * (np.abs(centred).max() + 1e-30)
    scaled = np.clip((components - low) / np.where(flat, 1, high - low), 0, 1)
    scaled[:, flat] = _GREY
    colours = np.full((len(vectors), 3), _GREY)
    colours[:, : scaled.shape[1]] = scaled
    return _DARKEST + (_LIGHTEST - _DARKEST) * colours


def hexagons(cells: npt.NDArray[np.int64]) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """The boundaries of cells as longitude and latitude, without a jump where they cross the antimeridian.

    The whole region is on one side: longitudes run on beyond 180° if the region's widest gap is not there.

    Args:
        cells: int64 [N].

    Returns:
        By number of vertices (6, 5 for pentagons, more where an edge crosses one of the icosahedron's): the rows of
        `cells`, and float64 [rows, vertices, 2].
    """
    centre = pa.table(cells_to_coordinates(cells.astype(np.uint64)))["lng"].to_numpy()
    centre = _side_by_side(centre)
    encoded = pa.array(cells_to_wkb_polygons(cells.astype(np.uint64)))
    starts = np.frombuffer(encoded.buffers()[1], dtype=np.int64)[encoded.offset : encoded.offset + len(cells) + 1]
    content = np.frombuffer(encoded.buffers()[2], dtype=np.uint8)
    sizes = np.diff(starts)
    groups = []
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        points = content[starts[rows][:, None] + np.arange(_WKB_HEADER, size)]
        polygons = np.ascontiguousarray(points).view("<f8").reshape(len(rows), -1, 2)[:, :-1].copy()
        polygons[:, :, 0] = centre[rows, None] + (polygons[:, :, 0] - centre[rows, None] + 180) % 360 - 180
        groups.append((rows, polygons))
    return groups


def _side_by_side(longitude: Degrees) -> Degrees:
    """Longitudes, degrees [N], in one run of at most 360°, cut at the widest gap."""
    ordered = np.sort(longitude)
    gaps = np.diff(np.append(ordered, ordered[0] + 360))
    widest = int(np.argmax(gaps))
    # Only a gap clearly wider than the one at ±180° is worth labels beyond 180°.
    if widest == len(ordered) - 1 or gaps[widest] <= gaps[-1] + 1:
        return longitude
    return np.where(longitude <= ordered[widest], longitude + 360, longitude)


def _fit(figure: Figure, points: npt.NDArray[np.float64]) -> None:
    """Frame points [n, 2], longitude and latitude; degrees of both are equally long in the middle of the map."""
    axes = figure.axes[0]
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    margin = 0.02 * max(east - west, north - south)
    axes.set_xlim(west - margin, east + margin)
    axes.set_ylim(south - margin, north + margin)
    aspect = 1 / max(np.cos(np.radians((south + north) / 2)), 0.1)
    axes.set_aspect(aspect)
    height = WIDTH * aspect * (north - south + 2 * margin) / (east - west + 2 * margin)
    figure.set_size_inches(WIDTH, float(np.clip(height, 0.4 * WIDTH, 1.4 * WIDTH)))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees((value + 180) % 360 - 180, "E", "W")))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "N", "S")))
    axes.tick_params(labelsize=8)


def _degrees(value: float, positive: str, negative: str) -> str:
    text = f"{abs(value):.4f}".rstrip("0").rstrip(".")
    return f"{text}°" + ("" if text in ("0", "180") else positive if value > 0 else negative)


def curve_png(history: list[dict[str, float]], title: str = "") -> bytes:
    """The losses of a training, a line each; validation is drawn solid, and its lowest point is marked.

    Args:
        history: an entry an epoch; its ``epoch`` (else its position) and every number whose name holds ``loss``
            (if none does: every number).
        title: a line above the curves.
    """
    figure = Figure(figsize=(WIDTH, 0.5 * WIDTH), dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for entry in history for name in entry if name not in ("epoch", "seconds")))
    names = [name for name in names if "loss" in name] or names
    for name in names:
        _curve(axes, history, name)
    if names:
        axes.legend(fontsize=8, frameon=False)
    else:
        axes.text(0.5, 0.5, "nothing was trained", ha="center", va="center", transform=axes.transAxes)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss" if any("loss" in name for name in names) else "value")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.set_title(title, fontsize=10, loc="left")
    return _png(figure)


def _curve(axes: Any, history: list[dict[str, float]], name: str) -> None:
    points = [(entry.get("epoch", at), entry[name]) for at, entry in enumerate(history) if name in entry]
    epochs, values = np.asarray(points, dtype=np.float64).T
    held_out, overall = "validation" in name, "loss" in name and name.endswith("_loss") and "/" not in name
    (line,) = axes.plot(
        epochs, values, "-" if held_out else "--", linewidth=2 if overall else 1, marker="." if len(values) < 3 else "",
        label=name.replace("_", " "),
    )  # fmt: skip
    if held_out and overall and np.isfinite(values).any():
        best = np.nanargmin(values)
        axes.plot(epochs[best], values[best], "o", color=line.get_color())
        axes.annotate(
            f"{values[best]:.4g} at {epochs[best]:g}", (epochs[best], values[best]), fontsize=8,
            xytext=(0, 8), textcoords="offset points", ha="center",
        )  # fmt: skip


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    picture = BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})  # else equal pictures differ by version
    return picture.getvalue()
