"""The Gaussian an object leaves on a heatmap: its radius, and drawing all of them at once on the device."""

from typing import Any

from keras import ops


def radius(height: Any, width: Any, iou: float = 0.7, corrected: bool = False) -> Any:
    """How far a corner may stray before a box of this size overlaps the object too little.

    Three cases, each a quadratic in r, of which the smallest root counts (CornerNet, section 3.2). The official code
    leaves out the division by the leading coefficient and takes the larger root, so its radii are about 3.35 times the
    intended ones; every published weight was trained with them, so they are the default.

    Args:
        height: [...] float, of the object in cells of the output grid.
        width: [...] float, likewise.
        iou: Least intersection over union.
        corrected: Take the roots that the derivation intends.

    Returns:
        [...] float radius in cells, not rounded.
    """
    total, area = height + width, height * width
    shared = (1 - iou) / (1 + iou)
    root_one = ops.sqrt(ops.maximum(total**2 - 4 * area * shared, 0))
    root_two = ops.sqrt(ops.maximum(4 * total**2 - 16 * (1 - iou) * area, 0))
    # Case three subtracts nearly equal numbers; this form of the same root does not.
    root_three = ops.sqrt((2 * iou * total) ** 2 + 16 * iou * (1 - iou) * area)
    case_three = 8 * iou * (1 - iou) * area / ops.maximum(2 * iou * total + root_three, 1e-12)
    if corrected:
        cases = (total - root_one) / 2, (2 * total - root_two) / 8, case_three / (4 * iou)
    else:
        cases = (total + root_one) / 2, (2 * total + root_two) / 2, case_three
    return ops.minimum(ops.minimum(cases[0], cases[1]), cases[2])


def whole(reach: Any) -> Any:
    """Truncates radii to whole cells as the float64 original does.

    For whole sides the radius of some objects is exactly an integer (14 for 42 x 65), which float32 may miss from
    below by one rounding step; no other radius of a grid up to 300 x 300 lies as close to an integer as the nudge.
    """
    return ops.floor(reach * (1 + 3e-7))


def profile(center: Any, reach: Any, length: int) -> Any:
    """One axis of a Gaussian with sigma = (2 r + 1) / 6, cut off beyond r.

    Args:
        center: [...] float, whole numbers: the cell of the peak.
        reach: [...] float, whole numbers: radius r in cells; negative draws nothing.
        length: Cells along this axis.

    Returns:
        [..., length] float32, exactly 1 at the centre and 0 beyond the radius.
    """
    distance = ops.arange(length, dtype="float32") - center[..., None]
    sigma = (2 * reach + 1) / 6
    value = ops.exp(-(distance**2) / (2 * sigma**2)[..., None])
    return ops.where(ops.abs(distance) <= reach[..., None], value, 0.0)


def box_profile(first: Any, last: Any, length: int) -> Any:
    """One axis of a box that covers every cell it touches, from `first` to `last` [...]: [..., length] of 0 and 1."""
    cells = ops.arange(length, dtype="float32")
    return ops.cast(ops.logical_and(cells >= ops.floor(first)[..., None], cells <= last[..., None]), "float32")


def merge_planes(rows: Any, columns: Any, classes: Any, num_classes: int, limits: Any = None) -> Any:
    """Multiplies a profile over rows with one over columns and keeps the largest value of each class.

    A Gaussian is separable, so an object costs h + w exponentials; the maximum over objects of one class is a segment
    maximum. No array of h x w x objects x classes ever exists.

    Args:
        rows: [B, N, h] profile along y of each object; all zeros for padded rows.
        columns: [B, N, w] profile along x.
        classes: [B, N] int32 class; padded rows may hold anything.
        num_classes: Channels C.
        limits: [B, N] largest value an object leaves anywhere; no limit if left out.

    Returns:
        [B, h, w, C] float32, zero where no object reaches.
    """
    batch, _, height = ops.shape(rows)
    width = ops.shape(columns)[-1]
    planes = ops.reshape(rows[..., None] * columns[..., None, :], (-1, height * width))  # [B * N, h * w]
    if limits is not None:
        planes = ops.minimum(planes, ops.reshape(limits, (-1, 1)))
    image = ops.arange(batch, dtype="int32")[:, None]
    segment = ops.reshape(image * num_classes + ops.clip(classes, 0, num_classes - 1), (-1,))
    merged = ops.segment_max(planes, segment, num_segments=batch * num_classes)
    # An empty segment holds the lowest float, not zero.
    merged = ops.reshape(ops.maximum(merged, 0.0), (batch, num_classes, height, width))
    return ops.transpose(merged, (0, 2, 3, 1))
