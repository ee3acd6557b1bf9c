"""What all commands share: the user's mistakes as one message, and a console."""

from typing import IO, TYPE_CHECKING, Any

import click

from mora_pipeline.contract.disk import disk_full
from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


class UserMistake(click.ClickException):
    """A `UserError` on its way to the terminal: the message alone, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


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


def console(stderr: bool = False) -> "Console":
    """A terminal that wraps tables but never breaks lines of a log."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False)
