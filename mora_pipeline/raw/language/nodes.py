"""What an expression is made of: each node knows its type before any row is read, and evaluates over a batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.functions import CONSTANT, CONVERT, COUNT, FUNCTIONS, OPERATORS, WORDING
from mora_pipeline.raw.language.kinds import Values
from mora_pipeline.raw.language.lists import element, entry

CONSTANTS = (WORDING, COUNT, CONSTANT)


@dataclass(frozen=True)
class Node:
    """``type``: of its values, as `kinds.unified_type` has them; ``span``: where it stands in the text."""

    type: pa.DataType
    span: tuple[int, int]

    @property
    def parts(self) -> tuple["Node", ...]:
        return ()

    @property
    def depth(self) -> int:
        return 1

    def evaluate(self, batch: pa.RecordBatch) -> Values:
        """The values of the rows of a batch, or one value for all."""
        raise NotImplementedError

    def columns(self) -> Iterator[str]:
        """The columns of the table that it needs."""
        for part in self.parts:
            yield from part.columns()


@dataclass(frozen=True)
class Constant(Node):
    value: Any

    def evaluate(self, batch: pa.RecordBatch) -> Values:
        return pa.scalar(self.value, self.type)


@dataclass(frozen=True)
class Column(Node):
    name: str

    def evaluate(self, batch: pa.RecordBatch) -> Values:
        return kinds.unified(batch.column(self.name))

    def columns(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True)
class Part(Node):
    """A field of a struct (by name), the value of a key of a map, or an element of a list (by number)."""

    of: Node
    key: str | int

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of,)

    @property
    def depth(self) -> int:
        return 1 + self.of.depth

    def evaluate(self, batch: pa.RecordBatch) -> Values:
        values = self.of.evaluate(batch)
        if isinstance(values, pa.Scalar):
            return self._of(kinds.as_array(values, 1))[0]
        return self._of(values)

    def _of(self, values: pa.Array) -> pa.Array:
        if isinstance(self.key, int):
            return element(values, self.key)
        if pa.types.is_map(values.type):
            return entry(values, self.key)
        return kinds.unified(pc.struct_field(values, [values.type.get_field_index(self.key)]))


@dataclass(frozen=True)
class Call(Node):
    """A function or an operator of its arguments."""

    name: str
    arguments: tuple[Node, ...]
    depth: int = 1  # type: ignore[assignment]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.arguments

    def evaluate(self, batch: pa.RecordBatch) -> Values:
        function = OPERATORS.get(self.name) or FUNCTIONS[self.name]
        values: list[Any] = []
        for place, argument in enumerate(self.arguments):
            takes = function.takes_at(place)
            if takes in CONSTANTS:
                values.append(argument.value)  # type: ignore[attr-defined]
            else:
                values.append(CONVERT.get(takes, _same)(argument.evaluate(batch)))
        if any(isinstance(each, pa.Array) for each in values):
            return function.work(*values)
        return function.work(*(kinds.as_array(each, 1) if isinstance(each, pa.Scalar) else each for each in values))[0]


def _same(values: Values) -> Values:
    return values
