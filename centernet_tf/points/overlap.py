"""Losses of whole boxes instead of their numbers: by how far the predicted box overlaps the wanted one.

Boxes are relative to the cell in which they are read, in cells: a shift (x, y) to the centre, and the distances from
there to the left, top, right and bottom edge.
"""

import math
from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf import losses

# Half a side below which `positive` bends, in cells: one pixel of the input.
LEAST = 0.25
TINY = 1e-7
APART = 1e-3  # Added to an IoU whose logarithm is taken, so that of boxes that hardly meet stays a number.


def log_iou(offset: Any, size: Any, target: Mapping[str, Any]) -> Any:
    """-ln IoU (UnitBox: Yu et al., 2016, equation 3).

    Of a box that is too large by far, the others hardly have a gradient: 1 - IoU falls by IoU / side, this one by
    1 / side. Blood platelets came out too large all the same (docs/losses.md). Arguments and result as of `giou`.
    """
    return _mean(-ops.log((_iou(*_boxes(offset, size, target)) + APART) / (1 + APART)), target)


def giou(offset: Any, size: Any, target: Mapping[str, Any]) -> Any:
    """1 - GIoU: the IoU less the part of the box around both that neither fills (Rezatofighi et al., 2019).

    Args:
        offset: [B, h, w, 2] (x, y) from the cell to the centre, or what `losses.gather_cells` takes instead.
        size: [B, h, w, 2] (width, height) or [B, h, w, 4] (left, top, right, bottom), likewise.
        target: "index" [B, M] int32 cells, or none for all cells in their order; "mask" [B, M, 1] float32, how much
            each counts; "shift" [B, M, 2] and "edges" [B, M, 4] of the wanted box, above 0.

    Returns:
        Scalar: the mean of all boxes, weighted by the mask; 0 without any.
    """
    found, wanted = _boxes(offset, size, target)
    return _mean(1 - _iou(found, wanted) + _unfilled(found, wanted), target)


def diou(offset: Any, size: Any, target: Mapping[str, Any]) -> Any:
    """1 - DIoU: the IoU less the squared distance of the middles over the squared diagonal of the box around both.

    Zheng et al., 2020, equation 7. Arguments and result as of `giou`.
    """
    found, wanted = _boxes(offset, size, target)
    return _mean(1 - _iou(found, wanted) + _apart(found, wanted), target)


def ciou(offset: Any, size: Any, target: Mapping[str, Any]) -> Any:
    """1 - CIoU: the DIoU less a term of how far the aspect ratios differ, whose factor has no gradient.

    Zheng et al., 2020, equations 8 to 11. Arguments and result as of `giou`.
    """
    found, wanted = _boxes(offset, size, target)
    overlap = _iou(found, wanted)
    differ = 4 / math.pi**2 * (_angle(wanted) - _angle(found)) ** 2
    factor = ops.stop_gradient(differ / (1 - overlap + differ + TINY))
    return _mean(1 - overlap + _apart(found, wanted) + factor * differ, target)


def score(offset: Any, size: Any, iou: Any, target: Mapping[str, Any]) -> Any:
    """How well a head tells the IoU of the box that is predicted, by binary cross-entropy (Wu et al., 2019).

    Args:
        offset: As of `giou`; likewise size and target. The box learns nothing from it.
        size: See offset.
        iou: [B, h, w, 1] before the sigmoid.
        target: See offset.

    Returns:
        Scalar: the mean of all boxes, weighted by the mask.
    """
    truth = ops.stop_gradient(_iou(*_boxes(offset, size, target)))
    logits = ops.cast(losses.gather_cells(iou, target.get("index")), "float32")[..., 0]
    return _mean(ops.maximum(logits, 0.0) - logits * truth + ops.softplus(-ops.abs(logits)), target)


BOX_LOSSES = {"iou": log_iou, "giou": giou, "diou": diou, "ciou": ciou}


def positive(sides: Any) -> Any:
    """Sides as they are from `LEAST` on; below, a hyperbola that stays above 0.

    A box without area would have no gradient by which it could grow. Both parts have value and slope in common.
    """
    bent = LEAST**2 / (2 * LEAST - ops.minimum(sides, LEAST))
    return ops.where(sides > LEAST, sides, bent)


def _boxes(offset: Any, size: Any, target: Mapping[str, Any]) -> tuple[Any, Any]:
    """The boxes that are predicted and those that are wanted, [B, M, 4] left, top, right, bottom."""
    index = target.get("index")
    shift = ops.cast(losses.gather_cells(offset, index), "float32")
    sides = positive(ops.cast(losses.gather_cells(size, index), "float32"))
    edges = sides if sides.shape[-1] == 4 else ops.concatenate([sides, sides], axis=-1) / 2
    return _around(shift, edges), _around(target["shift"], target["edges"])


def _around(shift: Any, edges: Any) -> Any:
    return ops.concatenate([shift - edges[..., :2], shift + edges[..., 2:]], axis=-1)


def _area(boxes: Any) -> Any:
    """[B, M]; 0 of boxes whose edges have changed places."""
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def _shared(one: Any, other: Any) -> Any:
    """The area of what two boxes share."""
    low, high = ops.maximum(one[..., :2], other[..., :2]), ops.minimum(one[..., 2:], other[..., 2:])
    return _area(ops.concatenate([low, high], axis=-1))


def _hull(one: Any, other: Any) -> Any:
    """The box around both."""
    low, high = ops.minimum(one[..., :2], other[..., :2]), ops.maximum(one[..., 2:], other[..., 2:])
    return ops.concatenate([low, high], axis=-1)


def _iou(one: Any, other: Any) -> Any:
    shared = _shared(one, other)
    return shared / (_area(one) + _area(other) - shared)


def _unfilled(one: Any, other: Any) -> Any:
    """The part of the box around both that neither fills."""
    union = _area(one) + _area(other) - _shared(one, other)
    return 1 - union / _area(_hull(one, other))


def _apart(one: Any, other: Any) -> Any:
    """The squared distance of two boxes' middles over the squared diagonal of the box around both."""
    between = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    hull = _hull(one, other)
    return ops.sum(between**2, axis=-1) / ops.sum((hull[..., 2:] - hull[..., :2]) ** 2, axis=-1)


def _angle(boxes: Any) -> Any:
    """The arc tangent of width over height."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return ops.arctan2(sides[..., 0], sides[..., 1])


def _mean(values: Any, target: Mapping[str, Any]) -> Any:
    mask = target["mask"][..., 0]
    return losses.batch_sum(values * mask) / (losses.batch_sum(mask) + 1e-4)
