"""GeoPackage, Shapefile (zipped or not), GeoJSON and FlatGeobuf: their columns and rows, a geometry as WKB."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.extras import geo_extra
from mora_pipeline.raw.shapes import flat
from mora_pipeline.raw.storage import is_remote

GEOMETRY = "geometry"  # what a layer's geometry is called beside its own name
# GDAL opens a file by its content: a GeoPackage that is none could name other files and addresses.
OPENINGS = {".gpkg": b"SQLite format 3\0", ".shp": b"\x00\x00\x27\x0a", ".fgb": b"fgb\x03", ".geojson": b"{"}
NAMES = {".gpkg": "GeoPackage", ".shp": "Shapefile", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
SIDECARS = {".shx": "where each shape starts", ".dbf": "the columns"}
STYLES = {"layer_styles", "qgis_projects"}  # layers that hold no data


@dataclass(frozen=True)
class _Layer:
    """A layer as GDAL opens it."""

    path: str
    name: str


def is_vector_file(file: str) -> bool:
    """Whether a file is read here: by its suffix, and a zip by what it holds."""
    suffix = Path(file).suffix.lower()
    return suffix in OPENINGS or (suffix == ".zip" and bool(_members(file)))


def vector_schema(file: str, layer: str | None = None) -> tuple[dict[str, pa.DataType], str | None]:
    """The columns of a layer with their types, and the CRS that the file states (None where it states none).

    The geometry (binary, WKB) is called `geometry`, and also as the file calls it.

    Raises:
        UserError: if the file is not what its suffix says, lacks a part, or has several layers and none is picked.
    """
    with _opened(file, layer, {}) as (meta, reader):
        kinds = {field.name: field.type for field in reader.schema}
    geometry = kinds.pop(_geometry_column(meta), None)
    if geometry is not None:
        kinds |= dict.fromkeys(_geometry_names(meta), pa.binary())
    crs = meta["crs"]
    return kinds, None if crs is None or "undefined" in crs.lower() else str(crs)


def vector_batches(
    file: str, columns: Sequence[str], layer: str | None = None, rows: int = 1 << 16
) -> Iterator[pa.RecordBatch]:
    """The rows of a layer, these columns in this order.

    Args:
        columns: as `vector_schema` names them.
        rows: the most of a batch.

    Raises:
        UserError: as `vector_schema`; if the layer has no such column; or if a text is not in the stated encoding.
    """
    known, _ = vector_schema(file, layer)
    lacking = [name for name in columns if name not in known]
    if lacking:
        raise UserError(f"{file} has no column {lacking[0]!r}. It has {', '.join(known)}.")
    with _opened(file, layer, {"columns": list(columns), "batch_size": rows}) as (meta, reader):
        own = {name: _geometry_column(meta) for name in _geometry_names(meta)}
        for batch in reader:
            arrays = [flat(batch[own.get(name, name)]) for name in columns]
            chosen = pa.record_batch(arrays, names=list(columns))
            _check_texts(chosen, file)
            yield chosen


def _geometry_column(meta: dict[str, Any]) -> str:
    """As pyogrio names it in Arrow."""
    return meta["geometry_name"] or "wkb_geometry"


def _geometry_names(meta: dict[str, Any]) -> list[str]:
    own = [meta["geometry_name"]] if meta["geometry_name"] else []
    return [name for name in dict.fromkeys([GEOMETRY, *own]) if name not in meta["fields"]]


def _opened(file: str, layer: str | None, options: dict[str, Any]) -> Any:
    """A layer's metadata and its reader of Arrow batches, as a context."""
    with geo_extra("GeoPackages, Shapefiles, GeoJSON and FlatGeobuf"):
        import pyogrio
        from pyogrio.raw import open_arrow
    found = _find_layer(file, layer)
    try:
        return open_arrow(found.path, layer=found.name, use_pyarrow=True, **options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None


def _find_layer(file: str, layer: str | None) -> _Layer:
    """The layer that is asked for, or the only one.

    Raises:
        UserError: if there is no such layer, or several and none is asked for; if the file is at an address.
    """
    path = Path(file)
    if is_remote(file):
        raise UserError(f"{file} is at an address, but vector files are read from a disk. Mount the store as a folder.")
    if path.suffix.lower() == ".zip":
        return _layer_in_zip(file, layer)
    with path.open("rb") as opened:
        _check_opening(file, path.suffix.lower(), opened.read(64))
    _check_sidecars(file, path.name, [beside.name for beside in path.parent.iterdir()])
    return _Layer(str(path.absolute()), _chosen(file, _layers(str(path.absolute()), file), layer))


def _layer_in_zip(file: str, layer: str | None) -> _Layer:
    """A zip of shapefiles has a layer each; of the other kinds it holds one file."""
    members = {Path(member).stem: member for member in _members(file)}
    shapefiles = [name for name, member in members.items() if member.lower().endswith(".shp")]
    name = _chosen(file, shapefiles or list(members), layer if shapefiles else None)
    with zipfile.ZipFile(file) as archive, archive.open(members[name]) as opened:
        _check_opening(f"{members[name]} in {file}", Path(members[name]).suffix.lower(), opened.read(64))
        _check_sidecars(f"{members[name]} in {file}", members[name], archive.namelist())
    path = f"/vsizip/{{{Path(file).absolute()}}}/{members[name]}"
    return _Layer(path, name if shapefiles else _chosen(file, _layers(path, file), layer))


def _layers(path: str, file: str) -> list[str]:
    import pyogrio

    try:
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
    except pyogrio.errors.DataSourceError as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    return [name for name in names if name not in STYLES]


def _chosen(file: str, names: list[str], layer: str | None) -> str:
    listed = ", ".join(names)
    if layer is not None and layer not in names:
        raise UserError(f"{file} has no layer {layer!r}. It has {listed}.")
    if layer is None and len(names) != 1:
        raise UserError(
            f"{file} has several layers: {listed}. Say which by layer: {names[0]}, for example."
            if names
            else f"{file} has no layer."
        )
    return layer or names[0]


def _members(file: str) -> list[str]:
    """The vector files in a zip, but not what a Mac adds to it."""
    if not zipfile.is_zipfile(file):
        return []
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if Path(name).suffix.lower() in OPENINGS]
    return [name for name in names if "__MACOSX" not in name and ".." not in Path(name).parts]


def _check_opening(name: str, suffix: str, start: bytes) -> None:
    """Refuse a file that does not start as its suffix says."""
    wanted = OPENINGS.get(suffix)
    if wanted is None:
        raise UserError(f"{name} is none of {', '.join(NAMES.values())}.")
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n" if suffix == ".geojson" else b"").startswith(wanted):
        raise UserError(f"{name} is no {NAMES[suffix]}: it starts with {start[:16]!r}. Fetch it again.")


def _check_sidecars(name: str, member: str, beside: Sequence[str]) -> None:
    """Refuse a shapefile without the parts that hold its columns and positions."""
    path = Path(member)
    if path.suffix.lower() != ".shp":
        return
    there = {other.lower() for other in beside}
    for suffix, holds in SIDECARS.items():
        part = path.with_suffix(suffix)
        if str(part).lower() not in there:
            raise UserError(f"{name} lacks {part.name}, which holds {holds}. Put it beside the .shp file.")


def _check_texts(batch: pa.RecordBatch, file: str) -> None:
    """Refuse texts whose bytes are not what the file says: a .dbf without a word about its encoding."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            raise UserError(
                f"{file}: the texts of column {name!r} are not UTF-8, and no encoding is stated. Write its name, such "
                f"as ISO-8859-1, into a file {Path(file).with_suffix('.cpg').name} beside it."
            ) from None
