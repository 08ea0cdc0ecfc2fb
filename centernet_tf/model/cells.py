"""A network as training and detection run it: what is read at single cells is computed at these alone.

Of 128 x 128 cells, 100 are objects. A head's 3x3 convolution to 256 channels over all of them is as much work as a good
part of a small trunk, and only heatmaps need every cell.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import layers, ops

from centernet_tf.layers import UnfoldFrames
from centernet_tf.points.task import Head

LAST = slice(-1, None)


def at_cells(
    network: keras.Model, heads: Sequence[Head], stacks: slice = slice(None)
) -> Callable[..., dict[str, list[Any]]]:
    """What calls a network without making the maps of heads that are read at cells.

    Args:
        network: As `network.build_network` makes it; of any other, all maps are made.
        heads: Its heads, some of them `at_cells` or `at_centers`.
        stacks: Which stacks are answered.

    Returns:
        Takes what the network takes and answers {head: [map per stack]}; instead of some maps, what
        `losses.gather_cells` makes their values from, with a list of the frames' features where a head is per frame.
        The weights are the network's own.
    """
    if not isinstance(network, keras.Function):
        return lambda inputs, training=False: {
            name: maps[stacks] for name, maps in network(inputs, training=training).items()
        }
    read = {head.name for head in heads if head.at_cells or head.at_centers}
    outputs: dict[str, list[Any]] = {}
    left: dict[tuple[str, int], list[keras.layers.Layer]] = {}
    for name, maps in network.output.items():
        outputs[name] = []
        for number, values in enumerate(maps[stacks]):
            seen, left[name, number] = _before(values) if name in read else (values, [])
            outputs[name].append(seen)
    trunk = keras.Model(network.input, outputs, name="at_cells")

    def run(inputs: Any, training: bool = False) -> dict[str, list[Any]]:
        found = trunk(inputs, training=training)
        return {
            name: [parts_of(seen, left[name, number]) for number, seen in enumerate(maps)]
            for name, maps in found.items()
        }

    return run


def _before(values: Any) -> tuple[Any, list[keras.layers.Layer]]:
    """What a map, or a head at centers, is made from, and the layers that are left to do."""
    if isinstance(values, Mapping):
        source, hidden = _source(values["features"])
        return ({**values, "features": source}, [hidden]) if is_hidden(hidden) else (values, [])
    between, last = _source(values)
    unfold = []
    if type(last) is UnfoldFrames:
        unfold = [last]
        between, last = _source(between)
    if type(last) is not layers.Conv2D or last.kernel_size != (1, 1):
        return values, []
    source, hidden = _source(between)
    return (source, [hidden, last, *unfold]) if is_hidden(hidden) else (between, [last, *unfold])


def _source(tensor: Any) -> tuple[Any, Any]:
    """What a layer saw when it made a tensor, and the layer; None and None of an input."""
    made = tensor._keras_history
    seen = made.operation._inbound_nodes[made.node_index].input_tensors
    return (seen[0], made.operation) if len(seen) == 1 else (None, None)


def is_hidden(layer: Any) -> bool:
    """Whether a layer is the 3x3 convolution with ReLU of `network.head_map`."""
    return (
        type(layer) is layers.Conv2D
        and layer.kernel_size == (3, 3)
        and layer.activation is keras.activations.relu
        and (layer.padding, layer.strides, layer.dilation_rate, layer.groups) == ("same", (1, 1), (1, 1), 1)
    )


def parts_of(seen: Any, left: Sequence[keras.layers.Layer]) -> Any:
    """As `losses.gather_cells` takes it, of a map, or of several one behind the other, and the layers left to do."""
    if not left:
        return seen
    if isinstance(left[-1], UnfoldFrames):
        return parts_of(left[-1].apart(seen), left[:-1])
    parts = dict(seen) if isinstance(seen, Mapping) else {"features": seen}
    if left[-1].kernel_size == (1, 1):
        kernel = ops.convert_to_tensor(left[-1].kernel)
        parts |= {"kernel": ops.reshape(kernel, kernel.shape[-2:]), "bias": ops.convert_to_tensor(left[-1].bias)}
    if left[0].kernel_size == (3, 3):
        dtype = left[0].compute_dtype
        weights = {"hidden_kernel": left[0].kernel, "hidden_bias": left[0].bias}
        parts |= {name: ops.cast(weight, dtype) for name, weight in weights.items()}
        parts["features"] = keras.tree.map_structure(lambda one: ops.cast(one, dtype), parts["features"])
    return parts
