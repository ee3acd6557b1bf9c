"""Names for what a result depends on: its settings and its inputs, by content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def digest(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256, in hexadecimal, of facts, which JSON can hold, and of named arrays [any shape]: type, shape, content."""
    summed = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, array in arrays.items():
        summed.update(f"{name} {array.dtype.str} {array.shape}".encode())
        summed.update(np.ascontiguousarray(array).data)
    return summed.hexdigest()
