"""What wrong depths, dimensions and orientations cost (official code, `L1Loss` and `BinRotLoss`).

As CenterNet has it, all are means over as many rows as an image may have objects, filled or not, so few objects cost
little. Of dimensions, offset and size that is `losses.masked_l1` of targets with "rows".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.losses import batch_sum, gather_cells
from centernet_tf.tasks.box3d.decode import to_metres


def depth(values: Any, target: Mapping[str, Any]) -> Any:
    """L1 at the cells of the objects, in metres.

    Args:
        values: [B, h, w, 1] as the network answers it.
        target: "index" [B, N] int32 cells (y * w + x), "mask" [B, N, 1] float32 of 0 and 1, "value" [B, N, 1] metres,
            and perhaps "rows", how many an image has with those that were cut off.

    Returns:
        Scalar: summed error over B x rows; without "rows" over the objects plus 1e-4, as CenterTrack has it.
    """
    metres = to_metres(gather_cells(values, target["index"]))
    error = batch_sum(ops.abs(metres - target["value"]) * target["mask"])
    if "rows" not in target:
        return error / (batch_sum(target["mask"]) + 1e-4)
    return error / (batch_sum(ops.cast(ops.shape(metres)[0], "float32")) * target["rows"])


def rotation(values: Any, target: Mapping[str, Any]) -> Any:
    """Cross-entropy of each bin, and smooth L1 of sine and cosine within the bins that hold the angle.

    A row without object costs ln 2 for each bin, so that values near 1.39 are the floor of images with few objects.

    Args:
        values: [B, h, w, 8]: for each of two bins the logits of no and yes, sine and cosine.
        target: "index" [B, N] int32, "mask" [B, N, 1] float32, "bins" [B, N, 2] float32 of 0 and 1, "residuals"
            [B, N, 2] radians from the middle of each bin, and "rows", how many an image has with those cut off.

    Returns:
        Scalar. Cross-entropies are means over B x rows, the others over the rows in each bin.
    """
    predicted = ops.cast(gather_cells(values, target["index"]), "float32")
    mask = target["mask"][..., 0]
    rows = batch_sum(ops.cast(ops.shape(predicted)[0], "float32")) * target["rows"]
    total = 0.0
    for number in range(2):
        no, yes, sine, cosine = (predicted[..., 4 * number + part] for part in range(4))
        chosen, residual = target["bins"][..., number], target["residuals"][..., number]
        entropy = ops.softplus(ops.where(chosen > 0, no - yes, yes - no))
        total += (batch_sum(entropy * mask) + (rows - batch_sum(mask)) * np.float32(np.log(2))) / rows
        inside = chosen * mask
        error = _smooth(sine - ops.sin(residual)) + _smooth(cosine - ops.cos(residual))
        total += batch_sum(error * inside) / ops.maximum(batch_sum(inside), 1.0)
    return total


def _smooth(error: Any) -> Any:
    """Smooth L1 with its corner at 1."""
    size = ops.abs(error)
    return ops.where(size < 1, 0.5 * size * size, size - 0.5)
