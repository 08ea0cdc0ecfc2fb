"""Two networks, one that sees images and one that sees optical flow, as one answer (MOC, official code)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.errors import UsageError, closest

SURE = 1e-7  # a score no nearer to 0 or 1, so that its logit is finite


@dataclasses.dataclass(frozen=True)
class Fusion:
    """How much the network that sees images counts in each map, from 0 to 1; the other one counts the rest.

    Attributes:
        heatmap: Of scores, behind the sigmoid; 0.5 for UCF101-24 and 0.4 for JHMDB in the original.
        movement: Of the ways of centres.
        size: Of widths and heights.
    """

    heatmap: float = 0.5
    movement: float = 0.8
    size: float = 0.8

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not 0 <= weight <= 1:
                raise UsageError(f"fusion: {name} is {weight}; expected a weight of the images from 0 to 1.")


def by_names(images: Mapping[str, Any], flow: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    """`fused` with some of the weights of `Fusion` by their names.

    Raises:
        UsageError: A weight is unknown, or not from 0 to 1.
    """
    known = [field.name for field in dataclasses.fields(Fusion)]
    for name in weights:
        if name not in known:
            raise UsageError(f"fusion: unknown weight {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
    return fused(images, flow, Fusion(**weights))


def fused(images: Mapping[str, Any], flow: Mapping[str, Any], weights: Fusion) -> dict[str, Any]:
    """The maps of two networks as those of one.

    Args:
        images: {head: [B, h, w, C]} without activation, of the network that sees images; of heads that are read at
            cells, what `losses.gather_cells` takes instead.
        flow: The same of the network that sees flow.
        weights: Of the images.

    Returns:
        {head: [B, h, w, C]} without activation: the logits of the mean score, and means of the others, or what they
        are read from.
    """
    if not images:  # Only the weights are to be checked.
        return {}
    first, second = (ops.sigmoid(ops.cast(maps["heatmap"], "float32")) for maps in (images, flow))
    score = ops.clip(weights.heatmap * first + (1 - weights.heatmap) * second, SURE, 1 - SURE)
    joined: dict[str, Any] = {"heatmap": ops.log(score) - ops.log1p(-score)}
    for name in ("movement", "size"):
        own, maps = getattr(weights, name), (images[name], flow[name])
        if any(isinstance(one, Mapping) for one in maps):
            joined[name] = {"maps": list(maps), "weights": [own, 1 - own]}
        else:
            joined[name] = own * ops.cast(maps[0], "float32") + (1 - own) * ops.cast(maps[1], "float32")
    return joined
