"""Packages that only some raw data need."""

from collections.abc import Iterator
from contextlib import contextmanager

from mora_pipeline.contract.errors import UserError


@contextmanager
def geo_extra(purpose: str) -> Iterator[None]:
    """Import packages of the extra ``geo`` in its body.

    Args:
        purpose: what needs them, as the subject of a sentence.

    Raises:
        UserError: if one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as lacking:
        raise UserError(
            f"{purpose} need{'' if purpose.endswith('s') else 's'} the package {lacking.name}: "
            "pip install 'mora-pipeline[geo]'"
        ) from None
