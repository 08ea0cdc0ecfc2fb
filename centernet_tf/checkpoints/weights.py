"""Tensors of a checkpoint into the weights of a network, by name, layout and shape."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from centernet_tf.errors import UsageError

# Our weight of a layer: their tensor of a module, where the names differ.
TENSORS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "offset_kernel": "conv_offset_mask.weight",
    "offset_bias": "conv_offset_mask.bias",
}
# PyTorch counts batches, for an average that none of these networks uses.
COUNTER = (r".*\.num_batches_tracked", "batch counter")
LISTED = 8


def official_names(network: keras.Model, modules: Mapping[str, str]) -> dict[str, str]:
    """{path of our weight: name of their tensor} for the weights whose layer has a module."""
    names = {}
    for weight in network.weights:
        *_, layer, own = weight.path.split("/")
        if layer in modules:
            names[weight.path] = f"{modules[layer]}.{TENSORS.get(own, own)}"
    return names


def our_layout(tensor: np.ndarray, path: str) -> np.ndarray:
    """Kernels change their order of axes, nothing is flipped.

    Convolutions are (output, input, row, column) in PyTorch and (row, column, input, output) in Keras, transposed ones
    (input, output, row, column) and (row, column, output, input): the same exchange. Of depthwise ones, (channel, 1,
    row, column) in PyTorch, Keras has (row, column, channel, 1). Those along one axis exchange their first and last.

    Args:
        tensor: Theirs.
        path: Of our weight.
    """
    if tensor.ndim == 3:
        return tensor.transpose(2, 1, 0)
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose(2, 3, 0, 1) if _is_depthwise(path) else tensor.transpose(2, 3, 1, 0)


def assign(network: keras.Model, values: Mapping[str, Any]) -> None:
    """Sets the weights with these paths, all others stay."""
    for weight in network.weights:
        if weight.path in values:
            weight.assign(values[weight.path])


def match(
    network: keras.Model, tensors: Mapping[str, np.ndarray], names: Mapping[str, str], where: str
) -> dict[str, np.ndarray]:
    """Finds a tensor of the right shape for every weight.

    Args:
        network: Ours.
        tensors: By official name.
        names: {path of our weight: official name}.
        where: The file, for messages.

    Returns:
        {path of our weight: value in our layout}.

    Raises:
        UsageError: Tensors are missing, have another shape or are not finite. They are named.
    """
    values, missing, misshapen = {}, [], []
    for weight in network.weights:
        if weight.path not in names:
            continue
        name = names[weight.path]
        if name not in tensors:
            missing.append(name)
            continue
        value = our_layout(tensors[name], weight.path)
        if value.shape == tuple(weight.shape):
            values[weight.path] = value
        else:
            expected = their_shape(tuple(weight.shape), weight.path)
            misshapen.append(f"{name} is {tensors[name].shape}, expected {expected}")
    if missing or misshapen:
        parts = [f"{len(missing)} tensors are missing: {some(missing)}"] if missing else []
        parts += [f"{len(misshapen)} have another shape: {some(misshapen)}"] if misshapen else []
        raise UsageError(f"{where}: {'; '.join(parts)}. It belongs to another network, or is incomplete.")
    broken = [names[path] for path, value in values.items() if not np.isfinite(value).all()]
    if broken:
        raise UsageError(f"{where}: NaN or infinite numbers in {some(broken)}. The training diverged.")
    return values


def unused(tensors: Mapping[str, Any], used: Sequence[str], known: Sequence[tuple[str, str]], where: str) -> list[str]:
    """Accounts for every tensor that no weight took.

    Args:
        tensors: By official name.
        used: Names that weights took.
        known: (regular expression, reason) of what a file may hold in vain.
        where: The file, for messages.

    Returns:
        One line for each reason, for people.

    Raises:
        UsageError: There are tensors without a reason to leave them out.
    """
    reasons: dict[str, list[str]] = {}
    strange = []
    for name in sorted(set(tensors) - set(used)):
        reason = next((why for pattern, why in (*known, COUNTER) if re.fullmatch(f"{pattern}.*", name)), None)
        if reason is None:
            strange.append(name)
        else:
            reasons.setdefault(reason, []).append(name)
    if strange:
        raise UsageError(
            f"{where}: {len(strange)} tensors do not belong to this network: {some(strange)}. It is another one."
        )
    return [f"{len(names)} left out, {reason}: {some(names, 2)}" for reason, names in sorted(reasons.items())]


def their_shape(shape: tuple[int, ...], path: str) -> tuple[int, ...]:
    """Of the tensor that our weight of this shape and path takes."""
    axes = (2, 3, 0, 1) if _is_depthwise(path) else (3, 2, 0, 1)
    return tuple(shape[axis] for axis in axes) if len(shape) == 4 else shape[::-1]


def _is_depthwise(path: str) -> bool:
    return path.endswith("_depthwise/kernel")


def some(names: Sequence[str], count: int = LISTED) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
