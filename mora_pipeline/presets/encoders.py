"""The dataset of an encoder that another region can use: its files, and which preset it is of."""

import json
from pathlib import Path

from mora_pipeline.contract.errors import UserError

DATASET = "encoder"  # beside `embeddings`, of a region that has trained one
WEIGHTS, SETTINGS = "encoder.safetensors", "encoder.json"


def preset_in(folder: Path) -> str:
    """The preset that an encoder is of.

    Raises:
        UserError: if the folder holds no whole encoder.
    """
    try:
        return str(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["preset"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error


def damaged(folder: Path, error: Exception) -> UserError:
    """The message for a folder that holds no whole encoder."""
    return UserError(
        f"{folder} does not hold a whole encoder ({type(error).__name__}: {error}). Train it again: "
        "materialise the embeddings of its region"
    )
