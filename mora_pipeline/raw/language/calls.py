"""Whether a function or an operator may be called with what stands in its brackets."""

from collections.abc import Sequence

import pyarrow as pa

from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.functions import (
    ACCEPTED,
    CLOCK,
    CONSTANT,
    COUNT,
    DIGITS,
    FUNCTIONS,
    OPERATORS,
    WANTED,
    WORDING,
    Function,
    common_kind,
    common_type,
)  # fmt: skip
from mora_pipeline.raw.language.kinds import BOOLEAN, MOMENT, NUMBER, TEXT
from mora_pipeline.raw.language.nodes import Call, Constant, Node
from mora_pipeline.raw.language.syntax import MOST_STEPS, refuse

COMPARING = frozenset({"=", "<>", "<", "<=", ">", ">=", "in", "between"})
WRITTEN = {WORDING: (str,), COUNT: (int,), CONSTANT: (str, int, float)}
EXACT = 2**53  # up to which fractions hold every whole number
FORMS = {NUMBER: "number", DIGITS: "number", CLOCK: "time", MOMENT: "time"}


def not_a_value(kind: pa.DataType, name: str) -> str | None:
    """What to say instead of a column of a nested type, or None if it is a value."""
    group = kinds.kind_of(kind)
    if group == kinds.STRUCT:
        fields = [field.name for field in kinds.unified_type(kind)]
        return f"{name} is a struct of {', '.join(fields) or 'nothing'}" + (
            f": say {name}.{fields[0]}" if fields else ""
        )
    if group == kinds.LIST:
        return f"{name} is a list: say {name}[0], join({name}, ',') or contains({name}, 'x')"
    return f"{name} is a map: say {name}['key']" if group == kinds.MAP else None


def called(text: str, name: str, span: tuple[int, int], arguments: Sequence[Node]) -> Call:
    """A call, checked.

    Raises:
        UserError: if the arguments are too few, too many or of another kind than it takes.
    """
    function = OPERATORS.get(name) or FUNCTIONS[name]
    check = _Check(text, name, span[0], function, arguments)
    check.count()
    for place, argument in enumerate(arguments):
        check.argument(function.takes_at(place), argument)
    check.together()
    types = [argument.type for argument in arguments]
    call = Call(function.gives(types), span, name, tuple(arguments), common_kind(types) if name in COMPARING else None)
    if call.depth > MOST_STEPS:
        refuse(text, span[0], f"more than {MOST_STEPS} operations build on one another. Say in (…) for a long list.")
    return call


class _Check:
    """The rules of one call."""

    def __init__(self, text: str, name: str, at: int, function: Function, arguments: Sequence[Node]) -> None:
        self.text, self.name, self.at, self.function, self.arguments = text, name, at, function, arguments

    def count(self) -> None:
        function, given = self.function, len(self.arguments)
        if function.least <= given and (given <= function.most or not function.most):
            return
        most = f" to {function.most}" if function.most > function.least else "" if function.most else " or more"
        word = "argument" if function.least == function.most == 1 else "arguments"
        refuse(self.text, self.at, f"{self.name} takes {function.least}{most} {word}, not {given}.")

    def argument(self, takes: str, node: Node) -> None:
        if takes in WRITTEN:
            if not isinstance(node, Constant) or isinstance(node.value, bool):
                refuse(self.text, node.span[0], f"{self.name} takes {takes} here, written out.")
            if not isinstance(node.value, WRITTEN[takes]):
                refuse(self.text, node.span[0], f"{self.name} takes {takes} here.")
            return
        kind = kinds.kind_of(node.type)
        if takes in ACCEPTED and kind not in ACCEPTED[takes]:
            name = self._named(node)
            what = str(node.type) if kind == kinds.OTHER else kinds.ARTICLES[kind]
            problem = not_a_value(node.type, name) or f"{name} is {what}, which {self.name} does not take"
            if takes == BOOLEAN:
                problem = f"{name} is {kinds.ARTICLES[kind]}, not true or false: compare it, as in {name} = 1"
            elif takes == kinds.LIST:
                problem = f"{self.name} takes a list, and {name} is {kinds.ARTICLES[kind]}"
            refuse(self.text, node.span[0], f"{problem}.")
        if kind == kinds.LIST and self.name in ("join", "contains"):
            element = kinds.unified_type(node.type).value_type
            nested = not_a_value(element, f"{self._named(node)}[0]")
            if nested:
                refuse(self.text, node.span[0], f"{nested}, which {self.name} does not take.")
        if takes in FORMS:
            self._readable(FORMS[takes], node)

    def together(self) -> None:
        """Values that are compared, or of which one is chosen, go together; constants are what is wanted."""
        types = [argument.type for argument in self.arguments]
        if self.name in COMPARING:
            self._comparable(common_kind(types))
        chosen = types[1:] if self.name == "if" else types
        if self.name in ("if", "coalesce") and common_type(chosen) is None:
            found = list(dict.fromkeys(kinds.ARTICLES[kinds.kind_of(each)] for each in chosen))
            told = " and ".join(found) if len(found) > 1 else "times with a zone and without"
            refuse(self.text, self.at, f"{self.name} chooses among values of one kind, not {told}.")
        constants = [
            node.value
            for place, node in enumerate(self.arguments)
            if isinstance(node, Constant) and self.function.takes_at(place) in WRITTEN
        ]
        wanted = WANTED[self.name](constants) if self.name in WANTED else None
        if wanted:
            refuse(self.text, self.at, f"{self.name} takes {wanted}.")

    def _comparable(self, kind: str | None) -> None:
        if kind is None:
            found = " and ".join(f"{self._named(node)} ({kinds.kind_of(node.type)})" for node in self.arguments)
            refuse(self.text, self.at, f"{found} cannot be compared.")
        for node in self.arguments:
            if kind in (NUMBER, MOMENT, BOOLEAN):
                self._readable(kind, node)
        large = [node for node in self.arguments if isinstance(node, Constant) and type(node.value) is int]
        if any(kinds.kind_of(node.type) == TEXT for node in self.arguments):
            for node in large:
                if abs(node.value) > EXACT:
                    refuse(self.text, node.span[0], f"this number is compared with a text: say '{node.value}'.")

    def _readable(self, kind: str, node: Node) -> None:
        """A text written out must be what it is read as."""
        if not isinstance(node, Constant) or not isinstance(node.value, str):
            return
        readers = {NUMBER: kinds.as_number, MOMENT: kinds.as_moment, BOOLEAN: kinds.as_boolean}
        if not readers[kind](pa.scalar(node.value)).is_valid:
            refuse(self.text, node.span[0], f"'{node.value}' is no {'true or false' if kind == BOOLEAN else kind}.")

    def _named(self, node: Node) -> str:
        return self.text[slice(*node.span)].strip()
