"""Ground truth laid out as the maps of heads, to see what a network would score if a head answered without error.

As the original's evaluation does it (`--eval_oracle_hm`, `_wh`, `_offset`, ...): heatmaps are those that are trained
for; of numbers at the cells of objects, every cell has those of the nearest object, so that a peak that lies beside its
cell finds them, too.
"""

from collections.abc import Collection, Mapping
from typing import Any

from keras import ops

from centernet_tf import losses
from centernet_tf.points.task import Term
from centernet_tf.points.task_set import TaskSet

CERTAIN = 1e-6  # what scores of 0 and 1 keep from these, whose logits are infinite
FAR = 1 << 20  # more cells than lie between any two of a map

# Losses of targets that are what the head would have to answer; other terms say it by `Term.ideal`.
PLAIN = (losses.focal, losses.masked_l1, losses.masked_smooth_l1)


def terms_of(tasks: TaskSet) -> dict[str, Term]:
    """{head: the term whose target says what it would have to answer}, of all heads that have one."""
    alone = [term for term in tasks.terms if len(term.reads) == 1 and (term.ideal or term.function in PLAIN)]
    return {head.name: term for head in tasks.heads for term in alone if term.reads == (head.name,)}


def ideal_maps(
    tasks: TaskSet, rows: Mapping[str, Any], grid: tuple[Any, Any], heads: Collection[str]
) -> dict[str, Any]:
    """What heads would have to answer.

    Args:
        tasks: Of the network.
        rows: As `TaskSet.encode` takes them.
        grid: Height and width of the maps in cells.
        heads: Names, of those in `terms_of`.

    Returns:
        {head: [B, h, w, channels] float32}, without activation, as the network answers it.
    """
    targets, terms = tasks.encode(rows, grid), terms_of(tasks)
    ideals = {name: targets[terms[name].name] for name in heads}
    return {name: lay_out((terms[name].ideal or dict)(target), grid) for name, target in ideals.items()}


def lay_out(ideal: Mapping[str, Any], grid: tuple[Any, Any]) -> Any:
    """One map.

    Args:
        ideal: "heatmap" [B, h, w, C] in 0..1; or "index" [B, M] int32 cells (y * w + x), "mask" [B, M, 1] or [B, M, D]
            of 0 and 1, and "value" [B, M, D], as the head answers it.
        grid: h and w.

    Returns:
        [B, h, w, C] logits, or [B, h, w, D] with the value of the nearest cell that has one, by steps to the side and
        up and down; 0 where an image has none.
    """
    if "heatmap" in ideal:
        scores = ops.clip(ops.cast(ideal["heatmap"], "float32"), CERTAIN, 1 - CERTAIN)
        return ops.log(scores) - ops.log(1 - scores)
    index, mask, value = ideal["index"], ideal["mask"], ops.cast(ideal["value"], "float32")
    if mask.shape[-1] == 1:
        return _filled(index, mask[..., 0], value, grid)

    def one(channel: tuple[Any, Any]) -> Any:
        return _filled(index, channel[0], channel[1][..., None], grid)[..., 0]

    # Channel after channel, for each may have other cells; all at the same time would fill the memory.
    planes = ops.map(one, (ops.transpose(mask, (2, 0, 1)), ops.transpose(value, (2, 0, 1))))
    return ops.transpose(planes, (1, 2, 3, 0))


def _filled(index: Any, mask: Any, value: Any, grid: tuple[Any, Any]) -> Any:
    """[B, h, w, D] of values [B, M, D] at cells [B, M], those of a mask [B, M] of 0 and 1."""
    height, width = grid
    batch, count, depth = ops.shape(value)
    row = ops.broadcast_to(ops.arange(count, dtype="int32"), (batch, count))
    place = index + ops.arange(batch, dtype="int32")[:, None] * (height * width)
    place = ops.where(mask > 0, place, batch * height * width)  # others fall behind all maps
    owner = ops.segment_max(ops.reshape(row, (-1,)), ops.reshape(place, (-1,)), batch * height * width + 1)
    owner = nearest(ops.reshape(owner[:-1], (batch, height, width)))
    owner = ops.reshape(owner, (batch, height * width, 1))
    rows = ops.broadcast_to(ops.maximum(owner, 0), (batch, height * width, depth))
    filled = ops.where(owner >= 0, ops.take_along_axis(value, rows, axis=1), 0.0)
    return ops.reshape(filled, (batch, height, width, depth))


def nearest(owner: Any) -> Any:
    """Maps [B, h, w] int32, negative where nobody owns a cell, with the owner of the nearest cell that has one.

    Distances are steps to the side and up and down. First the nearest of each column, then that of the columns.
    """
    away = ops.where(owner >= 0, 0, FAR)
    for axis in (1, 2):
        owner, away = _nearest_along(owner, away, axis)
    return ops.where(away < FAR, owner, -1)


def _nearest_along(owner: Any, away: Any, axis: int) -> tuple[Any, Any]:
    """The nearest owner along one axis of [B, h, w], where each cell's own is `away` already; and how far it is."""
    steps = ops.arange(ops.shape(owner)[axis], dtype="int32")
    apart = ops.abs(steps[:, None] - steps)  # [to, from]
    apart = apart[None, :, :, None] if axis == 1 else apart[None, None]
    total = ops.expand_dims(away, axis) + apart  # [B, to, from, w] or [B, h, to, from]
    place = ops.cast(ops.argmin(total, axis=axis + 1), "int32")
    return ops.take_along_axis(owner, place, axis=axis), ops.min(total, axis=axis + 1)
