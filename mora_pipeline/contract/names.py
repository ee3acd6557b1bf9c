"""Names that become folders, and the name that was probably meant."""

import difflib
import re
from collections.abc import Iterable

from mora_pipeline.contract.errors import UserError

REGION_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
SIMILARITY = 0.5  # from which a name is offered as what was meant


def checked_region_name(name: str) -> str:
    """The name itself, if it can be a partition and a folder.

    Raises:
        UserError: if it is anything but a lower-case letter followed by letters, digits and underscores.
    """
    if not REGION_NAME.fullmatch(name):
        raise UserError(
            f"'{name}' cannot name a region: use a lower-case letter, then lower-case letters, digits and "
            "underscores, 63 at most (us_east)."
        )
    return name


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with the choice nearest to `word`, or that has it as a part; nothing if none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=SIMILARITY)
    if not near:
        near = [choice for choice in by_lower if word and word.lower() in choice.split("_")]
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""
