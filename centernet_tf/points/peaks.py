"""The best local maxima of heatmaps."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.losses import gather_cells


def local_maxima(scores: Any) -> Any:
    """Scores [B, h, w, C] of at least 0, 0 wherever a cell is not the largest of its 3x3 neighbourhood."""
    pooled = ops.max_pool(scores, 3, strides=1, padding="same")
    return ops.where(scores < pooled, 0.0, scores)


def best_of_all(scores: Any, count: int, flat: bool = False) -> tuple[Any, Any, Any]:
    """The best scores of a map whatever their channel.

    Args:
        scores: [B, h, w, C] of at least 0.
        count: How many of each image, K; a map of fewer cells is filled up with scores of 0.
        flat: Search cells and channels in one list instead of cells first: the same, see `Centers.flat`.

    Returns:
        Scores [B, K], falling; channels [B, K] int32; cells [B, K] int32, y * w + x. Equal scores come in any order.
    """
    _, height, width, _ = ops.shape(scores)
    best, channels, index = (_best_listed if flat else _best_cells)(scores, count)
    return best, channels, ops.minimum(index, height * width - 1)


def best_of_each(scores: Any, count: int) -> tuple[Any, Any]:
    """The best scores of each channel.

    Args:
        scores: [B, h, w, C] of at least 0.
        count: How many of each channel, K; a map of fewer cells is filled up with scores of 0.

    Returns:
        Scores [B, C, K], falling; cells [B, C, K] int32, y * w + x.
    """
    batch, height, width, channels = ops.shape(scores)
    listed = ops.reshape(ops.transpose(scores, (0, 3, 1, 2)), (batch, channels, height * width))
    if not isinstance(height * width, int) or height * width < count:
        listed = ops.pad(listed, ((0, 0), (0, 0), (0, count)))
    best, place = ops.top_k(listed, count)
    return best, ops.minimum(ops.cast(place, "int32"), height * width - 1)


def with_iou(scores: Any, iou: Any, index: Any, share: float) -> Any:
    """Scores that tell how well boxes fit, too: score^(1 - share) IoU^share (Wu et al., 2019).

    Args:
        scores: [B, K, C] in 0..1.
        iou: [B, h, w, 1] before the sigmoid, or what `losses.gather_cells` takes instead.
        index: [B, K] int32 cells, y * w + x.
        share: Below 1.
    """
    told = ops.sigmoid(ops.cast(gather_cells(iou, index), "float32"))
    return scores ** (1 - share) * told**share


def rescored(found: Mapping[str, Any], iou: Any, share: float, count: int) -> dict[str, Any]:
    """The best peaks in the order of the scores that `with_iou` gives them.

    Args:
        found: What `Centers.peaks_of_scores` returned, at least `count` of them.
        iou: As of `with_iou`, likewise share.
        share: See iou.
        count: How many are kept.
    """
    scores = with_iou(found["scores"][..., None], iou, found["index"], share)[..., 0]
    scores, order = ops.top_k(scores, count)
    order = ops.cast(order, "int32")
    moved = {name: ops.take_along_axis(found[name], order, axis=1) for name in ("classes", "index")}
    points = {name: ops.take_along_axis(found[name], order[..., None], axis=1) for name in ("cell", "center")}
    return {"scores": scores, **moved, **points}


def cells_of(index: Any, width: Any) -> Any:
    """[..., 2] float32 (x, y) of cells [...] int32, y * w + x."""
    return ops.cast(ops.stack([index % width, index // width], axis=-1), "float32")


def _best_cells(scores: Any, count: int) -> tuple[Any, Any, Any]:
    """The K best of [B, h, w, C]: scores, channels and cells [B, K]; a cell may lie beyond the last.

    They lie in the K cells whose best channel scores highest, for any other cell is beaten by K of them; so only K x C
    scores are sorted, not h x w x C.
    """
    batch, height, width, channels = ops.shape(scores)
    cells = ops.reshape(scores, (batch, height * width, channels))
    if not isinstance(height * width, int) or height * width < count:
        cells = ops.pad(cells, ((0, 0), (0, count), (0, 0)))
    _, best_cells = ops.top_k(ops.max(cells, axis=-1), count)
    best_cells = ops.cast(best_cells, "int32")  # [B, K]
    candidates = gather_cells(cells[:, :, None], best_cells)  # [B, K, C]
    best, place = ops.top_k(ops.reshape(candidates, (batch, count * channels)), count)
    place = ops.cast(place, "int32")
    return best, place % channels, ops.take_along_axis(best_cells, place // channels, axis=1)


def _best_listed(scores: Any, count: int) -> tuple[Any, Any, Any]:
    """As `_best_cells`, of one list."""
    batch, height, width, channels = ops.shape(scores)
    length = height * width * channels
    listed = ops.reshape(scores, (batch, length))
    if not isinstance(length, int) or length < count:
        listed = ops.pad(listed, ((0, 0), (0, count)))
    best, place = ops.top_k(listed, count)
    place = ops.cast(place, "int32")
    return best, place % channels, place // channels
