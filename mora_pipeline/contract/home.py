"""Where this machine keeps what MoRA makes, and where it looks for new regions."""

import os
from pathlib import Path


def mora_home() -> Path:
    """The folder that holds all a run makes: ``$MORA_HOME``, or ``.mora`` in the working directory."""
    return Path(os.environ.get("MORA_HOME", ".mora")).expanduser().resolve()


def watched_root() -> Path:
    """The folder whose sub-folders become regions: ``$MORA_REGIONS``, or ``$MORA_HOME/regions``; links resolved."""
    chosen = os.environ.get("MORA_REGIONS")
    return (Path(chosen).expanduser() if chosen else mora_home() / "regions").resolve()
