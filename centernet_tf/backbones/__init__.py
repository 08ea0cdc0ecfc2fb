"""The table of backbones."""

import dataclasses
import functools
from collections.abc import Callable

import keras

from centernet_tf.backbones.hourglass import hourglass
from centernet_tf.backbones.mobilenet import mobilenetv2_fpn
from centernet_tf.backbones.resnet import BLOCKS, resnet
from centernet_tf.errors import UsageError, closest


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One line of the table.

    Attributes:
        build: {input: channels} -> keras.Model to {"stack1": map at a quarter of the input size, ...}.
        stride: Both sides of the input must be multiples of it, in pixels.
        head_channels: Width of the 3x3 convolution of each head.
        official: Name of the same network in the official code, where it has one.
    """

    build: Callable[..., keras.Model]
    stride: int = 32
    head_channels: int = 64
    official: str = ""


BACKBONES = {
    **{f"resnet{n}": Backbone(functools.partial(resnet, depth=n), official=f"res_{n}") for n in BLOCKS},
    **{
        f"resnet{n}_dcn": Backbone(functools.partial(resnet, depth=n, deformable=True), official=f"resdcn_{n}")
        for n in BLOCKS
    },
    "hourglass104": Backbone(hourglass, stride=128, head_channels=256, official="hourglass"),
    "mobilenetv2_fpn": Backbone(mobilenetv2_fpn),
}


def find_backbone(name: str) -> Backbone:
    """Looks a backbone up by its name or its official one.

    Raises:
        UsageError: Unknown; the message lists those that exist.
    """
    names = {official: own for own, entry in BACKBONES.items() if (official := entry.official)}
    own = names.get(name, name)
    if own not in BACKBONES:
        known = ", ".join(BACKBONES)
        raise UsageError(f"Unknown backbone {name!r}.{closest(name, [*BACKBONES, *names])} Known: {known}.")
    return BACKBONES[own]
