"""3x3 convolutions in fewer multiplications, their inputs prepared once where several of them read the same map.

"Fast Algorithms for Convolutional Neural Networks" (Lavin and Gray, 2016), F(4x4, 3x3): tiles of 6 x 6 cells, four
apart, are transformed, multiplied with a transformed kernel at each of 36 places, and transformed back to 4 x 4 cells.
That is a quarter of the multiplications. The numbers are those of the convolution but for rounding.
"""

from typing import Any

import numpy as np
from keras import ops

TILE, APART, SIDE = 6, 4, 3  # cells that a tile reads, cells that it answers, side of the kernel
PLACES = TILE * TILE

# The paper's matrices B, G and A, of points 0, 1, -1, 2, -2 and infinity.
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float64,
)
_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float64) / 24
_OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float64)


def _both_axes(matrix: np.ndarray) -> np.ndarray:
    """What a matrix does along rows and then along columns, as one matrix."""
    return np.kron(matrix, matrix).astype(np.float32)


def prepared_kernel(kernel: np.ndarray) -> np.ndarray:
    """[3, 3, C, D] as [36, C, D] float32."""
    _, _, depth, count = kernel.shape
    made = np.kron(_KERNEL, _KERNEL) @ np.float64(kernel).reshape(SIDE * SIDE, depth * count)
    return made.reshape(PLACES, depth, count).astype(np.float32)


def prepared_map(values: Any) -> Any:
    """[B, h, w, C] as [B, 36, t, C] float32, of t tiles; zeros are around the map."""
    batch, height, width, depth = ops.shape(values)
    rows, columns = tiles(height, width)
    beyond = ((0, 0), (1, APART * rows - height + 1), (1, APART * columns - width + 1), (0, 0))
    padded = ops.pad(ops.cast(values, "float32"), beyond)
    parts = []
    for down in range(TILE):
        for right in range(TILE):
            rest = padded[:, down : down + APART * (rows - 1) + 1, right : right + APART * (columns - 1) + 1]
            parts.append(ops.reshape(rest[:, ::APART, ::APART], (batch, 1, -1)))
    made = ops.matmul(ops.convert_to_tensor(_both_axes(_INPUT)), ops.concatenate(parts, axis=1))
    return ops.reshape(made, (batch, PLACES, rows * columns, depth))


def convolved(maps: Any, kernel: Any) -> Any:
    """[36, t, C] of a prepared map and a prepared kernel to [16, t, D], the cells of tiles, see `whole_again`."""
    products = ops.matmul(maps, kernel)
    _, count, depth = ops.shape(products)
    made = ops.matmul(ops.convert_to_tensor(_both_axes(_OUTPUT)), ops.reshape(products, (PLACES, count * depth)))
    return ops.reshape(made, (APART * APART, count, depth))


def whole_again(values: Any, size: tuple[int, int]) -> Any:
    """[16, t, D] of `convolved` as a map [1, h, w, D] of this height and width."""
    rows, columns = tiles(*size)
    depth = values.shape[-1]
    apart = ops.reshape(values, (APART, APART, -1, rows, columns, depth))
    joined = ops.reshape(ops.transpose(apart, (2, 3, 0, 4, 1, 5)), (-1, APART * rows, APART * columns, depth))
    return joined[:, : size[0], : size[1]]


def tiles(height: Any, width: Any) -> tuple[Any, Any]:
    """How many tiles cover a map, down and across."""
    return -(-height // APART), -(-width // APART)
