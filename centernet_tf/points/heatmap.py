"""Target heatmaps: a Gaussian for each object at its cell, and cells about which nothing is known.

Always float32: in bfloat16 the neighbours of a large object's centre round to exactly 1 and become centres.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.geometry import gaussian

UNJUDGED = 0.9999  # Wanted score of cells about which nothing is known.


def render(centers: Mapping[str, Any], num_classes: int, ignore_crowd: bool, ignored_area: bool) -> dict[str, Any]:
    """Draws the target heatmap, and the map of ignored cells where crowds are ignored.

    Rotated images are 0.9999 everywhere: no centre, and a wrong score costs next to nothing (official code,
    `datasets/sample/multi_pose.py`). So is what ignored objects cover.

    Args:
        centers: What `Centers.locate` returned.
        num_classes: C.
        ignore_crowd: See `Centers`; likewise `ignored_area`.
        ignored_area: See ignore_crowd.

    Returns:
        "heatmap" [B, h, w, C] float32, exactly 1 at the centres; and "ignore" of the same shape, 1 in boxes of crowds,
        where these are ignored.
    """
    target = {"heatmap": _draw(centers, num_classes, ignored_area)}
    if centers["rotated"] is not None:
        rotated = centers["rotated"][:, None, None, None]
        target["heatmap"] = ops.where(rotated, UNJUDGED, target["heatmap"])
    if ignore_crowd:
        rows, columns = _box_profiles(centers)
        rows = rows * ops.cast(centers["grouped"], "float32")[..., None]
        target["ignore"] = gaussian.merge_planes(rows, columns, centers["classes"], num_classes)
    return target


def _draw(centers: Mapping[str, Any], num_classes: int, ignored_area: bool) -> Any:
    """The Gaussians of all objects, [B, h, w, C]."""

    def wanted() -> Any:
        rows, columns = _gaussian_profiles(centers, centers["keep"])
        return gaussian.merge_planes(rows, columns, centers["classes"], num_classes)

    ignored = centers["ignored"]
    if ignored is None:
        return wanted()
    # Ignored objects make drawing half as slow again, and most data sets have none.
    return ops.cond(ops.any(ignored), lambda: _draw_with_ignored(centers, num_classes, ignored_area), wanted)


def _draw_with_ignored(centers: Mapping[str, Any], num_classes: int, ignored_area: bool) -> Any:
    """Objects are drawn in their order, [B, h, w, C].

    An ignored one sets its centre, or its box, to 0.9999, in the channel of its class or in all, whatever was there
    before; what comes later may exceed that (official code, `datasets/sample/ddd.py`).
    """
    ignored, classes = centers["ignored"], centers["classes"]
    rows, columns = _gaussian_profiles(centers, ops.logical_or(centers["keep"], ignored))
    if ignored_area:
        box_rows, box_columns = _box_profiles(centers)
        rows = ops.where(ignored[..., None], box_rows, rows)
        columns = ops.where(ignored[..., None], box_columns, columns)
    limits = ops.where(ops.logical_or(ignored, _overruled(centers, ignored_area)), UNJUDGED, 1.0)
    # One more channel for those of all classes.
    classes = ops.where(ops.logical_and(ignored, classes < 0), num_classes, classes)
    heatmap = gaussian.merge_planes(rows, columns, classes, num_classes + 1, limits)
    return ops.maximum(heatmap[..., :-1], heatmap[..., -1:])


def _gaussian_profiles(centers: Mapping[str, Any], drawn: Any) -> tuple[Any, Any]:
    """Rows [B, N, h] and columns [B, N, w] of the Gaussian of each object that is `drawn` [B, N], zeros of others."""
    height, width = centers["grid"]
    reach = ops.where(drawn[..., None], centers["reach"], -1.0)
    return (
        gaussian.profile(centers["cell"][..., 1], reach[..., 1], height),
        gaussian.profile(centers["cell"][..., 0], reach[..., 0], width),
    )


def _box_profiles(centers: Mapping[str, Any]) -> tuple[Any, Any]:
    """Rows [B, N, h] and columns [B, N, w] of the cells that each object's box touches, 0 or 1."""
    height, width = centers["grid"]
    left, top, right, bottom = (centers["boxes"][..., side] for side in range(4))
    return gaussian.box_profile(top, bottom, height), gaussian.box_profile(left, right, width)


def _overruled(centers: Mapping[str, Any], area: bool) -> Any:
    """[B, N] bool: objects whose centre a later ignored one of their class covers, with its centre or its box."""
    cell, classes, order = centers["cell"], centers["classes"], ops.arange(ops.shape(centers["classes"])[1])
    low, high = (centers["boxes"][..., :2], centers["boxes"][..., 2:]) if area else (cell, cell)
    inside = ops.logical_and(cell[:, :, None] >= ops.floor(low)[:, None], cell[:, :, None] <= high[:, None])
    meant = ops.logical_or(classes[:, None] < 0, classes[:, None] == classes[:, :, None])
    later = ops.logical_and(order[None, :] > order[:, None], centers["ignored"][:, None])
    return ops.any(ops.logical_and(ops.logical_and(ops.all(inside, axis=-1), meant), later), axis=2)
