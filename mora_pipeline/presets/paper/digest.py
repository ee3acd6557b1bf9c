"""Names for what a training depends on: its code, its settings and its inputs, by content."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def digest(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of facts, which JSON can hold, and of arrays by name, with their types and shapes, in hexadecimal."""
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


@cache
def code_of_training() -> str:
    """A name for the code of LINE and of alignment: any change of it trains all anew."""
    return hashlib.sha256(
        b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    ).hexdigest()
