"""Angles in radians, for NumPy arrays and for tensors of Keras' backend."""

from typing import Any

import numpy as np


def library_of(values: Any) -> Any:
    """What computes with these values: NumPy, or Keras' operators of the same names."""
    if isinstance(values, (np.ndarray, np.generic, float, int)):
        return np
    from keras import ops  # Those who have arrays, such as clients of a server, need no Keras.

    return ops


def wrap(angles: Any) -> Any:
    """Brings angles in radians into -pi to pi; those inside stay what they are."""
    library = library_of(angles)
    turns = library.ceil((angles - np.pi) / (2 * np.pi))
    return library.where(library.abs(angles) <= np.pi, angles, angles - 2 * np.pi * turns)
