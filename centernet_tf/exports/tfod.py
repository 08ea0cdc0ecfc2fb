"""The outputs of `export.answers`, made in a graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from centernet_tf.exports.answers import (
    BOXES,
    CLASSES,
    COUNT,
    REFRAMED,
    SCORES,
    all_answers,
    as_exported,
    have_patches,
)
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.property import Property


def in_pixels(found: Mapping[str, Any], tasks: TaskSet) -> dict[str, Any]:
    """What `TaskSet.decode` gives, in pixels of the network's input instead of cells."""
    return {name: value * float(STRIDE) if name in tasks.motions else value for name, value in found.items()}


def tfod_answers(
    found: Mapping[str, Any],
    sizes: Any,
    class_offset: int,
    properties: Sequence[Property] = (),
    reframed: tuple[Any, Any] | None = None,
) -> dict[str, Any]:
    """Turns what `DetectorGraph` finds into TFOD's outputs.

    Args:
        found: "boxes" [B, K, 4] left, top, right, bottom in pixels of each image, "scores" [B, K] and "classes" [B, K]
            counted from 0; and fields of answers where there are any.
        sizes: [B, 2] height and width of each image in pixels, without padding.
        class_offset: Number of the first class: 1 for a SavedModel, 0 for a TFLite file.
        properties: What the model says of the fields.
        reframed: Height and width of all images, to lay patches out on them too.

    Returns:
        {name: tensor} as `export.answers` has them. Boxes are clipped to the image, so one that lies wholly outside has
        no area; but for those with patches over them.
    """
    sides = ops.cast(sizes, "float32")
    scale = ops.concatenate([sides, sides], axis=-1)[:, None]  # [B, 1, 4]
    boxes = _rows_first(found["boxes"]) / scale
    scores = ops.cast(found["scores"], "float32")
    answers = {
        BOXES: boxes if have_patches(found) else ops.clip(boxes, 0.0, 1.0),
        CLASSES: ops.cast(found["classes"], "float32") + float(class_offset),
        SCORES: scores,
        COUNT: ops.sum(ops.cast(scores > 0, "float32"), axis=-1),
    }
    told = as_exported(found, properties)
    for answer in all_answers():
        if answer.field in found:
            value = ops.cast(told[answer.field], "float32")
            value = value if answer.column is None else value[..., answer.column]
            answers[answer.name] = _FRACTIONS[answer.kind](value, sides) if answer.kind in _FRACTIONS else value
    return answers if reframed is None else {**answers, **_laid_out(found, properties, *reframed)}


def _laid_out(found: Mapping[str, Any], properties: Sequence[Property], height: Any, width: Any) -> dict[str, Any]:
    """Patches on the pixels of images of one size, as `export.answers` tells them."""
    boxes = ops.cast(found["boxes"], "float32")
    columns, rows = ops.arange(width, dtype="float32"), ops.arange(height, dtype="float32")
    return {
        answer.name + REFRAMED: ops.cast(
            one.laid_out(ops.cast(found[answer.field], "float32"), boxes, columns, rows), "uint8"
        )
        for one in properties
        for answer in one.answers
        if answer.kind == "patches" and answer.field in found
    }


def without_nan(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Answers in which what has a score or a box of NaN is no object: score 0, and a box of no area.

    Programs on phones compare and draw what they get, and pixels that are no numbers end there as detections. A server
    answers NaN as it is, for its clients refuse it.
    """
    # NaN is in no order, and the sum of four sides is NaN where one of them is.
    real = ops.logical_and(answers[SCORES] > 0, ops.abs(ops.sum(answers[BOXES], axis=-1)) >= 0)
    return {
        **answers,
        COUNT: ops.sum(ops.cast(real, "float32"), axis=-1),
        BOXES: ops.where(real[..., None], answers[BOXES], 0.0),
        SCORES: ops.where(real, answers[SCORES], 0.0),
    }


def _as_fractions(points: Any, sides: Any) -> Any:
    """Points [B, K, ..., 2] (x, y) in pixels to (y, x) as fractions of images of these heights and widths [B, 2]."""
    return ops.stack([points[..., 1], points[..., 0]], axis=-1) / _spread(sides, points)


def _boxes_as_fractions(boxes: Any, sides: Any) -> Any:
    """Boxes [B, K, ..., 4] in pixels to top, left, bottom, right as fractions of images [B, 2], clipped to them."""
    spread = _spread(sides, boxes)
    return ops.clip(_rows_first(boxes) / ops.concatenate([spread, spread], axis=-1), 0.0, 1.0)


def _spread(sides: Any, values: Any) -> Any:
    """Heights and widths [B, 2] beside values [B, K, ..., D]."""
    return ops.reshape(sides, (-1, *(1,) * (len(values.shape) - 2), 2))


def _rows_first(boxes: Any) -> Any:
    """Left, top, right, bottom to top, left, bottom, right."""
    left, top, right, bottom = (ops.cast(boxes[..., side], "float32") for side in range(4))
    return ops.stack([top, left, bottom, right], axis=-1)


_FRACTIONS = {"points": _as_fractions, "boxes": _boxes_as_fractions}
