"""Errors that a user can fix: the message names the cause and the fix, so no traceback is shown."""

from collections.abc import Mapping
from types import MappingProxyType


class UserError(Exception):
    """A mistake in the user's data, files or settings.

    Commands print the message alone and exit with 2; assets fail with it as their description.

    Attributes:
        costs: seconds and memory that a step took until it met the mistake.
    """

    costs: Mapping[str, float] = MappingProxyType({})
