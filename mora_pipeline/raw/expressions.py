"""Columns as expressions: ``names.primary``, ``left(code, 5)``, ``confidence > 0.5``.

A grammar of our own over Arrow's functions: nothing in it can read a file, reach Python or run long. A text that is
the name of a column is that column, whatever it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.calls import not_a_value
from mora_pipeline.raw.language.grammar import Parser
from mora_pipeline.raw.language.nodes import Column, Node, Rows


@dataclass(frozen=True)
class Expression:
    """An expression over the columns of a table: ``text``, as written."""

    text: str
    node: Node

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it needs, each once."""
        return tuple(dict.fromkeys(self.node.columns()))

    def number_columns(self, wanted: bool) -> set[str]:
        """Those of its columns whose values are read as numbers; ``wanted``: its own values are."""
        return set(self.node.number_columns(wanted))

    @property
    def is_plain(self) -> bool:
        """Whether it is a column of the table and nothing more."""
        return isinstance(self.node, Column)

    @property
    def type(self) -> pa.DataType:
        """Of its values; of a plain column, the type that the table has."""
        return self.node.type

    @property
    def not_a_value(self) -> str | None:
        """What to say instead where it is a struct, a list or a map: ``names is a struct of …: say names.primary``."""
        return not_a_value(self.node.type, self.text.strip())

    def evaluate(self, batch: pa.RecordBatch, written: Dialect | None = None) -> pa.Array:
        """Its values over a batch, [rows]. A plain column is as it is, dictionaries decoded.

        Args:
            written: how texts write numbers (a decimal comma, thousands), and which texts are null. None: numbers have
                a decimal point, and a text is a text.

        Raises:
            UserError: if a column holds whole numbers beyond 2^63.
        """
        if isinstance(self.node, Column):
            values = batch.column(self.node.name)
            values = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
            return values.cast(pa.string()) if values.type in kinds.TEXT_TYPES else values
        return kinds.as_array(self.node.evaluate(Rows(batch, written)), batch.num_rows)


def parse(text: str, columns: Mapping[str, pa.DataType]) -> Expression:
    """The expression that a text is, over columns of these types.

    Raises:
        UserError: if it is none, names no column or function there is, or gives a list, a struct or a map.
    """
    for name in (text, text.strip()):
        if name in columns:
            return Expression(text, Column(columns[name], (0, len(text)), name))
    node = Parser(text, columns).parse()
    problem = not_a_value(node.type, text.strip())
    if problem and not isinstance(node, Column):
        raise UserError(f"{problem}.")
    return Expression(text, node)


def parse_filter(text: str, columns: Mapping[str, pa.DataType]) -> Expression:
    """The condition that a text is: its values are true or false, never null (a row that cannot tell is left out).

    Raises:
        UserError: as `parse`; if it is no condition.
    """
    expression = parse(text, columns)
    kind = kinds.kind_of(expression.type)
    if kind != kinds.BOOLEAN:
        given, value = kinds.ARTICLES[kind], "'x'" if kind == kinds.TEXT else "1"
        raise UserError(f"'{text}' gives {given}, not true or false: compare it, as in {text.strip()} = {value}.")
    return Filter(text, expression.node)


@dataclass(frozen=True)
class Filter(Expression):
    """A condition on rows."""

    def evaluate(self, batch: pa.RecordBatch, written: Dialect | None = None) -> pa.Array:
        return pc.fill_null(super().evaluate(batch, written), False)
