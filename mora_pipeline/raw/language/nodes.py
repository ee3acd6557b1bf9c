"""What an expression is made of: each node knows its type before any row is read, and evaluates over a batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.functions import (
    CONSTANT,
    COUNT,
    DIGITS,
    FUNCTIONS,
    OPERATORS,
    VALUE,
    WORDING,
    converted,
)  # fmt: skip
from mora_pipeline.raw.language.kinds import NUMBER, Values
from mora_pipeline.raw.language.lists import element, entry

CONSTANTS = (WORDING, COUNT, CONSTANT)
CHOICES = ("coalesce", "if")


@dataclass(frozen=True)
class Rows:
    """Rows of a table, and how their texts write numbers and what means no value (None: nothing is declared)."""

    batch: pa.RecordBatch
    written: Dialect | None = None

    def column(self, name: str) -> pa.Array:
        """A column in its `kinds.unified_type`."""
        values = kinds.unified(self.batch.column(name))
        if self.written is None or not self.written.null or values.type != pa.string():
            return values
        absent = pc.is_in(pc.utf8_trim_whitespace(values), pa.array(self.written.null))
        return pc.if_else(absent, kinds.empty(pa.string()), values)


@dataclass(frozen=True)
class Node:
    """``type``: of its values, as `kinds.unified_type` has them; ``span``: where it stands in the text."""

    type: pa.DataType
    span: tuple[int, int]

    @property
    def parts(self) -> tuple["Node", ...]:
        return ()

    @cached_property
    def depth(self) -> int:
        """How many nodes stand one in another."""
        return 1 + max((part.depth for part in self.parts), default=0)

    def evaluate(self, rows: Rows) -> Values:
        """The values of rows, or one value for all."""
        raise NotImplementedError

    def columns(self) -> Iterator[str]:
        """The columns of the table that it needs."""
        for part in self.parts:
            yield from part.columns()

    def number_columns(self, wanted: bool) -> Iterator[str]:
        """The columns whose values are read as numbers; ``wanted``: its own values are."""
        return iter(())


@dataclass(frozen=True)
class Constant(Node):
    value: Any

    def evaluate(self, rows: Rows) -> Values:
        return pa.scalar(self.value, self.type)


@dataclass(frozen=True)
class Column(Node):
    name: str

    def evaluate(self, rows: Rows) -> Values:
        return rows.column(self.name)

    def columns(self) -> Iterator[str]:
        yield self.name

    def number_columns(self, wanted: bool) -> Iterator[str]:
        return iter((self.name,) if wanted else ())


@dataclass(frozen=True)
class Part(Node):
    """A field of a struct (by name), the value of a key of a map, or an element of a list (by number)."""

    of: Node
    key: str | int

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of,)

    def evaluate(self, rows: Rows) -> Values:
        values = self.of.evaluate(rows)
        if isinstance(values, pa.Scalar):
            return self._of(kinds.as_array(values, 1))[0]
        return self._of(values)

    def _of(self, values: pa.Array) -> pa.Array:
        if isinstance(self.key, int):
            return element(values, self.key)
        if not pa.types.is_struct(values.type):
            return entry(values, self.key)
        return kinds.unified(pc.struct_field(values, [values.type.get_field_index(self.key)]))


@dataclass(frozen=True)
class Call(Node):
    """A function or an operator of its arguments; ``compared_as``: the kind that all are turned into."""

    name: str
    arguments: tuple[Node, ...]
    compared_as: str | None = None

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.arguments

    def number_columns(self, wanted: bool) -> Iterator[str]:
        function = OPERATORS.get(self.name) or FUNCTIONS[self.name]
        for place, argument in enumerate(self.arguments):
            takes = self.compared_as or function.takes_at(place)
            # One of the values that coalesce and if choose from is what is wanted of them.
            chosen = wanted and takes == VALUE and self.name in CHOICES
            yield from argument.number_columns(takes in (NUMBER, DIGITS) or chosen)

    def evaluate(self, rows: Rows) -> Values:
        function = OPERATORS.get(self.name) or FUNCTIONS[self.name]
        values: list[Any] = []
        for place, argument in enumerate(self.arguments):
            takes = self.compared_as or function.takes_at(place)
            if takes in CONSTANTS and isinstance(argument, Constant):
                values.append(argument.value)
            else:
                values.append(converted(argument.evaluate(rows), takes, rows.written))
        if any(isinstance(each, pa.Array) for each in values):
            return function.work(*values)
        return function.work(*(kinds.as_array(each, 1) if isinstance(each, pa.Scalar) else each for each in values))[0]
