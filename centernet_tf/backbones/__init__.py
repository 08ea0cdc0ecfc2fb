"""The table of backbones."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from centernet_tf.backbones.application import (
    application_weights,
    keras_application,
    normalization_of,
    parse_application,
)
from centernet_tf.backbones.dla import dla34
from centernet_tf.backbones.hourglass import hourglass
from centernet_tf.backbones.mobilenet import mobilenetv2_dla, mobilenetv2_fpn, mobilenetv3_fpn, parse_width
from centernet_tf.backbones.resnet import BLOCKS, resnet, resnet_fpn
from centernet_tf.errors import UsageError, closest
from centernet_tf.preprocess import Normalization

COCO = Normalization()


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One line of the table.

    Attributes:
        build: {input: channels} -> keras.Model to {"stack1": map at a quarter of the input size, ...}; None where an
            argument must say which.
        stride: Both sides of the input must be multiples of it, in pixels.
        head_channels: Width of the 3x3 convolution of each head.
        official: Name of the same network in the official code, where it has one.
        normalization: What the trunk's published weights expect of pixels.
        weights: "imagenet" or a file of Keras weights -> {path of a weight of the trunk: its value}; None where Keras
            has none.
        compiled: Whether XLA shortens it by a third or so on a processor, which pays where many images are searched.
        argument: What may follow the name and a colon, for messages; "" where nothing may.
        variant: That text -> the fields of this line that it changes. A UsageError says what the text should be.
    """

    build: Callable[..., keras.Model] | None
    stride: int = 32
    head_channels: int = 64
    official: str = ""
    normalization: Normalization = COCO
    weights: Callable[[str | Path], dict[str, np.ndarray]] | None = None
    compiled: bool = False
    argument: str = ""
    variant: Callable[[str], dict[str, Any]] | None = None


def _with_width(build: Callable[..., keras.Model]) -> Backbone:
    return Backbone(
        build, argument="WIDTH", variant=lambda text: {"build": functools.partial(build, width=parse_width(text))}
    )


def _application(text: str) -> dict[str, Any]:
    name = parse_application(text)
    return {
        "build": functools.partial(keras_application, name=name),
        "normalization": normalization_of(name),
        "weights": functools.partial(application_weights, name),
    }


BACKBONES = {
    **{f"resnet{n}": Backbone(functools.partial(resnet, depth=n), official=f"res_{n}") for n in BLOCKS},
    **{
        f"resnet{n}_dcn": Backbone(functools.partial(resnet, depth=n, deformable=True), official=f"resdcn_{n}")
        for n in BLOCKS
    },
    **{f"resnet{n}_fpn": Backbone(functools.partial(resnet_fpn, depth=n)) for n in BLOCKS},
    "dla34": Backbone(dla34, head_channels=256, official="dlav0_34"),
    "dla34_dcn": Backbone(
        functools.partial(dla34, deformable=True), head_channels=256, official="dla_34", compiled=True
    ),
    **{
        f"dla34_dcn_{context}": Backbone(
            functools.partial(dla34, deformable=True, context=context),
            head_channels=256,
            official=f"dla{context.replace('_', '')}_34",
            compiled=True,
        )
        for context in ("3level", "glob", "3level_glob")
    },
    "hourglass104": Backbone(hourglass, stride=128, head_channels=256, official="hourglass", compiled=True),
    "hourglass104_pooled": Backbone(
        functools.partial(hourglass, pooled=True), stride=128, head_channels=256, compiled=True
    ),
    "mobilenetv2_dla": Backbone(mobilenetv2_dla, official="mobilenet"),
    "mobilenetv2_fpn": _with_width(mobilenetv2_fpn),
    "mobilenetv3_fpn": _with_width(mobilenetv3_fpn),
    "keras_application": Backbone(None, argument="NAME", variant=_application),
}


def own_name(name: str) -> str:
    """Our name of a backbone that may be given by its official one; a name nobody knows stays as it is."""
    plain, colon, text = name.partition(":")
    own = next((own for own, entry in BACKBONES.items() if entry.official and entry.official == plain), plain)
    return f"{own}{colon}{text}"


def find_backbone(name: str) -> Backbone:
    """Looks a backbone up by its name or its official one.

    Args:
        name: As in the table, or with an argument behind a colon where the backbone takes one: "mobilenetv2_fpn:0.5".

    Raises:
        UsageError: Unknown, or the argument does not fit; the message lists what exists or is expected.
    """
    plain, colon, text = name.partition(":")
    own = own_name(plain)
    if own not in BACKBONES:
        official = [entry.official for entry in BACKBONES.values() if entry.official]
        known = ", ".join(BACKBONES)
        raise UsageError(f"Unknown backbone {name!r}.{closest(plain, [*BACKBONES, *official])} Known: {known}.")
    entry = BACKBONES[own]
    if not colon and entry.build:
        return entry
    if entry.variant is None:
        takers = ", ".join(f"{taker}:{other.argument}" for taker, other in BACKBONES.items() if other.variant)
        raise UsageError(f"{name}: {plain} takes no argument after a colon. Write {plain}. These do: {takers}.")
    try:
        changes = entry.variant(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    return dataclasses.replace(entry, **changes, official="", argument="", variant=None)
