"""The largest values of whole columns and rows, and features of regions that reason about each other."""

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="centernet_tf")
class CenterPool(keras.layers.Layer):
    """Largest values along the column and the row that a cell lies in (CenterNet, Duan et al., ICCV 2019, section 3.2).

    Two maps [B, h, w, C]; of the first the largest value of each column, of the second that of each row, and the sum of
    both at every cell. Pooling towards the top and then towards the bottom, as published, gives the same.
    """

    def call(self, maps: tuple[Any, Any]) -> Any:
        columns, rows = maps
        return ops.max(columns, axis=1, keepdims=True) + ops.max(rows, axis=2, keepdims=True)

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable(package="centernet_tf")
class ToNodes(keras.layers.Layer):
    """Features of cells to those of nodes (Graph-Based Global Reasoning Networks, Chen et al., CVPR 2019, section 3.2).

    Features [B, h, w, C] and shares [B, h, w, N] of each node in each cell to sums over the cells, [B, C, N].
    """

    def call(self, maps: tuple[Any, Any]) -> Any:
        features, shares = (_listed(values) for values in maps)
        return ops.matmul(ops.transpose(features, (0, 2, 1)), shares)

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        features, shares = input_shape
        return (features[0], features[3], shares[3])


@keras.saving.register_keras_serializable(package="centernet_tf")
class FromNodes(keras.layers.Layer):
    """The way back of `ToNodes`: nodes [B, N, C] and shares [B, h, w, N] to features of cells [B, h, w, C]."""

    def call(self, maps: tuple[Any, Any]) -> Any:
        nodes, shares = maps
        _, height, width, _ = ops.shape(shares)
        return ops.reshape(ops.matmul(_listed(shares), nodes), (-1, height, width, nodes.shape[2]))

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        nodes, shares = input_shape
        return (*shares[:3], nodes[2])


def _listed(maps: Any) -> Any:
    """[B, h, w, C] to [B, h w, C]."""
    _, height, width, channels = ops.shape(maps)
    return ops.reshape(maps, (-1, height * width, channels))
