"""Backbone plus heads: the only place where they meet."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones import find_backbone
from centernet_tf.backbones.blocks import torch_uniform
from centernet_tf.errors import UsageError, closest
from centernet_tf.layers import CellKernel, FoldFrames, UnfoldFrames
from centernet_tf.points.task import IMAGE, Head, Input

STACK, CONTEXT = "stack", "context"  # of a backbone's maps, each followed by its number
REDUCED = "reduced"  # start of the names of the layers that reduce them, see `points.task.Head`


def head_map(features: Any, head: Head, channels: int, name: str) -> Any:
    """One head on one stack: 3x3 convolution, ReLU, 1x1 convolution (official code, every architecture but hourglass).

    Args:
        features: [B, h, w, C].
        head: What to predict.
        channels: Width of the 3x3 convolution; 0 leaves it out.
        name: Start of the layers' names.

    Returns:
        [B, h, w, head.channels] float32, without activation. Of a head at centers only what `losses.gather_cells` makes
        its values from, cell by cell: {"features" [B, h, w, channels], "kernel" [channels, D], "bias" [D]}.
    """
    if channels:
        features = layers.Conv2D(
            channels, 3, padding="same", activation="relu", kernel_initializer=torch_uniform(), name=f"{name}_conv"
        )(features)
    start = torch_uniform() if head.heatmap or head.spread else keras.initializers.RandomNormal(stddev=0.001)
    # float32 whatever the policy: losses and peaks need it, and 16 bits move the bias of -2.19.
    last = {
        "kernel_initializer": start,
        "bias_initializer": keras.initializers.Constant(head.bias),
        "dtype": "float32",
        "name": f"{name}_out",
    }
    if head.at_centers:
        kernel, bias = CellKernel(head.channels, **last)(features)
        return {"features": features, "kernel": kernel, "bias": bias}
    return layers.Conv2D(head.channels, 1, **last)(features)


def build_network(
    backbone: str,
    heads: Sequence[Head],
    inputs: Mapping[str, Input] | None = None,
    head_channels: int | Mapping[str, int] | None = None,
) -> keras.Model:
    """Builds a network.

    The frames of clips pass through the trunk one by one, as further images of the batch. Heads read the features of
    all frames, one frame's channels behind the other's, `reduced` where they say so, but those that are `per_frame`.
    Those with `context` read the further map "context1", ... of each stack, of backbones that have it.

    Args:
        backbone: Name in the table of backbones, or its official name.
        heads: What to predict.
        inputs: The named inputs; an image of three channels if left out. Clips have the same number of frames in all of
            them.
        head_channels: Width of the 3x3 convolution of each head, 0 for none; the backbone's own if left out. Of some
            heads by their names.

    Returns:
        Model from normalised images [B, H, W, 3], or clips [B, T, H, W, 3] (a dict where there are several inputs, see
        `as_argument`), to {head: [map per stack]} without activation. A map is [B, H/4, W/4, channels], [B, H/4, W/4,
        T channels] of heads that are `per_frame`, and no map but a dict of those `at_centers`, see `head_map`.

    Raises:
        UsageError: Unknown backbone, or a width for a head that there is not.
        ValueError: Inputs show different numbers of frames, a head is per frame and at centers, or heads of all frames
            differ in how far they reduce them.
    """
    inputs = inputs or IMAGE
    frames = _frames(inputs)
    entry = find_backbone(backbone)
    trunk = entry.build({name: wanted.channels for name, wanted in inputs.items()})
    shape = (frames,) if frames > 1 else ()
    images = {tensor.name: keras.Input((*shape, *tensor.shape[1:]), name=tensor.name) for tensor in trunk.inputs}
    folded = images
    if frames > 1:
        folded = {name: FoldFrames(name=f"{name}_frames")(image) for name, image in images.items()}
    each = trunk(folded)
    joined = _joined(each, frames, _reduced(heads))
    widths = _widths(heads, head_channels, entry.head_channels)
    outputs = {}
    for head in heads:
        apart = head.per_frame and frames > 1
        seen = each if head.per_frame else joined
        if apart and head.at_centers:
            raise ValueError(f"Head {head.name!r} is per frame and at centers. Choose one of them.")
        outputs[head.name] = [
            head_map(features, head, widths[head.name], f"{head.name}_{stack}")
            for stack, features in _read(seen, head).items()
        ]
        if apart:
            outputs[head.name] = [
                UnfoldFrames(frames, name=f"{head.name}_stack{number}_clip")(maps)
                for number, maps in enumerate(outputs[head.name], start=1)
            ]
    return keras.Model(as_argument(images), outputs, name="centernet")


def _joined(each: Mapping[str, Any], frames: int, reduced: int) -> dict[str, Any]:
    """{stack: features of all frames} of those of each frame."""
    if reduced:
        each = {
            stack: layers.Conv2D(reduced, 1, kernel_initializer=torch_uniform(), name=f"{REDUCED}_{stack}")(maps)
            for stack, maps in each.items()
        }
    if frames == 1:
        return dict(each)
    return {stack: UnfoldFrames(frames, name=f"{stack}_clip")(maps) for stack, maps in each.items()}


def _reduced(heads: Sequence[Head]) -> int:
    """Channels of a frame for the heads that read all frames; 0 for all that there are."""
    told = {head.name: head.reduced for head in heads if not head.per_frame}
    if len(set(told.values())) > 1:
        raise ValueError(f"Heads that read all frames reduce them to different channels: {told}. Give all the same.")
    return next(iter(told.values()), 0)


def _read(features: Mapping[str, Any], head: Head) -> dict[str, Any]:
    """{stack: what a head reads of it}."""
    stacks = {name: maps for name, maps in features.items() if name.startswith(STACK)}
    return {
        name: features.get(name.replace(STACK, CONTEXT), maps) if head.context else maps
        for name, maps in stacks.items()
    }


def as_argument(inputs: Mapping[str, Any]) -> Any:
    """Named inputs as a network takes them: a lone one without its name."""
    return next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)


def _widths(heads: Sequence[Head], given: int | Mapping[str, int] | None, usual: int) -> dict[str, int]:
    """{head: width of its hidden convolution}."""
    names = [head.name for head in heads]
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, usual if given is None else given)
    for name in given:
        if name not in names:
            raise UsageError(f"head_channels: no head {name!r}.{closest(name, names)} Known here: {', '.join(names)}.")
    return {name: given.get(name, usual) for name in names}


def _frames(inputs: Mapping[str, Input]) -> int:
    """How many frames every input shows."""
    counts = {name: len(wanted.frames) for name, wanted in inputs.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"The inputs of one network show different numbers of frames: {shown}. Give all the same.")
    return next(iter(counts.values()))
