"""Targets of boxes: in which cells they are learned, and as which numbers."""

import math
from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.geometry import gaussian


def encode(located: Mapping[str, Any], settings: Any, stride: int) -> dict[str, Any]:
    """Targets of what tells a box.

    Args:
        located: What `Centers.locate` returned.
        settings: The `Centers`.
        stride: Pixels of the input on a cell's side.

    Returns:
        "offset" and "size", and "iou" where the IoU is told: as `losses.masked_l1` takes them, and as `overlap.giou`
        does where whole boxes are compared.
    """
    central = at_centers(located, settings.ltrb)
    found = over_areas(located, settings.ltrb, settings.area, stride) if settings.area else central
    # Rows without a box may hold anything, and even a loss that counts nothing must have a gradient.
    whole = {**found, "edges": ops.where(found["mask"] > 0, found["edges"], 1.0)}
    if settings.box == "sides":
        targets = {"offset": _values(found, found["shift"]), "size": _sizes(found, located, settings)}
    else:
        targets = {"offset": _values(central, central["shift"]), "size": whole}
    if located["rows"] is not None:
        # An object has the size of one class.
        classes = settings.num_classes if settings.class_specific_size else 1
        for name, rows in (("offset", located["rows"]), ("size", located["rows"] / classes)):
            targets[name] |= {"rows": rows} if {"index", "value"} <= set(targets[name]) else {}
    return {**targets, "iou": whole} if settings.iou_aware else targets


def _values(found: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """A target of numbers in the cells of boxes."""
    return {**{name: found[name] for name in ("index", "mask") if name in found}, "value": value}


def _sizes(found: Mapping[str, Any], located: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """The target of sizes: edges, or width and height, of each class where these differ."""
    if settings.ltrb:
        return _values(found, found["edges"])
    size = found["edges"][..., :2] + found["edges"][..., 2:]
    if not settings.class_specific_size:
        return _values(found, size)
    chosen = ops.one_hot(located["classes"], settings.num_classes, dtype="float32")[..., None]  # [B, N, C, 1]
    shape = (*ops.shape(size)[:2], 2 * settings.num_classes)
    mask = ops.reshape(ops.broadcast_to(chosen, (*ops.shape(chosen)[:3], 2)), shape) * found["mask"]
    return {**_values(found, ops.reshape(chosen * size[:, :, None], shape)), "mask": mask}


def at_centers(located: Mapping[str, Any], ltrb: bool) -> dict[str, Any]:
    """Each box in the cell of its centre.

    Args:
        located: What `Centers.locate` returned.
        ltrb: Whether it is the whole box, which may end beyond the grid, as `Centers.ltrb` learns it.

    Returns:
        "index" [B, N] int32 cells; "mask" [B, N, 1] float32, 1 of boxes that are learned; "shift" [B, N, 2] (x, y) from
        the cell to the centre, in cells; "edges" [B, N, 4] from there to the left, top, right and bottom edge.
    """
    half = located["size"] / 2
    return {
        "index": located["index"],
        "mask": ops.cast(located["boxed"], "float32")[..., None],
        "shift": located["center"] - located["cell"],
        "edges": located["edges"] if ltrb else ops.concatenate([half, half], axis=-1),
    }


def over_areas(located: Mapping[str, Any], ltrb: bool, part: float, stride: int) -> dict[str, Any]:
    """Each box in all cells around its centre, weighted by a Gaussian (TTFNet: Liu et al., 2020).

    These are the cells whose distance from the centre's is at most `part` of half the box's width and height. One that
    two boxes reach is the smaller one's; but the cell of a centre is its own box's, for it is read there. The weights
    of a box are its Gaussian's, of which the whole sums to the logarithm of the box's area in pixels, at least 1.

    Args:
        located: As of `at_centers`.
        ltrb: As of `at_centers`.
        part: Above 0, up to 1.
        stride: Pixels of the input on a cell's side.

    Returns:
        As `at_centers`, of all cells of the grid in their order: "mask" [B, h w, 1], how much each counts, "shift"
        [B, h w, 2] and "edges" [B, h w, 4]; without "index".
    """
    edges, reach = at_centers(located, ltrb)["edges"], elliptic(located["size"], part)
    rows, columns = _profiles(located, ops.where(located["boxed"][..., None], reach, -1.0))
    area = ops.prod(edges[..., :2] + edges[..., 2:], axis=-1) * stride**2
    total = ops.sum(rows, axis=-1) * ops.sum(columns, axis=-1)
    weight = ops.log(ops.maximum(area, math.e)) / ops.maximum(total, 1.0)
    owner, owned = _owners(located, rows, columns, area)
    table = ops.concatenate([located["cell"], located["center"], edges, reach, weight[..., None]], axis=-1)
    found = ops.take_along_axis(table, owner[..., None], axis=1)
    cells = _cells(located["grid"])
    deviation = (2 * found[..., 8:10] + 1) / 6
    value = ops.exp(-ops.sum(((cells - found[..., :2]) / deviation) ** 2, axis=-1) / 2)
    return {
        "mask": ops.where(owned, value * found[..., 10], 0.0)[..., None],
        "shift": found[..., 2:4] - cells,
        "edges": found[..., 4:8],
    }


def elliptic(size: Any, part: float) -> Any:
    """Radii [..., 2] of a Gaussian along x and y, whole cells, of boxes of these widths and heights [..., 2]."""
    return ops.floor(size / 2 * part)


def _profiles(located: Mapping[str, Any], reach: Any) -> tuple[Any, Any]:
    """Rows [B, N, h] and columns [B, N, w] of Gaussians of these radii (x, y) [B, N, 2]."""
    height, width = located["grid"]
    cell = located["cell"]
    rows = gaussian.profile(cell[..., 1], reach[..., 1], height)
    return rows, gaussian.profile(cell[..., 0], reach[..., 0], width)


def _owners(located: Mapping[str, Any], rows: Any, columns: Any, area: Any) -> tuple[Any, Any]:
    """[B, h w] int32, which object each cell is of, and bool, whether of any.

    Objects are ranked from the largest up, and the highest rank in a cell counts; in cells of centres N is added.
    """
    height, width = located["grid"]
    batch, rows_of_image = ops.shape(area)
    count = ops.cast(rows_of_image, "float32")  # A tensor where batches differ in length.
    order = ops.argsort(-area, axis=1)
    rank = ops.cast(ops.argsort(order, axis=1) + 1, "float32")
    inside = ops.cast(rows > 0, "float32") * rank[..., None], ops.cast(columns > 0, "float32")
    highest = gaussian.merge_planes(*inside, ops.zeros_like(located["classes"]), 1)
    place = located["index"] + ops.arange(batch, dtype="int32")[:, None] * (height * width)
    central = ops.where(located["boxed"], rank + count, 0.0)
    central = ops.segment_max(ops.reshape(central, (-1,)), ops.reshape(place, (-1,)), batch * height * width)
    highest = ops.maximum(ops.reshape(highest, (batch, -1)), ops.reshape(central, (batch, -1)))
    rank = ops.where(highest > count, highest - count, highest)
    owner = ops.take_along_axis(order, ops.cast(ops.maximum(rank - 1, 0.0), "int32"), axis=1)
    return ops.cast(owner, "int32"), highest > 0


def _cells(grid: tuple[int, int]) -> Any:
    """(x, y) of all cells in their order, [1, h w, 2]."""
    height, width = grid
    index = ops.arange(height * width, dtype="int32")
    return ops.cast(ops.stack([index % width, index // width], axis=-1), "float32")[None]
