"""What a prediction costs: (map, target) -> scalar. Maps are raw network outputs; all arithmetic is in float32.

Every sum over a batch, of errors and of what they are divided by, is a `batch_sum`, so that several devices with a part
of the batch each have the loss of all of it.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from keras import ops

_OVER_DEVICES: contextvars.ContextVar[Callable[[Any], Any] | None] = contextvars.ContextVar(
    "over_devices", default=None
)


def batch_sum(values: Any) -> Any:
    """The sum of all elements, over the whole batch: within `summed_over_devices`, over its other parts, too."""
    total, add = ops.sum(values), _OVER_DEVICES.get()
    return total if add is None else add(total)


@contextlib.contextmanager
def summed_over_devices(add: Callable[[Any], Any]) -> Iterator[None]:
    """Makes `batch_sum` one of all devices, in this thread, where a step runs for each part of a batch by itself.

    Where one step sees all of the batch, as on JAX, however many devices compute it, nothing is to be added.

    Args:
        add: A device's scalar -> the sum of those of all devices, the same on each. The gradient of its input is the
            sum of the gradients of its output over the devices.
    """
    token = _OVER_DEVICES.set(add)
    try:
        yield
    finally:
        _OVER_DEVICES.reset(token)


def focal(logits: Any, target: Mapping[str, Any]) -> Any:
    """Penalty-reduced focal loss of a heatmap (Objects as Points, equation 1; alpha 2, beta 4).

    Args:
        logits: [B, h, w, C] before the sigmoid.
        target: "heatmap" [B, h, w, C] float32 in 0..1, exactly 1 at the centres; and optionally "ignore" of the same
            shape, 1 where a missing object is not to be punished. Centres are never ignored. Of targets with "index"
            [B, N] int32 cells (y * w + x), "classes" [B, N] and "mask" [B, N] of 0 and 1, these are the centres
            instead, two on one cell counted twice; cells at 1 beside them cost nothing (official code of CenterTrack,
            `FastFocalLoss`). Of targets with "high", a score, cells that score so much without being centres cost
            nothing: objects that nobody labelled (CenterNet2's code, `ignore_high_fp`). With "class_weights" [C], each
            channel counts so much.

    Returns:
        Scalar: the sum over all cells and classes divided by the number of centres of the batch, or the plain sum where
        the batch has none.
    """
    heatmap = ops.cast(target["heatmap"], "float32")
    score = ops.clip(ops.sigmoid(ops.cast(logits, "float32")), 1e-4, 1 - 1e-4)
    positive = ops.cast(ops.equal(heatmap, 1.0), "float32")
    if "index" in target:
        found, counted = _scores_at(score, target["index"], target["classes"]), ops.cast(target["mask"], "float32")
    else:
        found, counted = score, positive
    hit = ops.log(found) * (1 - found) ** 2 * counted
    miss = ops.log(1 - score) * score**2 * (1 - heatmap) ** 4 * (1 - positive)
    if "ignore" in target:
        miss = miss * (1 - ops.cast(target["ignore"], "float32"))
    if "high" in target:
        miss = ops.where(score < target["high"], miss, 0.0)
    if "class_weights" in target:
        weights = ops.cast(target["class_weights"], "float32")
        each = ops.take(weights, ops.clip(target["classes"], 0, score.shape[-1] - 1)) if "index" in target else weights
        hit, miss = hit * each, miss * weights
    return -(batch_sum(hit) + batch_sum(miss)) / ops.maximum(batch_sum(counted), 1.0)


def _scores_at(scores: Any, index: Any, classes: Any) -> Any:
    """[B, N] of a map [B, h, w, C] at cells and classes [B, N]; rows of no class give any."""
    batch, height, width, channels = ops.shape(scores)
    place = index * channels + ops.clip(classes, 0, channels - 1)
    place = place + ops.arange(batch, dtype="int32")[:, None] * (height * width * channels)
    return ops.take(ops.reshape(scores, (-1,)), place)


def gather_cells(values: Any, index: Any) -> Any:
    """Reads a map at cells.

    Args:
        values: [B, h, w, D]; or, of a head whose map is never made, {"features" [B, h, w, C], "kernel" [C, D], "bias"
            [D]}: the last 1x1 layer is then applied to these cells alone, in float32. A map of 1,024 channels and 128 x
            128 cells is 64 MB an image; 256 features at 100 cells are 0.1 MB, and their kernel 1 MB a batch. With
            "hidden_kernel" [3, 3, C', C] and "hidden_bias" [C], and features [B, h, w, C'], the 3x3 layer with ReLU
            before it is, too. Features may be a list of maps, whose channels stand one behind the other. Of {"maps",
            "weights"}, lists of either form and of numbers, the weighted sum is read.
        index: [B, M] int32, y * w + x; None for all cells in their order, M = h w.

    Returns:
        [B, M, D].
    """
    if index is None:
        whole = whole_map(values)
        batch, height, width, depth = ops.shape(whole)
        return ops.reshape(whole, (batch, height * width, depth))
    if not isinstance(values, Mapping):
        return _take(values, index)
    if "maps" in values:
        read = [ops.cast(gather_cells(one, index), "float32") for one in values["maps"]]
        return sum(weight * one for weight, one in zip(values["weights"], read))
    if "hidden_kernel" in values and _many(values["features"], index):
        return gather_cells(whole_map(values), index)
    read = _hidden if "hidden_kernel" in values else _take
    features = ops.cast(read(values if read is _hidden else values["features"], index), "float32")
    batch, count, depth = ops.shape(features)
    products = ops.matmul(ops.reshape(features, (batch * count, depth)), values["kernel"])
    return ops.reshape(products + values["bias"], (batch, count, values["kernel"].shape[1]))


def whole_map(values: Any) -> Any:
    """The map [B, h, w, D] of each form that `gather_cells` takes, for what has to have all of it."""
    if not isinstance(values, Mapping):
        return values
    if "maps" in values:
        made = [ops.cast(whole_map(one), "float32") for one in values["maps"]]
        return sum(weight * one for weight, one in zip(values["weights"], made))
    features = values["features"]
    features = ops.concatenate(features, axis=-1) if isinstance(features, (list, tuple)) else features
    if "hidden_kernel" in values:
        hidden = ops.conv(features, values["hidden_kernel"], padding="same") + values["hidden_bias"]
        features = ops.relu(hidden)
    return ops.conv(ops.cast(features, "float32"), values["kernel"][None, None]) + values["bias"]


def _take(values: Any, index: Any) -> Any:
    """[B, M, D] of [B, h, w, D], or of several such maps one behind the other."""
    if isinstance(values, (list, tuple)):
        return ops.concatenate([_take(one, index) for one in values], axis=-1)
    batch, height, width, depth = ops.shape(values)
    flat = ops.reshape(values, (-1, depth))
    start = ops.arange(batch, dtype="int32")[:, None] * (height * width)
    return ops.take(flat, start + index, axis=0)


def _many(features: Any, index: Any) -> bool:
    """Whether cells are so many that all of a small map is made sooner; gathering costs what three cells do."""
    _, height, width, _ = _first(features).shape
    count = index.shape[1]
    return None not in (height, width, count) and 3 * count > height * width


def _first(features: Any) -> Any:
    """The only map, or the first of several."""
    return features[0] if isinstance(features, (list, tuple)) else features


def _hidden(values: Mapping[str, Any], index: Any) -> Any:
    """[B, M, C]: a 3x3 convolution and ReLU at cells [B, M], with zeros around the map."""
    features, kernel = values["features"], values["hidden_kernel"]
    _, height, width, _ = ops.shape(_first(features))
    depth = kernel.shape[2]
    batch, count = ops.shape(index)
    step = np.arange(-1, 2, dtype="int32")
    row = (index // width)[..., None, None] + step[:, None]
    column = (index % width)[..., None, None] + step
    inside = ops.logical_and(ops.logical_and(row >= 0, row < height), ops.logical_and(column >= 0, column < width))
    place = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
    around = _take(features, ops.reshape(place, (batch, count * 9)))
    around = around * ops.cast(ops.reshape(inside, (batch, count * 9, 1)), around.dtype)
    products = ops.matmul(ops.reshape(around, (batch * count, 9 * depth)), ops.reshape(kernel, (-1, kernel.shape[-1])))
    return ops.reshape(ops.relu(products + values["hidden_bias"]), (batch, count, kernel.shape[-1]))


def masked_l1(values: Any, target: Mapping[str, Any]) -> Any:
    """L1 at the cells of the objects, per coordinate.

    Args:
        values: [B, h, w, D], or what `gather_cells` takes instead.
        target: "index" [B, M] int32 cells (y * w + x), or none for all cells in their order; "mask" [B, M, 1] or
            [B, M, D] float32, how much each counts, mostly 0 or 1; "value" [B, M, D] float32; and optionally "rows",
            how many objects an image may have.

    Returns:
        Scalar: summed error over the summed mask of all coordinates plus 1e-4. For two coordinates that is half of what
        the paper writes (official code, `RegL1Loss` and `RegWeightedL1Loss`). Of targets with "rows", summed error over
        B x rows x D, filled or not (official code, `L1Loss`).
    """
    return l1_of(gather_cells(values, target.get("index")), target)


def l1_of(predicted: Any, target: Mapping[str, Any]) -> Any:
    """`masked_l1` of what was read already, [B, M, D]."""
    predicted = ops.cast(predicted, "float32")
    mask = ops.broadcast_to(target["mask"], ops.shape(predicted))
    error = batch_sum(ops.abs(predicted * mask - target["value"] * mask))
    if "rows" in target:
        batch, _, depth = ops.shape(predicted)
        return error / (batch_sum(ops.cast(batch * depth, "float32")) * target["rows"])
    return error / (batch_sum(mask) + 1e-4)


def masked_smooth_l1(values: Any, target: Mapping[str, Any]) -> Any:
    """Smooth L1, with its corner at 1, at the cells of the objects.

    Args:
        values: As `masked_l1` takes it.
        target: As `masked_l1` takes it, with a mask [B, M, 1].

    Returns:
        Scalar: error summed over coordinates over the summed mask of objects plus 1e-4, so that D coordinates count D
        times what they do in `masked_l1` (official code, `RegLoss`). Of targets with "rows", over B x rows.
    """
    predicted = ops.cast(gather_cells(values, target.get("index")), "float32")
    error = ops.abs(predicted - target["value"])
    total = batch_sum(ops.where(error < 1, 0.5 * error * error, error - 0.5) * target["mask"])
    if "rows" in target:
        return total / (batch_sum(ops.cast(ops.shape(predicted)[0], "float32")) * target["rows"])
    return total / (batch_sum(target["mask"]) + 1e-4)
