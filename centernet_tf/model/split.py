"""A network of clips in two: what sees each frame alone, and what sees the features of all frames at once.

The frames of neighbouring clips are the same, so that of a video each needs to pass through the trunk only once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from centernet_tf.model.network import REDUCED
from centernet_tf.points.task import Head

FEATURES = "features"  # what of a frame the other part sees


def can_split(network: keras.Model) -> bool:
    """Whether a network is one of `network.build_network`, with one trunk."""
    return sum(isinstance(layer, keras.Model) for layer in network.layers) == 1


def split(network: keras.Model, heads: Sequence[Head], frames: int) -> tuple[keras.Model, keras.Model]:
    """Takes a network of `network.build_network` apart; the parts share its weights.

    Args:
        network: Of clips of one input, [B, T, H, W, C].
        heads: Its heads.
        frames: T.

    Returns:
        From frames [B, H, W, C] to {`FEATURES`: [B, h, w, F], head per frame: [B, h, w, D]}; and from the features of T
        frames behind one another, [B, h, w, T F], to {other head: [B, h, w, D]}. Both of the last stack.
    """
    trunk, stack = trunk_of(network)
    features = trunk.output[FEATURES]
    seen = trunk.output.get(REDUCED, features)
    alone = {head.name: _head(network, head, stack, features) for head in heads if head.per_frame}
    each = keras.Model(trunk.input, {FEATURES: seen, **alone}, name="each_frame")
    beside = keras.Input((None, None, frames * seen.shape[-1]), name="clip")
    together = {head.name: _head(network, head, stack, beside) for head in heads if not head.per_frame}
    return each, keras.Model(beside, together, name="whole_clip")


def trunk_of(network: keras.Model) -> tuple[keras.Model, str]:
    """From frames [B, H, W, C] to {`FEATURES`: [B, h, w, F]} of the last stack, and that stack's name.

    Where heads of all frames see them reduced, also to {`REDUCED`: [B, h, w, R]}.
    """
    (trunk,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    stack, features = list(_named(trunk.output).items())[-1]
    outputs = {FEATURES: features}
    if (name := f"{REDUCED}_{stack}") in {layer.name for layer in network.layers}:
        outputs[REDUCED] = network.get_layer(name)(features)
    return keras.Model(trunk.inputs[0], outputs, name="trunk"), stack


def layers_of(network: keras.Model, head: Head, stack: str) -> list[keras.layers.Layer]:
    """The layers of one head on one stack, in order, by their names."""
    names = {layer.name for layer in network.layers}
    wanted = (f"{head.name}_{stack}_conv", f"{head.name}_{stack}_out")
    return [network.get_layer(name) for name in wanted if name in names]


def _named(outputs: Any) -> Mapping[str, Any]:
    return outputs if isinstance(outputs, Mapping) else {"stack1": outputs}


def _head(network: keras.Model, head: Head, stack: str, features: Any) -> Any:
    """One head on other features."""
    for layer in layers_of(network, head, stack):
        features = layer(features)
    return features
