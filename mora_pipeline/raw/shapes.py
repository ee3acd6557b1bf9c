"""Geometry columns in any encoding to shapely's geometries: WKB, EWKB, hex WKB, WKT, EWKT, GeoJSON, GeoArrow."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.extras import geo_extra

Shapes = npt.NDArray[np.object_]  # shapely geometries, None where there is none
SRIDS = npt.NDArray[np.int64]
HEX = r"^(?:[0-9a-fA-F]{2}){5,}$"
EWKT = r"(?i)^SRID\s*=\s*(?P<srid>\d+)\s*;\s*(?P<wkt>[\s\S]*)$"


def flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of plain storage: chunks joined, dictionaries decoded, extension types and views taken off."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_fixed_size_binary(values.type) or pa.types.is_binary_view(values.type):
        return values.cast(pa.large_binary())
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values


def is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_points(kind: pa.DataType) -> bool:
    """GeoArrow's points: struct<x, y, ...>, or two to four coordinates a row."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("x") >= 0 and kind.get_field_index("y") >= 0
    return pa.types.is_fixed_size_list(kind) and kind.list_size in (2, 3, 4) and pa.types.is_floating(kind.value_type)


def no_geometry(kind: pa.DataType) -> UserError:
    return UserError(
        f"it is of type {kind}, which is no geometry: WKB (binary, or hexadecimal text), WKT, GeoJSON or GeoArrow."
    )


def from_hex(texts: pa.Array) -> pa.Array:
    """Bytes, large_binary, of texts of hexadecimal digits, without nulls, each of even length."""
    texts = texts.cast(pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    digits = memoryview(texts.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    packed = bytes.fromhex(str(digits, "ascii"))
    starts = (offsets - offsets[0]) // 2
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(texts), [None, pa.py_buffer(starts), pa.py_buffer(packed)]
    )


def kinds_of_text(texts: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Texts trimmed, and where they are hex WKB and GeoJSON; the others may be WKT. A missing text is of no kind."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return (
        trimmed,
        pc.match_substring_regex(trimmed, HEX).fill_null(False),
        pc.starts_with(trimmed, "{").fill_null(False),
    )


def shapes_of(values: pa.Array | pa.ChunkedArray) -> tuple[Shapes, SRIDS]:
    """Geometries, None where a value is missing or unreadable, and the SRIDs that they state, 0 for none.

    Raises:
        UserError: if the type holds no geometries, starting with "it"; or the extra ``geo`` is not installed.
    """
    with geo_extra("Geometries"):
        import shapely
    values = flat(values)
    if is_binary(values.type):
        shapes = _parsed(shapely.from_wkb, values)
        return shapes, _srids(shapes)
    if is_text(values.type):
        return _of_texts(values)
    if is_points(values.type) or pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return _of_geoarrow(values), np.zeros(len(values), np.int64)
    if pa.types.is_null(values.type):
        return np.full(len(values), None, object), np.zeros(len(values), np.int64)
    raise no_geometry(values.type)


def _parsed(parse: Callable[..., Shapes], values: pa.Array) -> Shapes:
    """Shapes of values, None where one is none; curves, of which shapely has no kind, are none."""
    written = values.to_numpy(zero_copy_only=False)
    try:
        return parse(written, on_invalid="ignore")
    except NotImplementedError:
        pass
    shapes = np.full(len(written), None, object)
    for row, value in enumerate(written):
        with suppress(NotImplementedError):
            shapes[row] = parse(value, on_invalid="ignore")
    return shapes


def _srids(shapes: Shapes) -> SRIDS:
    import shapely

    return np.maximum(shapely.get_srid(shapes).astype(np.int64), 0)


def _of_texts(values: pa.Array) -> tuple[Shapes, SRIDS]:
    import shapely

    texts, in_hex, in_json = kinds_of_text(values)
    shapes, srids = np.full(len(values), None, object), np.zeros(len(values), np.int64)
    if pc.any(in_hex).as_py():
        rows = np.flatnonzero(in_hex)
        shapes[rows] = _parsed(shapely.from_wkb, from_hex(texts.filter(in_hex)))
        srids[rows] = _srids(shapes[rows])
    if pc.any(in_json).as_py():
        rows = np.flatnonzero(in_json)
        shapes[rows] = _parsed(shapely.from_geojson, texts.filter(in_json))
    rows = np.flatnonzero(~(np.asarray(in_hex) | np.asarray(in_json)))
    plain = texts.take(pa.array(rows))
    stated = pc.extract_regex(plain, EWKT)
    plain = pc.if_else(stated.is_valid(), pc.struct_field(stated, "wkt"), plain)
    shapes[rows] = _parsed(shapely.from_wkt, plain)
    srids[rows] = pc.struct_field(stated, "srid").cast(pa.int64()).fill_null(0).to_numpy()
    return shapes, srids


def _of_geoarrow(values: pa.Array) -> Shapes:
    """GeoArrow's own layouts: points, and lists of them (lines), of lists (polygons), of lists (multipolygons)."""
    import shapely

    kinds = (shapely.GeometryType.POINT, shapely.GeometryType.LINESTRING, shapely.GeometryType.POLYGON)
    good = np.asarray(values.is_valid())
    inner, offsets = values.filter(pa.array(good)), list[npt.NDArray[np.int64]]()
    while not is_points(inner.type):
        if not (pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type)) or len(offsets) == 3:
            raise no_geometry(values.type)
        offsets.append(
            (inner.offsets.to_numpy() - inner.offsets[0].as_py()).astype(np.int64)
            if len(inner)
            else np.zeros(1, np.int64)
        )
        inner = flat(inner.flatten())
    x, y = coordinates_of(inner)
    shapes = np.full(len(values), None, object)
    if not offsets:
        shapes[good] = shapely.points(x, y)
        return shapes
    kind = (*kinds, shapely.GeometryType.MULTIPOLYGON)[len(offsets)]
    shapes[good] = shapely.from_ragged_array(kind, np.stack([x, y], axis=1), tuple(reversed(offsets)))
    return shapes


def coordinates_of(points: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """x and y, NaN where missing, of GeoArrow's points."""
    if pa.types.is_struct(points.type):
        parts = [pc.struct_field(points, axis).cast(pa.float64()) for axis in ("x", "y")]
        return parts[0].to_numpy(zero_copy_only=False), parts[1].to_numpy(zero_copy_only=False)
    pairs = [pc.list_element(points, axis).cast(pa.float64()).to_numpy(zero_copy_only=False) for axis in (0, 1)]
    return pairs[0], pairs[1]


def one_by_one(function: Any, shapes: Shapes) -> Shapes:
    """A function of shapely on all shapes at once; where one of them fails, on each, None for those that fail."""
    import shapely

    try:
        return np.asarray(function(shapes), dtype=object)
    except (shapely.errors.ShapelyError, ValueError):
        answers = np.full(len(shapes), None, object)
        for row, shape in enumerate(shapes):
            with suppress(shapely.errors.ShapelyError, ValueError):
                answers[row] = function(shape)
        return answers
