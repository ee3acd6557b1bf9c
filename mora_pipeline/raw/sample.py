"""The begin of a text file, in its encoding."""

import codecs
from dataclasses import dataclass

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.compression import chunks, label
from mora_pipeline.raw.csv_text import LINE_END

SAMPLE_BYTES = 1 << 18
_MARKS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Sample:
    """``text``: whole lines, without the mark of the encoding; ``whole``: whether that is all of the file."""

    text: str
    encoding: str
    whole: bool


def read_sample(file: str, part: str, encoding: str | None) -> Sample:
    """The first lines of a part.

    Args:
        encoding: as declared; None: UTF-8, or UTF-16 where the file's first bytes say so.

    Raises:
        UserError: if these lines are not in that encoding, or the file is empty.
    """
    where = label(file, part)
    data, whole = _first_bytes(file, part)
    encoding = encoding or next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding in ("utf-8", "utf-8-sig") and b"\0" in data:
        raise UserError(_with_nul_bytes(where, data))
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError as error:
        line, message = undecodable(data, error.start, encoding)
        raise UserError(f"{where}, line {line}: {message}") from None
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UserError(f"{where} holds nothing but blanks." if text else f"{where} is empty.")
    if not whole:
        ends = list(LINE_END.finditer(text))
        # A \r that ends the sample may be half of \r\n.
        text = text[: next((end.end() for end in reversed(ends) if end.end() < len(text)), len(text))]
    return Sample(text, encoding, whole)


def undecodable(data: bytes, position: int, encoding: str) -> tuple[int, str]:
    """The line, from 1, of a byte that is not in the encoding, how it may be meant and what to declare."""
    start = max(data.rfind(b"\n", 0, position), data.rfind(b"\r", 0, position)) + 1
    end = min((at for at in (data.find(b"\n", position), data.find(b"\r", position)) if at >= 0), default=len(data))
    line = data[max(start, position - 60) : min(end, position + 60)]
    number = 1 + (data.count(b"\n", 0, position) or data.count(b"\r", 0, position))
    readings = {name: _reading(line, name) for name in ("latin-1", "cp1252")}
    suggested = "cp1252" if any(0x80 <= byte < 0xA0 for byte in line) and readings["cp1252"] else "latin-1"
    if encoding not in ("utf-8", "utf-8-sig", "ascii"):
        return number, f"not in {encoding}. Declare the encoding in which the file was written."
    return number, (
        f"not in {encoding}. In {suggested} it would read '{readings[suggested]}': if that is right, "
        f"declare csv: {{encoding: {suggested}}}, else the encoding in which the file was written."
    )


def _reading(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding).strip()
    except UnicodeDecodeError:
        return None


def _first_bytes(file: str, part: str) -> tuple[bytes, bool]:
    data = b""
    stream = chunks(file, part, size=SAMPLE_BYTES)
    for chunk in stream:
        data += chunk
        if len(data) > SAMPLE_BYTES:
            stream.close()
            return data[:SAMPLE_BYTES], False
    return data, True


def _with_nul_bytes(where: str, data: bytes) -> str:
    first = data.index(b"\0")
    share = data.count(b"\0") / len(data)
    if share > 0.3:
        kind = "utf-16-le" if first % 2 else "utf-16-be"
        return f"{where} seems to be in UTF-16 without saying so. Declare csv: {{encoding: {kind}}}."
    line = 1 + (data.count(b"\n", 0, first) or data.count(b"\r", 0, first))
    return f"{where}, line {line}: holds NUL bytes. The file is damaged, or no text."
