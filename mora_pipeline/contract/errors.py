"""Errors that a user can fix: the message names the cause and the fix, so no traceback is shown."""


class UserError(Exception):
    """A mistake in the user's data, files or settings.

    Commands print the message alone and exit with 2; assets fail with it as their description.
    """
