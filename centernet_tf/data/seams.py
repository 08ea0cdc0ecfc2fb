"""Objects of several images in one input: cut where their image ends, and put behind each other."""

from collections.abc import Sequence

import numpy as np

from centernet_tf.geometry import patches
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows
from centernet_tf.properties.rows import select

OPEN = np.array([-np.inf, -np.inf, np.inf, np.inf])  # the seams of an image that has none


def within(rows: Rows, fields: Sequence[Field], seams: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of an image that ends at seams, inside the input.

    As at the edge of the input: an object with any area left stays, with the part of its box and of its patches that is
    seen; points beyond are unlabelled. What ends at the edge of the input instead is left to the tasks, as always.

    Args:
        rows: Arrays by field, "boxes" [N, 4] among them, in pixels of the input.
        fields: What the arrays are.
        seams: [4] left, top, right, bottom in pixels of the input; infinite where the image ends at the input's edge.

    Returns:
        The same arrays of the objects that are left.
    """
    whole, cut = rows["boxes"], _cut(rows["boxes"], seams)
    made = dict(rows)
    for field in fields:
        values = rows[field.name]
        if field.motion == "boxes":
            made[field.name] = _cut(values, seams)
        elif field.motion == "patches":
            made[field.name] = resampled(values, whole, cut)
        elif field.motion == "points" and field.labels:
            seen = ((values >= seams[:2]) & (values < seams[2:])).all(axis=-1)
            made[field.labels] = np.where(seen, made[field.labels], 0).astype(made[field.labels].dtype)
    kept = np.flatnonzero((cut[:, 2:] > cut[:, :2]).all(axis=1))
    return select(made, fields, kept, len(whole))


def _cut(boxes: np.ndarray, seams: np.ndarray) -> np.ndarray:
    """[..., 4] boxes that end at the seams."""
    sides = np.maximum(boxes[..., :2], seams[:2]), np.minimum(boxes[..., 2:], seams[2:])
    return np.concatenate(sides, axis=-1).astype(boxes.dtype)


def resampled(values: np.ndarray, boxes: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Patches [N, S, S] over boxes [N, 4] as patches over parts of these boxes [N, 4], of the same type."""
    made = values.copy()
    for row in np.flatnonzero((boxes != parts).any(axis=1)):
        left, top, right, bottom = parts[row].astype(np.float32)
        height, width = values.shape[-2:]
        columns, lines = patches.places(left, right, width), patches.places(top, bottom, height)
        made[row] = patches.paste(values[row].astype(np.float32), boxes[row], columns, lines)
    return made


def joined(images: Sequence[Rows], fields: Sequence[Field]) -> dict[str, np.ndarray]:
    """The rows of several images as those of one: the first one's first; numbers of objects count on.

    Args:
        images: Arrays by field of each, "boxes" [N, 4] among them.
        fields: What they are: of objects or of pairs.
    """
    starts = np.cumsum([0, *(len(rows["boxes"]) for rows in images)])
    made = {}
    for field in fields:
        values = [rows[field.name] for rows in images]
        if field.refers:
            values = [np.where(own < 0, own, own + start).astype(own.dtype) for own, start in zip(values, starts)]
        made[field.name] = np.concatenate(values)
    return made
