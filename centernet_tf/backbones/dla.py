"""DLA-34: residual blocks joined by trees, and levels joined again and again on the way back up to a quarter.

The trunk is Deep Layer Aggregation's (sections 3.1 and 3.2). Of the two official necks, `dla_34` (Objects as Points,
section 5) joins levels by deformable convolutions and sums, `dlav0_34` by plain convolutions and concatenation. PPDM's
variants of `dla_34` have a second map, from which what lies between objects is told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
from keras import layers

from centernet_tf.backbones.blocks import batch_norm, convolution, he_normal, torch_uniform
from centernet_tf.backbones.wider import global_reasoning
from centernet_tf.layers import DeformableConv2D, DepthwiseUpsample

CHANNELS = (16, 32, 64, 128, 256, 512)  # of levels 0 to 5, at strides 1 to 32
DEEP = (3, 4)  # levels of two trees, the second of which sees what the first one made
JUNCTIONS = (256, 128, 64)  # channels; the first joins level 5 into 4, the second both into 3, the third all into 2

Context = Literal["", "3level", "glob", "3level_glob"]
Start = Callable[[], keras.initializers.Initializer]


def _unit(x: Any, filters: int, kernel: int, stride: int, name: str, start: Start, active: bool = True) -> Any:
    """Convolution, normalisation and, where active, ReLU."""
    x = convolution(x, filters, kernel, stride, f"{name}_conv", kernel_initializer=start())
    x = batch_norm(x, f"{name}_norm")
    return layers.ReLU(name=f"{name}_relu")(x) if active else x


def _block(x: Any, shortcut: Any, filters: int, stride: int, name: str, start: Start) -> Any:
    """Two 3x3 convolutions and a shortcut that the tree provides."""
    x = convolution(x, filters, 3, stride, f"{name}_conv1", kernel_initializer=start())
    x = layers.ReLU(name=f"{name}_relu1")(batch_norm(x, f"{name}_norm1"))
    x = batch_norm(convolution(x, filters, 3, 1, f"{name}_conv2", kernel_initializer=start()), f"{name}_norm2")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, shortcut]))


def tree(x: Any, small: Any, filters: int, name: str, start: Start, further: Sequence[Any] = ()) -> Any:
    """Two blocks and a root that joins their outputs with further maps.

    Args:
        x: [B, h, w, C].
        small: x itself, or x at half the resolution, which the tree then has too.
        filters: Channels F of its output.
        name: Start of the layers' names.
        start: Makes the initial value of a kernel.
        further: Maps that the root reads too, at the resolution of `small`.

    Returns:
        [B, h, w, F], or half of h and w.
    """
    shortcut = small
    if small.shape[-1] != filters:
        shortcut = _unit(small, filters, 1, 1, f"{name}_project", start, active=False)
    first = _block(x, shortcut, filters, 1 if small is x else 2, f"{name}_tree1", start)
    second = _block(first, first, filters, 1, f"{name}_tree2", start)
    joined = layers.Concatenate(name=f"{name}_concatenate")([second, first, *further])
    return _unit(joined, filters, 1, 1, f"{name}_root", start)


def trunk(images: Mapping[str, Any], start: Start) -> list[Any]:
    """DLA-34 without its classifier.

    Args:
        images: {input: [B, H, W, channels]}. Each has its own stem, normalisation and activation included, and their
            results are summed (Tracking Objects as Points, section 4.1).
        start: Makes the initial value of a kernel.

    Returns:
        Levels 2 to 5: [B, H/4, W/4, 64] to [B, H/32, W/32, 512].
    """
    stems = [_unit(image, CHANNELS[0], 7, 1, f"stem_{name}", start) for name, image in images.items()]
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    x = _unit(x, CHANNELS[0], 3, 1, "level0", start)
    x = _unit(x, CHANNELS[1], 3, 2, "level1", start)
    levels = []
    for level in range(2, len(CHANNELS)):
        filters, name = CHANNELS[level], f"level{level}"
        small = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        if level in DEEP:
            # The official code has a projection around both trees as well, but nothing reads what it makes.
            first = tree(x, small, filters, f"{name}_tree1", start)
            x = tree(first, first, filters, f"{name}_tree2", start, further=(small, first))
        else:
            x = tree(x, small, filters, name, start, further=() if level == 2 else (small,))
        levels.append(x)
    return levels


def _deformable_unit(x: Any, filters: int, name: str) -> Any:
    x = batch_norm(DeformableConv2D(filters, name=f"{name}_deformable")(x), f"{name}_norm")
    return layers.ReLU(name=f"{name}_relu")(x)


def join(maps: Sequence[Any], filters: int, factors: Sequence[int], name: str, deformable: bool) -> list[Any]:
    """Joins maps into the shallowest one, step by step.

    Args:
        maps: From the highest resolution down; the first one has `filters` channels.
        filters: Channels of the results.
        factors: How many times smaller than the first one each of the others is.
        name: Start of the layers' names.
        deformable: Whether convolutions are deformable and maps are added, instead of plain and concatenated.

    Returns:
        One map fewer, all of the first one's shape; the last one holds everything.
    """
    x, *deeper = maps
    results = []
    for step, (other, factor) in enumerate(zip(deeper, factors), start=1):
        project, node = f"{name}_project{step}", f"{name}_node{step}"
        if deformable:
            other = DepthwiseUpsample(factor, name=f"{name}_up{step}")(_deformable_unit(other, filters, project))
            x = _deformable_unit(layers.Add(name=f"{name}_add{step}")([other, x]), filters, node)
        else:
            other = _unit(other, filters, 1, 1, project, he_normal)
            other = DepthwiseUpsample(factor, name=f"{name}_up{step}")(other)
            x = layers.Concatenate(name=f"{name}_concatenate{step}")([x, other])
            x = _unit(x, filters, 3, 1, node, he_normal)
        results.append(x)
    return results


def neck(levels: Sequence[Any], junctions: Sequence[int], deformable: bool) -> Any:
    """The last of `steps_of_neck`, [B, H/4, W/4, channels of the first level]."""
    return steps_of_neck(levels, junctions, deformable)[-1]


def steps_of_neck(levels: Sequence[Any], junctions: Sequence[int], deformable: bool) -> list[Any]:
    """Joins the levels of a trunk into the first, again and again.

    Args:
        levels: At strides 4 to 32, each of twice the stride of the one before.
        junctions: Channels of the joints, from the deepest up; the last has those of the first level.
        deformable: Whether convolutions are deformable, and what each of the joints ends with is joined once more.

    Returns:
        What holds more and more of them, [B, H/4, W/4, channels of the first level] each; one where not deformable.
    """
    maps, ends = list(levels), []
    for number, filters in enumerate(junctions):
        first = len(maps) - 2 - number
        maps[first + 1 :] = join(maps[first:], filters, (2,) * (number + 1), f"joint{number + 1}", deformable)
        ends.insert(0, maps[-1])
    if not deformable:
        return maps[-1:]
    return [ends[0], *join(ends, junctions[-1], (2, 4), "last_joint", deformable)]


def dla34(inputs: Mapping[str, int], deformable: bool = False, context: Context = "") -> keras.Model:
    """DLA-34 at a quarter of the input size.

    Args:
        inputs: Channels of each named input. Their stems are summed.
        deformable: The official `dla_34`, instead of `dlav0_34`. What each of its joints ends with is joined once more.
        context: Of the deformable one, PPDM's second map: "3level", the three steps of the last joint side by side,
            behind a global reasoning unit with "3level_glob"; or "glob", the map behind one.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, 64]}; and "context1"
        of 64 channels, or 192 of three steps.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    steps = steps_of_neck(trunk(images, torch_uniform if deformable else he_normal), JUNCTIONS, deformable)
    outputs = {"stack1": steps[-1]}
    if context:
        further = steps[-1] if context == "glob" else layers.Concatenate(name="context_concatenate")(steps)
        outputs["context1"] = further if context == "3level" else global_reasoning(further, "context")
    name = "_".join(("dla34", *(["dcn"] if deformable else []), *([context] if context else [])))
    return keras.Model(images, outputs, name=name)
