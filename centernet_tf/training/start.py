"""Starting a training from weights that are there already: a model of ours, a checkpoint, or a trunk from ImageNet."""

import re
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from centernet_tf.checkpoints.families import recognise
from centernet_tf.checkpoints.heads import head_modules, head_names
from centernet_tf.checkpoints.state_dict import read_state_dict
from centernet_tf.checkpoints.weights import assign, official_names, our_layout, some, their_shape
from centernet_tf.checkpoints.wrapped import unwrapped
from centernet_tf.errors import UsageError
from centernet_tf.model.card import ModelCard

HIDDEN = "_conv/kernel"  # ending of the name of a head's first layer
VARIANT = r"_dcn(_\w+)?$|_pooled$|_fpn$"  # Ending of the names whose trunk is that of the plain network.


def start_from(network: keras.Model, source: keras.Model, card: ModelCard, where: str) -> str:
    """Copies every weight that has the same name and shape, of heads whose first layer has.

    Args:
        network: The new one, changed in place. What finds no counterpart keeps its start.
        source: The trained one.
        card: What the trained one is.
        where: Its file, for messages.

    Returns:
        What was copied, what is new and what was left out, for people.

    Raises:
        UsageError: Nothing fits: another backbone.
    """
    given = {weight.path: keras.ops.convert_to_numpy(weight) for weight in source.weights}
    wanted = {weight.path: tuple(weight.shape) for weight in network.weights}
    given |= {name: widened(given[name], shape, name) for name, shape in wanted.items() if name in given}
    fitting = _of_whole_heads([name for name in wanted if name in given and given[name].shape == wanted[name]], wanted)
    if not fitting:
        raise UsageError(
            f"{where}: none of its weights fit this network; it is a {card.backbone}. Set backbone: {card.backbone}."
        )
    assign(network, {name: given[name] for name in fitting})
    return _told(where, network, fitting, [name for name in given if name not in fitting])


def start_from_checkpoint(network: keras.Model, backbone: str, path: str | Path) -> str:
    """Copies the tensors of a PyTorch file: a whole official checkpoint, or a trunk trained on ImageNet.

    Trunks: torchvision's resnet18-*.pth and the like, and dla34-*.pth. They were trained on red, green, blue; the
    official code feeds them blue, green, red all the same, and so do we.

    Args:
        network: The new one, changed in place. What finds no counterpart keeps its start; so does a head whose shape
            differs, as it does with other classes.
        backbone: Its name in our table.
        path: The .pth file.

    Returns:
        What was copied, what is new and what was left out, for people.

    Raises:
        UsageError: The file cannot be read, or is of another backbone.
    """
    tensors = unwrapped(read_state_dict(path).tensors)
    family, found = recognise({name: tensor.shape for name, tensor in tensors.items()}, str(path))
    if re.sub(VARIANT, "", found) != re.sub(VARIANT, "", backbone):
        raise UsageError(f"{path}: weights of a {found} do not fit a {backbone}. Set backbone: {found}.")
    if family.mark not in tensors:
        tensors = {family.trunk + name: tensor for name, tensor in tensors.items()}
    body = official_names(network, family.modules(backbone))
    stacks = len(network.output["heatmap"])
    heads = official_names(network, head_modules(head_names(), stacks, family.stacked, "hm.weight" in tensors))
    values, misshapen = {}, []
    for weight in network.weights:
        name = body.get(weight.path) or heads.get(weight.path)
        if name not in tensors:
            continue
        value = widened(our_layout(tensors[name], weight.path), tuple(weight.shape), weight.path)
        if value.shape == tuple(weight.shape):
            values[weight.path] = value
        elif weight.path in body:
            misshapen.append(
                f"{name} is {tensors[name].shape}, expected {their_shape(tuple(weight.shape), weight.path)}"
            )
    if misshapen:
        raise UsageError(f"{path}: weights of a {found} do not fit a {backbone}: {some(misshapen, 3)}.")
    values = {path: values[path] for path in _of_whole_heads(list(values), [one.path for one in network.weights])}
    assign(network, values)
    used = {body.get(path) or heads[path] for path in values}
    return _told(str(path), network, list(values), [name for name in tensors if name not in used])


def _of_whole_heads(fitting: list[str], wanted: Iterable[str]) -> list[str]:
    """The weights that fit, without those of heads whose first layer does not: they were learnt on other features."""
    known = set(fitting)
    other = [path.removesuffix(HIDDEN) for path in wanted if path.endswith(HIDDEN) and path not in known]
    lost = {head + end for head in other for end in ("_conv/bias", "_out/kernel", "_out/bias")}
    return [path for path in fitting if path not in lost]


def widened(value: np.ndarray, shape: tuple[int, ...], path: str) -> np.ndarray:
    """The first convolution of images for several pictures: its mean over the channels for each (MOC, `convert2flow`).

    Args:
        value: A weight of a trained network.
        shape: Of the same weight in another one.
        path: Its name.

    Returns:
        An array of that shape where it is such a kernel, [h, w, 3, D] of [h, w, 3 S, D]; else the value as it is.
    """
    kernel = "stem_image" in path and len(shape) == 4 and value.ndim == 4
    if not kernel or value.shape[2] != 3 or shape[2] == 3 or value.shape[:2] + value.shape[3:] != shape[:2] + shape[3:]:
        return value
    return np.repeat(value.mean(axis=2, keepdims=True), shape[2], axis=2)


def _told(where: str, network: keras.Model, fitting: list[str], left: list[str]) -> str:
    new = [weight.path for weight in network.weights if weight.path not in set(fitting)]
    lines = [f"{where}: {len(fitting)} of {len(network.weights)} weights loaded."]
    if new:
        lines.append(f"Start from scratch: {some(new)}.")
    if left:
        lines.append(f"Left out: {some(left)}.")
    return " ".join(lines)
