"""Errors that a user can fix: the message names the cause and the fix, so no traceback is shown."""

from collections.abc import Mapping
from types import MappingProxyType

from mora_pipeline.contract.quoting import printable_lines

LONGEST_MESSAGE = 3000  # characters that are shown


class UserError(Exception):
    """A mistake in the user's data, files or settings.

    Commands print the message alone and exit with 2; assets fail with it as their description.

    Attributes:
        costs: seconds and memory that a step took until it met the mistake.
    """

    costs: Mapping[str, float] = MappingProxyType({})

    def __str__(self) -> str:
        """The message, fit for a terminal, a log and a database whatever names and values it tells of."""
        text = printable_lines(super().__str__())
        cut = len(text) - LONGEST_MESSAGE
        return text if cut <= 0 else f"{text[: LONGEST_MESSAGE * 2 // 3]} … {text[-LONGEST_MESSAGE // 3 :]}"
