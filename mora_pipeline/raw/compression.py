"""Files as streams of bytes, decompressed on the way; nothing is ever unpacked to disk."""

import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.storage import is_remote, opened

CHUNK = 4 << 20  # bytes read at once
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".zip": "zip"}
TABLE_FORMS = (".csv", ".tsv", ".tab", ".txt")
DOCUMENTS = {".md", ".pdf", ".htm", ".html", ".xml", ".json", ".rtf", ".doc", ".docx", ".png", ".jpg"}
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_OTHERS = (
    (b"PAR1", "a Parquet file", "Name it .parquet"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "Save it as CSV"),
    (b"SQLite format 3", "an SQLite or GeoPackage file", "Export its table as CSV"),
    (b"%PDF", "a PDF document", "Export its table as CSV"),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it"),
    (b"\xfd7zXZ", "compressed by xz", "Unpack it, or compress it by gzip"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "Unpack it, or compress it by gzip"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Run `git lfs pull`"),
    (b"<", "a web page or an XML document", "Was the download refused? Fetch it again"),
)


def named_compression(file: str) -> str:
    """``gzip``, ``zstd``, ``bz2``, ``zip`` or ``""``, by the file's ending in any case."""
    return ENDINGS.get(PurePosixPath(file).suffix.lower(), "")


def compression_of(file: str) -> str:
    """As `named_compression`, but by what the file holds: a browser may have unpacked ``flows.csv.gz``.

    Raises:
        UserError: if the file is missing, or plainly no table in text.
    """
    head = _head(file)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    for magic, what, fix in _OTHERS:
        if head.lstrip().startswith(magic):
            raise UserError(f"{file} is {what}. {fix}.")
    if head and named_compression(file) == "zip":
        raise UserError(f"{file} is no zip archive, or damaged. Fetch it again.")
    return ""


def compression_remark(file: str) -> str:
    """A sentence where the file's ending and what it holds contradict each other, else nothing."""
    held, named = compression_of(file), named_compression(file)
    if held == named:
        return ""
    return f"{Path(file).name} is " + (f"compressed by {held}" if held else "not compressed") + ", unlike its name"


def parts(file: str) -> tuple[str, ...]:
    """The tables inside a file: the members of a zip in their order, or ``("",)`` for any other file.

    Raises:
        UserError: if a zip holds no table, several forms of table, or something encrypted.
    """
    if compression_of(file) != "zip":
        return ("",)
    try:
        with zipfile.ZipFile(_seekable(file)) as archive:
            members = [member for member in archive.infolist() if not _is_clutter(member)]
    except (zipfile.BadZipFile, OSError) as error:
        raise _unreadable(file, error) from None
    return _tables(file, members)


def label(file: str, part: str) -> str:
    """How messages name a part: the file, and the member of a zip."""
    return f"{file}, member {part}" if part else file


def chunks(file: str, part: str = "", start: int = 0, end: int | None = None, size: int = CHUNK) -> Generator[bytes]:
    """The decompressed bytes of a part, `size` at a time; of plain files those from `start` to before `end`.

    Raises:
        UserError: if the file is missing, truncated or damaged.
    """
    try:
        with closing(_open(file, part)) as stream:
            if start:
                stream.seek(start)
            left = end - start if end is not None else None
            while left is None or left > 0:
                chunk = stream.read(size if left is None else min(size, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _unreadable(label(file, part), error) from None


def _open(file: str, part: str) -> Any:
    compression = compression_of(file)
    if compression == "zip":
        return zipfile.ZipFile(_seekable(file)).open(part)
    if compression:
        return pa.CompressedInputStream(opened(file), compression)
    return opened(file)


def _seekable(file: str) -> Any:
    """A file as zipfile wants it: Arrow's own raises another error where a seek goes beyond the start."""
    return opened(file) if is_remote(file) else Path(file).open("rb")


def _head(file: str) -> bytes:
    try:
        with opened(file) as stream:
            return stream.read(32)
    except OSError as error:
        raise _unreadable(file, error) from None


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    return member.is_dir() or "__MACOSX" in path.parts or path.name.startswith(".") or path.name == "Thumbs.db"


def _tables(file: str, members: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    names = [member.filename for member in members]
    workbook = "[Content_Types].xml" in names
    if workbook:
        raise UserError(f"{file} is an Excel workbook or another Office document. Save its table as CSV.")
    encrypted = [member.filename for member in members if member.flag_bits & 1]
    if encrypted:
        raise UserError(f"{file} holds {encrypted[0]} under a password. Unpack it.")
    forms: dict[str, list[str]] = {}
    for name in names:
        if not _is_document(name):
            forms.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
    others = [name for form, found in forms.items() if form not in TABLE_FORMS for name in found]
    if not forms or others:
        what = f"holds {others[0]}, which is no csv, tsv or txt table" if others else "holds no csv, tsv or txt table"
        raise UserError(f"{file} {what}. Unpack it and name the files that are meant.")
    if len(forms) > 1:
        examples = " and ".join(found[0] for found in forms.values())
        raise UserError(
            f"{file} holds files of several forms: {examples}. Unpack it and name the files that are meant."
        )
    return tuple(dict.fromkeys(next(iter(forms.values()))))


def _is_document(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in DOCUMENTS or path.stem.lower() in ("readme", "license", "licence", "copying")


def _unreadable(where: str, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    if isinstance(error, NotImplementedError):
        return UserError(f"{where} is compressed in a way that is not read here ({error}). Unpack it.")
    return UserError(f"{where} is truncated or damaged ({error}). Fetch it again.")
