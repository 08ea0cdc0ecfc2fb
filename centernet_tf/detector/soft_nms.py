"""Gaussian soft-NMS in graph form: what several scales found, as one list (Soft-NMS, Bodla et al. 2017, section 3)."""

from collections.abc import Mapping
from typing import Any

from keras import ops

SIGMA = 0.5
DROP = 0.001
GONE = -1.0  # score of a row that is chosen or dropped


def keep_best(found: Mapping[str, Any], count: int, stale_rows: bool = False) -> dict[str, Any]:
    """Joins candidates.

    Args:
        found: {field: [B, N, ...]} with "boxes" in pixels, "scores" and "classes"; N at least `count`.
        count: Rows to return.
        stale_rows: See `soft_nms_in_place`.

    Returns:
        {field: [B, count, ...]} with the scores that are left, falling. Rows beyond the last object score 0.
    """
    suppress = soft_nms_in_place if stale_rows else soft_nms
    scores, index, *others = suppress(found["boxes"], found["scores"], found["classes"], count)
    other = others[0] if others else index
    kept = {name: take_rows(value, index if name in ("boxes", "classes") else other) for name, value in found.items()}
    return {**kept, "scores": scores}


def take_rows(values: Any, index: Any) -> Any:
    """[B, N, ...] at [B, M]: [B, M, ...]."""
    shape = ops.shape(values)[2:]
    flat = ops.reshape(values, (*ops.shape(values)[:2], -1))
    return ops.reshape(ops.take_along_axis(flat, index[..., None], axis=1), (*ops.shape(index), *shape))


def iou(boxes: Any, box: Any) -> Any:
    """Intersection over union in the original's way: a box from pixel 3 to pixel 5 is 3 wide.

    Args:
        boxes: [B, N, 4] left, top, right, bottom in pixels.
        box: [B, 1, 4] likewise.

    Returns:
        [B, N], 0 where the two do not meet.
    """
    corner = ops.minimum(boxes[..., 2:], box[..., 2:]) - ops.maximum(boxes[..., :2], box[..., :2]) + 1
    area, own = (ops.prod(one[..., 2:] - one[..., :2] + 1, axis=-1) for one in (boxes, box))
    common = ops.prod(corner, axis=-1)
    union = area + own - common
    # Sides may be negative, and then a union may be nothing.
    ious = common / ops.where(union == 0, 1.0, union)
    return ops.where(ops.all(corner > 0, axis=-1), ious, 0.0)


def soft_nms(boxes: Any, scores: Any, classes: Any, count: int, sigma: float = SIGMA, drop: float = DROP) -> Any:
    """Chooses the best box, lowers the scores of those of its class that it overlaps, and so on.

    A box that an IoU brings below the threshold is dropped; one that nothing chosen meets stays, however low.
    Scores only fall, so the first `count` chosen are the best `count` of all classes, and no more are looked for.

    Args:
        boxes: [B, N, 4] float32 left, top, right, bottom in pixels.
        scores: [B, N] float32.
        classes: [B, N] int32. Boxes of different classes do not touch each other.
        count: Rows to return, K.
        sigma: Width of the Gaussian: a score is multiplied by exp(-IoU^2 / sigma).
        drop: Least score.

    Returns:
        [B, K] scores, falling, 0 where fewer are left; [B, K] int32 index of each into N. Equal scores come in the
        order of their rows.
    """
    rows = ops.arange(ops.shape(scores)[1], dtype="int32")
    places = ops.arange(count, dtype="int32")
    blank = ops.repeat(scores[:, :1] * 0, count, axis=1)

    def choose(step: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        left, kept, index = state
        best = ops.cast(ops.argmax(left, axis=1), "int32")[:, None]  # [B, 1]
        ious = iou(boxes, take_rows(boxes, best))
        rival = ops.logical_and(classes == ops.take_along_axis(classes, best, axis=1), ious > 0)
        lowered = left * ops.exp(-ops.square(ious) / sigma)
        lowered = ops.where(lowered < drop, GONE, lowered)
        here = places == step
        kept = ops.where(here, ops.max(left, axis=1, keepdims=True), kept)
        index = ops.where(here, best, index)
        left = ops.where(rows == best, GONE, ops.where(rival, lowered, left))
        return left, kept, index

    _, kept, index = ops.fori_loop(0, count, choose, (scores, blank, ops.cast(blank, "int32")))
    return ops.maximum(kept, 0.0), index


def soft_nms_in_place(
    boxes: Any, scores: Any, classes: Any, count: int, sigma: float = SIGMA, drop: float = DROP
) -> Any:
    """`soft_nms` with the original's stale rows; arguments as there.

    The original works within one array for each class. A box that falls below the threshold is overwritten by the last
    live row, which is then live in two places; the array counts one row less as live, but is returned whole. So copies
    of other rows survive with the score they had when they were moved. Its inner loop goes row by row; here one step
    over all rows gives the same array: rows that stay, from the last, fill the gaps, from the first.

    Where a box is overwritten, what else is told of its object changes places with that of the last live row instead.
    So stale rows have that of those that fell.

    Returns:
        [B, K] scores; [B, K] int32 index into N of each row's box; [B, K] int32 index of everything else it has.
    """
    total = ops.shape(scores)[1]
    place = ops.arange(total, dtype="int32")
    # Classes side by side, each in the given order; equal keys cannot be, so no sort reorders them.
    order = ops.cast(ops.argsort(classes * total + place, axis=1), "int32")
    kind = ops.take_along_axis(classes, order, axis=1)
    # Behind the last row of its class, for each row.
    same = ops.cast(kind[:, None, :] == kind[:, :, None], "int32")
    ends = ops.max(same * (place + 1), axis=-1)

    def visit(step: Any, state: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        row, rest_of, score, end = state
        current = place == step
        own = ops.sum(ops.where(current, kind, 0), axis=1, keepdims=True)
        stop = ops.sum(ops.where(current, end, 0), axis=1, keepdims=True)
        active = step < stop
        live = (place >= step) & (place < stop) & (kind == own)
        # Brings the best live row here.
        best = ops.cast(ops.argmax(ops.where(live, score, GONE), axis=1), "int32")[:, None]
        swap = ops.where(current, best, ops.where(place == best, step, place))
        swap = ops.where(active, swap, place)
        row, rest_of, score = (ops.take_along_axis(values, swap, axis=1) for values in (row, rest_of, score))
        chosen = ops.sum(ops.where(current, row, 0), axis=1, keepdims=True)
        ious = iou(take_rows(boxes, row), take_rows(boxes, chosen))
        rest = live & (place > step) & active
        met = rest & (ious > 0)
        lowered = ops.where(met, score * ops.exp(-ops.square(ious) / sigma), score)
        falls = met & (lowered < drop)
        stays = rest & ops.logical_not(falls)
        border = step + 1 + ops.sum(ops.cast(stays, "int32"), axis=1, keepdims=True)
        # The last that stay fill the gaps before the border.
        movers = ops.flip(ops.sort(ops.where(stays & (place >= border), place, -1), axis=1), axis=1)
        gap = falls & (place < border)
        number = ops.maximum(ops.cumsum(ops.cast(gap, "int32"), axis=1) - 1, 0)
        source = ops.where(gap, ops.take_along_axis(movers, number, axis=1), place)
        # The tail, from the last, gets the rest of what fell, in the order in which it fell.
        moving = ops.cast(stays & (place >= border), "int32")
        above = ops.sum(moving, axis=1, keepdims=True) - ops.cumsum(moving, axis=1)
        fell = _falling_order(falls, gap, number, above, border)
        tail = (place >= border) & (place < stop) & active
        behind = ops.take_along_axis(fell, ops.clip(stop - 1 - place, 0, total - 1), axis=1)
        rest_of = ops.take_along_axis(rest_of, ops.where(tail, behind, source), axis=1)
        # At the border itself the row behind it ends up, if the loop still reached it.
        reached = ops.min(ops.where(stays & (place >= border), place, stop), axis=1, keepdims=True)
        at_border = (place == border) & (reached > border) & active
        source = ops.where(at_border, ops.minimum(border + 1, reached - 1), source)
        changed = (rest & (place < border)) | at_border
        row = ops.take_along_axis(row, source, axis=1)
        score = ops.where(changed, ops.take_along_axis(lowered, source, axis=1), score)
        end = ops.where(active & (kind == own), border, end)
        return row, rest_of, score, end

    state = (order, order, ops.take_along_axis(scores, order, axis=1), ends)
    row, rest_of, score, _ = ops.fori_loop(0, total, visit, state)
    best, index = ops.top_k(score, count)
    index = ops.cast(index, "int32")
    return best, *(ops.take_along_axis(values, index, axis=1) for values in (row, rest_of))


def _falling_order(falls: Any, gap: Any, number: Any, above: Any, border: Any) -> Any:
    """Places of rows in the order in which the original's loop sees them fall; those that stay come last.

    It meets a gap, brings the last live row there, and the one before it as long as these fall, too; then it goes on to
    the next gap. Behind the last gap it comes to the border, and brings there what is left.

    Args:
        falls: [B, N] bool: which rows fall.
        gap: [B, N] bool: those of them before the border.
        number: [B, N] int32: which gap, from 0.
        above: [B, N] int32: rows behind this one that stay and fill gaps.
        border: [B, 1] int32: rows that are left.
    """
    total = ops.shape(falls)[1]
    place = ops.arange(total, dtype="int32")
    within = ops.where(gap | (place == border), 0, total - place)
    key = ops.where(gap, number, above) * (total + 1) + within
    return ops.cast(ops.argsort(ops.where(falls, key, (total + 2) ** 2 + place), axis=1), "int32")
