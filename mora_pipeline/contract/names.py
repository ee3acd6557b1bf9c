"""Names that become folders: of regions."""

import re

from mora_pipeline.contract.errors import UserError

REGION_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


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
