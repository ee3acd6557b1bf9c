"""What all commands share: the user's mistakes as one message, and a console."""

import logging
from typing import IO, TYPE_CHECKING, Any

import click

from mora_pipeline.contract import json_logs
from mora_pipeline.contract.disk import disk_full
from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


class UserMistake(click.ClickException):
    """A `UserError` on its way to the terminal: the message alone, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        complain(self.message, file)


class MoraGroup(click.Group):
    """A group of commands that shows the user's mistakes without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise UserMistake(str(error)) from error
        except Exception as error:
            if reason := disk_full(error):
                raise UserMistake(reason) from error
            raise


def complain(message: str, file: IO[Any] | None = None) -> None:
    """Tell what went wrong, on standard error; as a JSON line where logs are JSON.

    Args:
        file: where to instead.
    """
    if json_logs.is_on() and file is None:
        json_logs.set_up()
        logging.getLogger("mora_pipeline").error(message)
    else:
        click.echo(message, file=file, err=file is None)


def console(stderr: bool = False) -> "Console":
    """A terminal that wraps tables but never breaks lines of a log."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False)
