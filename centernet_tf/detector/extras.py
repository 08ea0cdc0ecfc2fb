"""What a model takes of each image beside its pixels: values as callers give them, checked, one for each image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError, closest
from centernet_tf.points.task import Extra


def check_names(given: Mapping[str, Any], known: Sequence[Extra]) -> None:
    """Raises UsageError for a value of a name that no task of the model takes."""
    names = [extra.name for extra in known]
    for name in given:
        if name not in names:
            taken = f"takes {', '.join(names)}" if names else "takes nothing"
            hint = closest(name, names)
            raise UsageError(f"Unknown {name!r}.{hint} This model {taken} beside images. Leave out {name}.")


def spread(given: Mapping[str, Any], known: Sequence[Extra], count: int) -> list[dict[str, Any]]:
    """Values for a list of images, as a dict for each image.

    Args:
        given: {name: one value for all images, or as many as there are images}. None stands for the usual one.
        known: What the model takes.
        count: Number of images.

    Raises:
        UsageError: A name is unknown, or there are more or fewer values than images.
    """
    check_names(given, known)
    ranks = {extra.name: len(extra.shape) for extra in known}
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, values in given.items():
        for row, value in zip(rows, one_for_each(name, values, ranks[name], count)):
            row[name] = value
    return rows


def one_for_each(name: str, values: Any, rank: int, count: int) -> list[Any]:
    """A list of `count` values.

    Args:
        name: For messages.
        values: One for all images, or a list or array of one for each, of which some may be None.
        rank: Number of axes of one value.
        count: Number of images.

    Raises:
        UsageError: There are more or fewer values than images.
    """
    if values is None or _depth(values) <= rank:
        return [values] * count
    if len(values) != count:
        images = f"{count} image{'' if count == 1 else 's'}"
        raise UsageError(f"{len(values)} values of {name} for {images}. Give one for each image, or one for all.")
    return list(values)


def _depth(values: Any) -> int:
    """How many lists lie within each other, as the first that is not None tells."""
    if isinstance(values, (list, tuple)):
        return 1 + _depth(next((value for value in values if value is not None), 0))
    return np.ndim(values)


def complete(given: Mapping[str, Any], known: Sequence[Extra]) -> dict[str, np.ndarray]:
    """All that the model takes of one image.

    Args:
        given: {name: value}; the usual one is taken for what is None or left out.
        known: What the model takes.

    Returns:
        {name: array of the extra's shape, float32}.

    Raises:
        UsageError: A name is unknown, or nothing is known for the image.
        ValueError: A value is none of what the extra expects.
    """
    check_names(given, known)
    values = {}
    for extra in known:
        value = given.get(extra.name)
        value = extra.usual if value is None else value
        if value is None:
            raise UsageError(
                f"This model needs {extra.name} of each image, its file has no usual one, and none is given for an "
                f"image. Give {extra.name}{f' ({extra.meaning})' if extra.meaning else ''}."
            )
        checked = np.asarray(extra.check(value), np.float32)
        if checked.shape != tuple(extra.shape):
            raise ValueError(f"{extra.name} has shape {checked.shape}, expected {tuple(extra.shape)}: {extra.meaning}.")
        values[extra.name] = checked
    return values


def moved(values: Mapping[str, np.ndarray], known: Sequence[Extra], matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The same for images that were scaled and moved.

    Args:
        values: {name: [B, ...]} of the images as they were.
        known: What the model takes.
        matrix: [2, 3], pixels as they were to pixels as they are.
    """
    fits = {extra.name: extra.fit for extra in known}
    return {name: np.asarray(fits[name](value, matrix)) if fits[name] else value for name, value in values.items()}
