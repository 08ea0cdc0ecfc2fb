"""How fast this machine multiplies matrices, and what share of that a network reaches.

A network's milliseconds say as much of the machine as of the network. Beside a large product of matrices, timed in
turn with it, they say how much is lost to everything that is no multiplication.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.benchmark.modes import compiled

SIDE = 2048  # of the matrices on processors: 17 billion operations, and caches hold none of the three
# A step multiplies forward, for the gradients of the maps, and for those of the kernels.
TRAINING = 3


def product(dtype: str, side: int = SIDE) -> Callable[[], Any]:
    """A call that multiplies two matrices [side, side] by the backend's own operator and ends when that has ended."""
    values = np.random.default_rng(0).normal(size=(2, side, side)).astype(np.float32)
    first, second = (ops.cast(ops.convert_to_tensor(value), dtype) for value in values)
    return compiled(ops.matmul, first, second)


def matrix_rate(milliseconds: float, side: int = SIDE) -> float:
    """GFLOP/s of `product`, a multiplication and an addition being two operations."""
    return 2 * side**3 / milliseconds / 1e6


def share(multiply_adds: float, milliseconds: float, rate: float) -> float:
    """What part of a rate some work reaches, 1 where it is as fast as multiplying matrices.

    Args:
        multiply_adds: Of the whole work: those of an image, times the images, times `TRAINING` of a training step.
        milliseconds: That it took.
        rate: GFLOP/s as of `matrix_rate`.

    A convolution in fewer multiplications than its definition has may come above 1.
    """
    return 2 * multiply_adds / milliseconds / 1e6 / rate
