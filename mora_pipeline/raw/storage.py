"""Files on a disk or at an address (``s3://bucket/trips.parquet``), opened the same way."""

from pathlib import Path
from socket import gethostname

import pyarrow as pa
from pyarrow import fs

from mora_pipeline.contract.errors import UserError

SAME_STORE = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}  # as Hadoop calls them


def is_remote(file: str) -> bool:
    return "://" in file


def opened(file: str) -> pa.NativeFile:
    """A file to read from, with random access.

    The keys of a store come from the environment (AWS_ACCESS_KEY_ID and others, as the store's own tools take them).

    Raises:
        UserError: if nothing is there, or the store is unknown or refuses.
    """
    system, path = _located(file)
    try:
        return system.open_input_file(path)
    except FileNotFoundError:
        raise UserError(_absent(file)) from None
    except OSError as error:
        raise UserError(f"{file} cannot be opened: {str(error).splitlines()[0]}") from None


def size_of(file: str) -> int:
    """Bytes of a file.

    Raises:
        UserError: if nothing is there.
    """
    system, path = _located(file)
    try:
        size = system.get_file_info(path).size
    except OSError as error:
        raise UserError(f"{file} cannot be opened: {str(error).splitlines()[0]}") from None
    if size is None:
        raise UserError(_absent(file))
    return int(size)


def _absent(file: str) -> str:
    if is_remote(file):
        return f"{file} does not exist, or is no file."
    return f"{file} does not exist on {gethostname()}. Every worker needs the raw files under the same path."


def _located(file: str) -> tuple[fs.FileSystem, str]:
    if not is_remote(file):
        return fs.LocalFileSystem(), str(Path(file))
    scheme, rest = file.split("://", 1)
    try:
        return fs.FileSystem.from_uri(f"{SAME_STORE.get(scheme, scheme)}://{rest}")
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{file} is at an address that cannot be opened: {str(error).splitlines()[0]} "
            "Addresses begin with s3://, gs://, abfs://, hdfs:// or file://."
        ) from None
