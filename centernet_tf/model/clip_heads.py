"""The heads of a network of clips on what is remembered of single frames, made no further than they are read.

Beside the trunk, 3x3 convolutions over the features of all frames are most of the work of a clip, and neighbouring
clips share no part of them: each frame meets another part of the kernel in each. So heads that are read at single cells
are made at these alone, and of wide heatmaps the convolution needs fewer multiplications, see `model.winograd`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from centernet_tf.model import winograd
from centernet_tf.model.cells import is_hidden, parts_of
from centernet_tf.model.network import REDUCED
from centernet_tf.model.split import FEATURES, layers_of, split, trunk_of
from centernet_tf.points.task import Head

PREPARED, KERNEL = "prepared", "kernel of "
# Channels from which on preparing a map and its kernel costs less than it saves.
WIDE = 128


class ClipHeads:
    """Of one network.

    Args:
        network: Of `network.build_network`, of clips of one input.
        heads: Its heads.
        frames: T, of a clip.
        whole: Whether all maps are made, for the flip test, which joins them.
    """

    def __init__(self, network: keras.Model, heads: Sequence[Head], frames: int, whole: bool = False):
        self._heads, self._whole = tuple(heads), whole
        if whole:
            self._each, self._together = split(network, heads, frames)
            return
        self._each, stack = trunk_of(network)
        self._joined = REDUCED if REDUCED in self._each.output else FEATURES
        self._layers = {head.name: layers_of(network, head, stack) for head in heads}
        wide = [head.name for head in heads if not head.at_cells and _is_wide(self._layers[head.name])]
        self._kernels = {name: self._prepared(name) for name in wide}

    def _prepared(self, name: str) -> Any:
        return ops.convert_to_tensor(winograd.prepared_kernel(ops.convert_to_numpy(self._layers[name][0].kernel)))

    def remembered(self, seen: Any, sides: int = 1) -> dict[str, Any]:
        """Normalised frames [S B, h, w, C] to {name: [B, ...]} of what their clips need of each."""
        maps = self._each(seen, training=False)
        if self._whole:
            return {name: ops.stack(ops.split(values, sides), axis=1) for name, values in maps.items()}
        maps = {name: values[:, None] for name, values in maps.items()}
        return {**maps, **({PREPARED: winograd.prepared_map(maps[self._joined][:, 0])} if self._kernels else {})}

    def clip(self, remembered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What `maps` takes, of the frames of a clip in order; [...] each, one row of what `remembered` gave."""
        names = [*self._each.output, *([] if self._whole or not self._kernels else [PREPARED])]
        kernels = {} if self._whole else {KERNEL + name: kernel for name, kernel in self._kernels.items()}
        return {**{name: [frame[name] for frame in remembered] for name in names}, **kernels}

    def maps(self, clip: Mapping[str, Any]) -> dict[str, Any]:
        """{head: map [S, h, w, D], or what `losses.gather_cells` takes instead} of one clip."""
        if self._whole:
            joined = {name: ops.concatenate(list(values), axis=-1) for name, values in clip.items()}
            made = {**self._together(joined[FEATURES], training=False), **joined}
            return {head.name: made[head.name] for head in self._heads}
        return {head.name: self._map(head, clip) for head in self._heads}

    def _map(self, head: Head, clip: Mapping[str, Any]) -> Any:
        layers, features = self._layers[head.name], list(clip[FEATURES if head.per_frame else self._joined])
        if head.at_cells and is_hidden(layers[0]):
            return parts_of(features, layers)
        if head.name in self._kernels:
            return self._wide_map(layers, clip[PREPARED], clip[KERNEL + head.name], ops.shape(features[0])[1:3])
        if head.per_frame:
            return ops.concatenate([_through(layers, one) for one in features], axis=-1)
        return _through(layers, ops.concatenate(features, axis=-1))

    def _wide_map(self, layers: Sequence[Any], prepared: Sequence[Any], kernel: Any, size: tuple[Any, Any]) -> Any:
        """The layers of a head; the last one reads each cell alone, so it may come before all are in place."""
        hidden, last = layers
        seen = ops.relu(winograd.convolved(ops.concatenate(list(prepared), axis=-1), kernel) + hidden.bias)
        return winograd.whole_again(last(seen[None])[0], size)


def _is_wide(layers: Sequence[Any]) -> bool:
    return len(layers) == 2 and is_hidden(layers[0]) and layers[0].filters >= WIDE


def _through(layers: Sequence[Any], features: Any) -> Any:
    for layer in layers:
        features = layer(features)
    return features
