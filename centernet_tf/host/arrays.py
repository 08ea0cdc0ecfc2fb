"""Arrays as JSON holds them, and back: the same type, shape and values."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def array_to_dict(values: np.ndarray) -> dict[str, Any]:
    """Type, shape and nested lists of an array."""
    return {"dtype": str(values.dtype), "shape": list(values.shape), "values": plain_lists(values)}


def array_from_dict(array: Mapping[str, Any]) -> np.ndarray:
    """Reads what `array_to_dict` made."""
    return np.array(array["values"], array["dtype"]).reshape(array["shape"])


def plain_lists(values: np.ndarray) -> list:
    """Nested lists; a float is written with the fewest digits that give the same value back."""
    if values.dtype.kind == "f":
        return values.astype(str).astype(np.float64).tolist()
    return values.tolist()
