"""Starting a training from weights that are there already: a model of ours, a checkpoint, or a trunk from ImageNet."""

from pathlib import Path

import keras

from centernet_tf.checkpoints.families import recognise
from centernet_tf.checkpoints.heads import head_modules, head_names
from centernet_tf.checkpoints.state_dict import read_state_dict
from centernet_tf.checkpoints.weights import assign, official_names, our_layout, some, their_shape
from centernet_tf.errors import UsageError
from centernet_tf.model.card import ModelCard

DEFORMABLE = "_dcn"  # Ending of the names whose trunk is that of the plain network.


def start_from(network: keras.Model, source: keras.Model, card: ModelCard, where: str) -> str:
    """Copies every weight that has the same name and shape.

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
    given = {weight.path: weight for weight in source.weights}
    wanted = {weight.path: weight for weight in network.weights}
    fitting = [name for name in wanted if name in given and given[name].shape == wanted[name].shape]
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
    tensors = read_state_dict(path).tensors
    family, found = recognise({name: tensor.shape for name, tensor in tensors.items()}, str(path))
    if found.removesuffix(DEFORMABLE) != backbone.removesuffix(DEFORMABLE):
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
        value = our_layout(tensors[name], weight.path)
        if value.shape == tuple(weight.shape):
            values[weight.path] = value
        elif weight.path in body:
            misshapen.append(
                f"{name} is {tensors[name].shape}, expected {their_shape(tuple(weight.shape), weight.path)}"
            )
    if misshapen:
        raise UsageError(f"{path}: weights of a {found} do not fit a {backbone}: {some(misshapen, 3)}.")
    assign(network, values)
    used = {body.get(path) or heads[path] for path in values}
    return _told(str(path), network, list(values), [name for name in tensors if name not in used])


def _told(where: str, network: keras.Model, fitting: list[str], left: list[str]) -> str:
    new = [weight.path for weight in network.weights if weight.path not in set(fitting)]
    lines = [f"{where}: {len(fitting)} of {len(network.weights)} weights loaded."]
    if new:
        lines.append(f"Start from scratch: {some(new)}.")
    if left:
        lines.append(f"Left out: {some(left)}.")
    return " ".join(lines)
