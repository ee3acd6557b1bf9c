"""The grammar of expressions: from text to nodes whose types are known, or one message that says what is wrong."""

from collections.abc import Mapping

import pyarrow as pa

from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.calls import called, not_a_value
from mora_pipeline.raw.language.functions import FUNCTIONS
from mora_pipeline.raw.language.lists import entry_type
from mora_pipeline.raw.language.nodes import Column, Constant, Node, Part
from mora_pipeline.raw.language.syntax import DEEPEST, Token, refuse, tokens_of

# How strongly operators bind; those of 4 stand alone (a < b < c is nothing).
POWERS = {
    "or": 1, "and": 2, **dict.fromkeys(("=", "==", "!=", "<>", "<", "<=", ">", ">=", "is", "in", "between", "like"), 4),
    "||": 5, "+": 6, "-": 6, "*": 7, "/": 7, "%": 7,
}  # fmt: skip
NOT, COMPARISON, TEXTS, SIGN = 3, 4, 5, 8
SAME = {"==": "=", "!=": "<>"}
INSTEAD = {
    "cast": "number(x), integer(x) or text(x)", "case": "if(condition, a, b)", "iif": "if(condition, a, b)",
    "ifnull": "coalesce", "nvl": "coalesce", "substr": "substring", "lpad": "pad", "to_date": "date", "int": "integer",
    "float": "number", "double": "number", "str": "text", "string": "text", "array_contains": "contains",
    "size": "list_size", "len": "length", "min": "least", "max": "greatest", "regexp_replace": "replace",
}  # fmt: skip


class Parser:
    """Reads one expression; the place in its tokens moves on."""

    def __init__(self, text: str, columns: Mapping[str, pa.DataType]) -> None:
        self.text, self.columns_there = text, columns
        self.tokens, self.place, self.nesting = tokens_of(text), 0, 0

    def parse(self) -> Node:
        """The whole text as one node."""
        node = self._expression(0)
        if self._next.kind != "end":
            self._unexpected("an operator or the end")
        return node

    @property
    def _next(self) -> Token:
        return self.tokens[self.place]

    def _take(self) -> Token:
        token = self.tokens[self.place]
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def _is(self, *values: str) -> bool:
        return self._next.kind in ("sign", "word") and self._next.value in values

    def _unexpected(self, expected: str) -> None:
        refuse(self.text, self._next.at, f"{expected} is expected, not {self._next}.")

    def _expect(self, value: str) -> Token:
        if not self._is(value):
            self._unexpected(f"'{value}'")
        return self._take()

    def _call(self, name: str, at: int, *arguments: Node) -> Node:
        return called(self.text, name, (min(at, *(each.span[0] for each in arguments), at), self._next.at), arguments)

    def _expression(self, least: int) -> Node:
        self.nesting += 1
        if self.nesting > DEEPEST:
            refuse(self.text, self._next.at, f"more than {DEEPEST} expressions stand one in another.")
        left = self._prefix()
        while True:
            word = self._next
            negated = word.value == "not" and word.kind == "word"
            power = COMPARISON if negated else POWERS.get(word.value, 0) if word.kind in ("sign", "word") else 0
            if power <= least or not power:
                break
            left = self._infix(left, power)
            if (
                power == COMPARISON
                and POWERS.get(self._next.value) == COMPARISON
                and self._next.kind in ("sign", "word")
            ):
                refuse(self.text, self._next.at, "comparisons do not follow one another: put and between them.")
        self.nesting -= 1
        return left

    def _infix(self, left: Node, power: int) -> Node:
        token = self._take()
        if power != COMPARISON or token.kind == "sign":
            name = SAME.get(token.value, token.value)
            return self._call(name, token.at, left, self._expression(power))
        if token.value == "is":
            negated = self._maybe("not")
            self._expect("null")
            return self._maybe_not(negated, self._call("is null", token.at, left))
        if token.value == "not":
            if not self._is("in", "between", "like"):
                self._unexpected("in, between or like")
            return self._call("not", token.at, self._infix(left, power))
        if token.value == "in":
            self._expect("(")
            return self._call("in", token.at, left, *self._arguments())
        if token.value == "between":
            low = self._expression(COMPARISON)
            self._expect("and")
            return self._call("between", token.at, left, low, self._expression(COMPARISON))
        return self._call(token.value, token.at, left, self._expression(COMPARISON))

    def _maybe(self, word: str) -> bool:
        there = self._is(word)
        if there:
            self._take()
        return there

    def _maybe_not(self, negated: bool, node: Node) -> Node:
        return self._call("not", node.span[0], node) if negated else node

    def _prefix(self) -> Node:
        token = self._next
        if self._is("not"):
            self._take()
            return self._call("not", token.at, self._expression(NOT))
        if self._is("-", "+"):
            self._take()
            value = self._expression(SIGN)
            if token.value == "-" and isinstance(value, Constant) and kinds.kind_of(value.type) == kinds.NUMBER:
                return Constant(value.type, (token.at, value.span[1]), -value.value)
            return self._call("minus", token.at, value) if token.value == "-" else value
        return self._postfix(self._primary())

    def _primary(self) -> Node:
        token = self._take()
        span = (token.at, self._next.at)
        if token.kind == "number":
            whole = token.value.isdigit() and len(token.value) < 19
            number = int(token.value) if whole else float(token.value)
            return Constant(kinds.WHOLE if whole else pa.float64(), span, number)
        if token.kind == "text":
            return Constant(pa.string(), span, token.value)
        if token.kind == "word" and token.value in ("true", "false", "null"):
            value = {"true": True, "false": False}.get(token.value)
            return Constant(pa.null() if value is None else pa.bool_(), span, value)
        if token.kind == "sign" and token.value == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.kind == "name":
            if token.plain and self._is("("):
                return self._function(token)
            return self._column(token)
        self.place = self.tokens.index(token)
        self._unexpected("a column, a value or a function")
        raise AssertionError

    def _arguments(self) -> list[Node]:
        """What stands up to the bracket that closes."""
        arguments: list[Node] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._expression(0))
        self._take()
        return arguments

    def _function(self, token: Token) -> Node:
        name = token.value.lower()
        if name not in FUNCTIONS:
            near = f" Say {INSTEAD[name]}." if name in INSTEAD else did_you_mean(name, FUNCTIONS)
            there = ", ".join(sorted(FUNCTIONS))
            refuse(self.text, token.at, f"there is no function '{token.value}'; there are {there}.{near}")
        self._expect("(")
        return self._call(name, token.at, *self._arguments())

    def _column(self, token: Token) -> Node:  # noqa: RET503
        """The column of the longest dotted name that is one."""
        names, places = [token.value], [self.place]
        while token.plain and self.tokens[places[-1]].value == "." and self.tokens[places[-1] + 1].plain:
            names.append(self._written(self.tokens[places[-1] + 1]))
            places.append(places[-1] + 2)
        for count in range(len(names), 0, -1):
            name = ".".join(names[:count])
            if name in self.columns_there:
                self.place = places[count - 1]
                return Column(kinds.unified_type(self.columns_there[name]), (token.at, self._next.at), name)
        near = did_you_mean(token.value, self.columns_there)
        there = ", ".join(self.columns_there) or "none"
        odd = [name for name in self.columns_there if not name.isidentifier() and name in self.text]
        near = f" In an expression say `{odd[0]}`." if odd else near
        refuse(self.text, token.at, f"there is no column '{token.value}'; there are {there}.{near}")

    def _written(self, token: Token) -> str:
        """A name as it is written: a keyword too may name a field."""
        return self.text[token.at : token.at + len(token.value)] if token.plain else token.value

    def _postfix(self, node: Node) -> Node:
        while self._is(".", "["):
            node = self._field(node) if self._take().value == "." else self._bracket(node)
        return node

    def _field(self, node: Node) -> Node:
        if self._next.kind not in ("name", "word"):
            self._unexpected("a name after '.'")
        token = self._take()
        return self._part(node, self._written(token), token.at)

    def _bracket(self, node: Node) -> Node:
        negative = self._maybe("-")
        token = self._take()
        if token.kind == "text" and not negative:
            key: str | int = token.value
        elif token.kind == "number" and token.value.isdigit() and len(token.value) < 10:
            key = -int(token.value) if negative else int(token.value)
        else:
            refuse(self.text, token.at, "a whole number, as in x[0], or a 'key' is expected in brackets.")
        self._expect("]")
        return self._part(node, key, token.at)

    def _part(self, node: Node, key: str | int, at: int) -> Node:  # noqa: RET503
        name, kind = self.text[slice(*node.span)].strip(), kinds.unified_type(node.type)
        group, span = kinds.kind_of(kind), (node.span[0], self._next.at)
        if group == kinds.LIST and isinstance(key, int):
            return Part(kinds.unified_type(kind.value_type), span, node, key)
        of_key = entry_type(kind)
        if of_key is not None and isinstance(key, str):
            return Part(of_key, span, node, key)
        if group == kinds.STRUCT and isinstance(key, str):
            fields = [field.name for field in kind]
            if fields.count(key) == 1:
                return Part(kinds.unified_type(kind.field(key).type), span, node, key)
            near = did_you_mean(key, fields)
            return refuse(self.text, at, f"{name} has no field '{key}'; it has {', '.join(fields)}.{near}")
        problem = not_a_value(kind, name) or f"{name} is {kinds.ARTICLES[group]} and has no parts"
        refuse(self.text, at, f"{problem}.")
