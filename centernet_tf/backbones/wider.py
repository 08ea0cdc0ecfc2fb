"""Blocks that see a whole map at once: regions that reason about each other, and center pooling."""

from typing import Any

from keras import layers

from centernet_tf.backbones.blocks import batch_norm, convolution, torch_uniform
from centernet_tf.layers import CenterPool, FromNodes, ToNodes

POOLED = 128  # channels of what center pooling takes the largest values of


def global_reasoning(x: Any, name: str) -> Any:
    """A global reasoning unit (Graph-Based Global Reasoning Networks, Chen et al., CVPR 2019), as in PPDM.

    Cells are summed up to a few nodes, which a graph convolution mixes, and brought back and added. Shares of nodes are
    behind a ReLU, and nodes are added to what the first graph convolution makes of them.

    Args:
        x: [B, h, w, C].
        name: Start of the layers' names.

    Returns:
        [B, h, w, C].
    """
    channels = x.shape[-1]
    features = _active(_normalised(x, channels // 2, f"{name}_features"), f"{name}_features")
    shares = _active(_normalised(x, channels // 4, f"{name}_shares"), f"{name}_shares")
    nodes = ToNodes(name=f"{name}_to_nodes")([features, shares])  # [B, C / 2, C / 4]
    mixed = _graph_convolution(nodes, f"{name}_between_nodes")
    nodes = layers.Permute((2, 1), name=f"{name}_turn")(layers.Add(name=f"{name}_nodes_add")([mixed, nodes]))
    nodes = _graph_convolution(nodes, f"{name}_within_nodes")
    back = _normalised(FromNodes(name=f"{name}_from_nodes")([nodes, shares]), channels, f"{name}_back")
    return _active(layers.Add(name=f"{name}_add")([back, x]), name)


def _graph_convolution(x: Any, name: str) -> Any:
    x = layers.Conv1D(x.shape[-1], 1, kernel_initializer=torch_uniform(), name=f"{name}_conv")(x)
    return _active(batch_norm(x, f"{name}_norm"), name)


def center_pooling(x: Any, name: str) -> Any:
    """Center pooling between convolutions (CenterNet, Duan et al., ICCV 2019, section 3.2), as in IP-Net.

    Args:
        x: [B, h, w, C].
        name: Start of the layers' names.

    Returns:
        [B, h, w, C].
    """
    channels = x.shape[-1]
    start = {"kernel": 3, "bias": False}
    columns, rows = (
        _active(_normalised(x, POOLED, f"{name}_{side}", **start), f"{name}_{side}") for side in ("columns", "rows")
    )
    pooled = CenterPool(name=f"{name}_pool")([columns, rows])
    both = [
        _normalised(pooled, channels, f"{name}_pooled", **start),
        _normalised(x, channels, f"{name}_shortcut", bias=False),
    ]
    joined = _active(layers.Add(name=f"{name}_add")(both), f"{name}_joined")
    return _active(_normalised(joined, channels, f"{name}_last", **start), f"{name}_last")


def _normalised(x: Any, filters: int, name: str, kernel: int = 1, bias: bool = True) -> Any:
    x = convolution(x, filters, kernel, 1, f"{name}_conv", use_bias=bias, kernel_initializer=torch_uniform())
    return batch_norm(x, f"{name}_norm")


def _active(x: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_relu")(x)
