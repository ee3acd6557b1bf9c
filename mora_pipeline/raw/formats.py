"""Which files hold data, by the endings of their names."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

TEXT = (".csv", ".tsv", ".txt")
COMPRESSIONS = (".gz", ".zst", ".bz2", ".zip")
FORMATS: Mapping[str, str] = {
    **{text + packed: "csv" for text in TEXT for packed in ("", *COMPRESSIONS)},
    ".zip": "csv",
    **dict.fromkeys((".parquet", ".parq", ".pq", ".geoparquet"), "parquet"),
    **dict.fromkeys((".gpkg", ".shp", ".geojson", ".fgb"), "vector"),
}
IMAGE_FORMATS: Mapping[str, str] = {".tif": "geotiff", ".tiff": "geotiff"}
# GDAL opens a file by its content: a GeoTIFF that is none could name other files and addresses.
GEOTIFF_DRIVER = "GTiff"
COMPANIONS = (".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qpj", ".shp.xml", ".tfw", ".aux.xml", ".crc")
_NAMES = {"csv": "CSV", "parquet": "Parquet", "vector": "vector", "geotiff": "GeoTIFF"}
_PARTIAL = (".crdownload", ".part", ".partial", ".tmp", ".temp", ".download", ".filepart")
_FIXES = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "Save its sheet as CSV"),
    **dict.fromkeys((".7z", ".rar", ".tar", ".tgz", ".xz"), "Unpack it"),
    **dict.fromkeys((".gz", ".zst", ".bz2"), "Name it after what it holds, such as flows.csv.gz"),
}
_DOCUMENT = re.compile(r"(read_?me.*|licen[cs]e|notice|copying|changelog|sources?)\.txt", re.IGNORECASE)


def file_format(path: PurePath | str, formats: Mapping[str, str] = FORMATS) -> str | None:
    """`csv`, `parquet`, `vector` or `geotiff` by the ending of a name, in any case; None for any other."""
    name = (path if isinstance(path, str) else path.name).lower()
    dot = name.rfind(".")
    if dot < 1:
        return None
    return formats.get(name[dot:]) or formats.get(name[name.rfind(".", 1, dot) :])


def ending(name: str) -> str:
    """The last part of a name from its dot on, in lower case; empty if there is none."""
    return PurePath(name).suffix.lower()


def named(formats: Iterable[str]) -> str:
    """Formats as a message names them, such as ``CSV, Parquet and vector``."""
    names = [_NAMES[one] for one in sorted(set(formats))]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def known(formats: Mapping[str, str]) -> str:
    """What a message offers: the formats and their endings, without the compressed ones."""
    endings = " ".join(one for one in formats if one.count(".") == 1)
    return f"{named(formats.values()).replace(' and ', ' or ')} file ({endings})"


def fix(name: str) -> str:
    """What to do with a file of another ending."""
    return _FIXES.get(ending(name), "Convert it or leave it out")


def is_partial(name: str) -> bool:
    """Whether a name is that of a download that has not ended, or of a file that a program holds open."""
    return name.lower().endswith(_PARTIAL) or name.startswith("~$")


def is_document(name: str) -> bool:
    """Whether a name is that of a text about the data, such as README.txt."""
    return _DOCUMENT.fullmatch(name) is not None
