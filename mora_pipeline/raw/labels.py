"""Tables with one value a place: values that are no numbers, and places with several."""

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import shape_of
from mora_pipeline.raw.reader import SourceReader

SHOWN = 3  # labels, in a message


class Unreadable:
    """Labels that are there and are no numbers."""

    def __init__(self) -> None:
        self.there, self.bad, self.examples = 0, 0, list[str]()

    def add(self, reader: SourceReader, role: str, typed: pa.RecordBatch, raw: pa.RecordBatch) -> None:
        file = typed["source"].dictionary[0].as_py()
        texts = reader.texts(role, raw, file)
        there = texts.is_valid()
        bad = pc.and_(there, typed[role].is_null())
        self.there += pc.sum(there).as_py() or 0
        self.bad += pc.sum(bad).as_py() or 0
        if len(self.examples) < SHOWN:
            self.examples += texts.filter(bad).slice(0, SHOWN - len(self.examples)).to_pylist()

    def check(self, where: str) -> None:
        """Refuse them if they are too many: labels that fail are seldom any ones (the largest, the smallest).

        Raises:
            UserError: if they are.
        """
        if self.bad > MAXIMUM_BAD_SHARE * self.there:
            shown = ", ".join(dict.fromkeys(map(shape_of, self.examples)))
            raise UserError(
                f"{where}: {self.bad:,} of {self.there:,} labels are no plain numbers, such as {shown}. Say how they "
                "are written (csv: {thousands: ','}) or which of them mean that there is none (null: [...]), or leave "
                "those rows out (where: ...)."
            )


def refuse_repeated(where: str, places: pa.ChunkedArray) -> None:
    """Refuse a table that has several rows of a place, where nothing says what is to become of them.

    Args:
        where: the key of region.yaml that names the table.
        places: ids.

    Raises:
        UserError: if a place has several.
    """
    counts = pc.value_counts(places)
    most = int(pc.max(counts.field("counts")).as_py() or 0)
    if most > 1:
        place = counts.field("values").filter(pc.equal(counts.field("counts"), most))[0].as_py()
        raise UserError(repeated(where, place, most))


def repeated(where: str, place: str, rows: int) -> str:
    """What is said of a place with several rows."""
    return (
        f"{where}: place '{place}' has {rows:,} rows. Choose one of them by where, such as year = 2019, or say how "
        "they become one: aggregate: mean, or sum."
    )
