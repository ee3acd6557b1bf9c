"""A region.yaml from its bytes to a mapping: whatever the file holds, in bounded time, or one sentence that says why.

The bounds are far above any region: the largest that we know has a few hundred lines.
"""

import os
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import printable
from mora_pipeline.region.messages import shown

MOST_BYTES = 256 << 10  # of a region.yaml
MOST_NODES = 20_000  # mappings, lists and values, those that aliases repeat counted each time
DEEPEST = 24  # levels of nesting
LONGEST_VALUE = 20_000  # characters
LARGEST_INTEGER = 2**63


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a file holds.

    Raises:
        UserError: if it is not there, no regular file, larger than `MOST_BYTES`, or as `parse_yaml`.
    """
    try:
        text = _read(path)
    except FileNotFoundError:
        raise UserError(f"{path.absolute()} does not exist. Give the path of a region.yaml.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path.absolute()} cannot be read as text: {error}.") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{printable(str(path.absolute()))} cannot be read as text: {reason}.") from None
    return parse_yaml(path.name, text)


def _read(path: Path) -> str:
    # Without O_NONBLOCK, a pipe that nobody writes to would be waited for, for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError(f"{path.absolute()} is no regular file. Give the path of a region.yaml.")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UserError(
            f"{path.absolute()} is larger than {MOST_BYTES >> 10} KB, so it is no region.yaml. Give the path of one; "
            "data belongs in files that it names."
        )
    return content.decode("utf-8")


class _Bounded(yaml.SafeLoader):
    """YAML of bounded size, in which a key written twice is refused (plain YAML keeps the last).

    The key `null` is a word.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._nodes = 0
        self._sizes: dict[int, int] = {}  # by id: nodes with all that is below, aliases followed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_VALUE:
            raise _wrong(f"a value has {len(event.value):,} characters; {LONGEST_VALUE:,} are allowed", event)
        if self._level >= DEEPEST:
            raise _wrong(f"it is nested deeper than {DEEPEST} levels; a region needs a few", event)
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is not None:
            self._count(node, event)
        return node

    def _count(self, node: yaml.Node, event: yaml.Event) -> None:
        if id(node) not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                raise _wrong(f"the alias '*{event.anchor}' is inside of what it repeats; write it out", event)
            below = node.value if isinstance(node, yaml.SequenceNode) else []
            if isinstance(node, yaml.MappingNode):
                below = [each for pair in node.value for each in pair]
            self._sizes[id(node)] = 1 + sum(self._sizes[id(each)] for each in below)
        self._nodes += 1
        if max(self._nodes, self._sizes[id(node)]) > MOST_NODES:
            raise _wrong(f"it holds more than {MOST_NODES:,} values, those that aliases repeat counted", event)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode):
                raise _wrong("a key is a mapping or a list; a key is a word", key_node)
            key = key_node.value
            if key == "null":
                key_node.tag = "tag:yaml.org,2002:str"
            if key in seen:
                raise _wrong(f"the key '{key}' is there twice; keep one", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        value = super().construct_object(node, deep)
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            raise _wrong("a whole number is beyond 64 bits; no key takes such", node)
        if isinstance(value, str) and not value.isprintable():
            odd = next((each for each in value if each == "\0" or "\ud800" <= each <= "\udfff"), None)
            if odd is not None:
                raise _wrong(f"a text holds the character {odd!a}, which no name or path has", node)
        return value


def _wrong(problem: str, at: yaml.Event | yaml.Node) -> yaml.constructor.ConstructorError:
    mark: Any = at.start_mark
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def parse_yaml(file: str, text: str) -> dict[str, Any]:
    """The mapping that `text` holds.

    Raises:
        UserError: with line and column, if it is not YAML; if a key is there twice; if it is too long, too deep or
            repeats too much by aliases; if it is not a mapping.
    """
    if len(text) > MOST_BYTES:
        raise UserError(f"{file}: it has more than {MOST_BYTES:,} characters. A region.yaml is a page or a few.")
    try:
        data = yaml.load(text, _Bounded)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise UserError(f"{file}: not valid YAML{where}: {printable(str(error.problem))}. Fix that line.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not valid YAML: {printable(' '.join(str(error).split()))}.") from None
    except RecursionError:
        raise UserError(f"{file}: not valid YAML: it is nested too deep. A region needs a few levels.") from None
    except (ValueError, TypeError, AttributeError, OverflowError, LookupError) as error:  # a 30 February
        reason = printable(str(error))[:200]
        raise UserError(f"{file}: not valid YAML: a value or key cannot be read ({reason}). Fix it.") from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {shown(data)}"
        raise UserError(f"{file}: {what}; it must be a mapping with keys such as region, resolution and mobility.")
    return data
