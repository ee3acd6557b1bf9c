"""Mistakes in the input that the person running a job can fix: the sentence behind an exception of Spark."""

import re
from urllib.parse import unquote

from mora_pipeline.contract.errors import UserError

FILE_IN_MESSAGE = re.compile(r"(?:file:/*(?=/)|(?=\b(?:s3a|hdfs|abfss?|gs)://))(?P<path>[^\s'\"\]]+)")
RAISED_IN_TASK = re.compile(r"(?:^|\n)(?:\w+\.)*UserError: (?P<message>[^\n]*)")
NO_STORE = re.compile(r"No FileSystem for scheme[^\n]*|Class org\.apache\.hadoop\.fs\.\S+ not found")
UNREADABLE = (
    "FAILED_READ_FILE",
    "CANNOT_READ_FILE_FOOTER",
    "is not a Parquet file",
    "Could not read footer",
    "Unexpected end of input stream",
    "FileNotFoundException",
    "PATH_NOT_FOUND",
    "CANNOT_LOAD_STATE_STORE",
)


def as_user_error(error: BaseException) -> UserError | None:
    """The mistake behind an exception of Spark or of a Spark task.

    Returns:
        The error to show the user, or None where the exception is ours to explain, not theirs.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    raised = RAISED_IN_TASK.search(text)
    if raised:
        return UserError(raised["message"].strip())
    if "No space left on device" in text:
        return UserError(
            "The disk is full: no space left on device. Free some, or let Spark write its temporary files elsewhere "
            "(spark.local.dir in MORA_SPARK_CONF)."
        )
    store = NO_STORE.search(text)
    if store:
        return UserError(
            f"Spark itself cannot open addresses like {_file_named_in(text, 's3a://…')}: {store[0]}. Raw files at "
            "addresses need no library of Spark's; datasets and what a setting in MORA_SPARK_CONF names (such as "
            "spark.eventLog.dir) are in folders that the driver and the workers share. Name such a folder."
        )
    if any(sign in text for sign in UNREADABLE):
        return UserError(f"{_file_named_in(text)} cannot be read ({_first_line(text)}). Is it whole? Fetch it again.")
    if type(error).__name__ == "AnalysisException":
        return UserError(f"The input does not have the expected columns or types: {_first_line(text)}")
    return None


def _file_named_in(text: str, otherwise: str = "A file of the input") -> str:
    match = FILE_IN_MESSAGE.search(text)
    return unquote(match["path"].rstrip(".,;:)")) if match else otherwise


def _first_line(text: str) -> str:
    """The line that says what happened: Py4J puts a line about itself first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(sign in line for sign in UNREADABLE)] or lines
    return telling[0].lstrip(": ")[:300] if telling else "no reason given"
