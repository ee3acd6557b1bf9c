"""Where training runs."""

import torch

from mora_pipeline.contract.errors import UserError


def training_device(wanted: str, whose: str) -> torch.device:
    """The device of a setting: `auto` is CUDA where there is one, else the CPU.

    Args:
        wanted: `auto`, `cpu` or `cuda`.
        whose: the part that has the setting, for the message.

    Raises:
        UserError: if CUDA is asked for where there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{whose}: device is 'cuda', but torch sees no CUDA device here. Set device to 'auto'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
