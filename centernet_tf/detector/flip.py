"""The flip test: what the network says of an input and of its mirror image, as one answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.points.task import Head, Input
from centernet_tf.preprocess import Normalization

WIDTH = -2  # axis of [B, h, w, C], and of clips [B, T, h, w, C]


def both_sides(inputs: Any, wanted: Input | None = None, normalization: Normalization | None = None) -> Any:
    """Images [B, h, w, C] or clips to twice as many: all inputs, then all their mirror images.

    Args:
        inputs: Pixels from 0 to 1, or normalised ones.
        wanted: What they are; in mirror images of optical flow, what went right goes left.
        normalization: By which they are; None for pixels from 0 to 1.
    """
    mirrored = ops.flip(inputs, axis=WIDTH)
    if wanted is not None and wanted.directed:
        red, total = (0, 1.0) if normalization is None else _red(normalization)
        right = np.arange(wanted.channels) % 3 == red
        mirrored = ops.where(right, total - mirrored, mirrored)
    return ops.concatenate([inputs, mirrored])


def _red(normalization: Normalization) -> tuple[int, float]:
    """Where the red of a picture stands once it is normalised, and what p and 1 - p add up to there."""
    place = normalization.order.index("r")
    return place, (1 - 2 * normalization.mean[place]) / normalization.std[place]


def mean_score(first: Any, second: Any) -> Any:
    """Logits of the mean of two scores, so that what reads the map need not know that two were joined.

    Scores near 0 and near 1 keep their precision, for both tails are summed as logarithms.
    """
    first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
    yes = ops.logaddexp(ops.log_sigmoid(first), ops.log_sigmoid(second))
    no = ops.logaddexp(ops.log_sigmoid(-first), ops.log_sigmoid(-second))
    return yes - no


def join_sides(outputs: Mapping[str, Any], heads: Sequence[Head]) -> dict[str, Any]:
    """One map of the two that `both_sides` gave (official code, `process` of each detector).

    Args:
        outputs: {head: [2 B, h, w, channels]} without activation; of heads at centers {"features" [2 B, h, w, C], ...}.
        heads: How each is brought back from the mirror image, and which of them score cells.

    Returns:
        {head: [B, h, w, channels]} without activation, or parts of it of heads at centers. Of scores the mean is taken
        behind the sigmoid. Heads without `mirror` are the first half's.
    """
    joined = {}
    for head in heads:
        if head.at_centers:
            joined[head.name] = _join_parts(outputs[head.name], head)
            continue
        first, second = ops.split(outputs[head.name], 2)
        if head.mirror is None:
            joined[head.name] = first
            continue
        second = head.mirror(ops.flip(second, axis=WIDTH))
        joined[head.name] = mean_score(first, second) if head.heatmap else (first + second) / 2
    return joined


def _join_parts(parts: Mapping[str, Any], head: Head) -> dict[str, Any]:
    """What `losses.gather_cells` makes the mean of both maps from, without either of them.

    Half of F K + b and half of m(F' K + b) are (F beside F') times (K above m(K)) / 2 plus (b + m(b)) / 2, for m, which
    changes order and signs of channels, is linear.
    """
    first, second = ops.split(parts["features"], 2)
    if head.mirror is None:
        return {**parts, "features": first}
    kernel, bias = parts["kernel"], parts["bias"]
    return {
        "features": ops.concatenate([first, ops.flip(second, axis=WIDTH)], axis=-1),
        "kernel": ops.concatenate([kernel, head.mirror(kernel)]) / 2,
        "bias": (bias + head.mirror(bias)) / 2,
    }
