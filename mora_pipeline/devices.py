"""Where torch computes."""

from mora_pipeline.contract.errors import UserError


def best_device(wanted: str = "auto", owner: str = "") -> str:
    """`cuda` or `cpu`: the GPU where torch sees one, unless the setting says otherwise.

    Args:
        wanted: the setting: `auto`, `cpu` or `cuda`.
        owner: the part that has the setting, for the message.

    Raises:
        UserError: if CUDA is asked for where there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{owner}: device is 'cuda', but torch sees no CUDA device here. Set device to 'auto'.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
