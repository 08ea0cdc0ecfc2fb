"""Objects on their image with all that they have, found or annotated: boxes, labels, properties, panels beside."""

from collections.abc import Iterable, Sequence

import numpy as np

from centernet_tf.media.draw import beside, draw_boxes
from centernet_tf.properties.property import Look, Property, Rows


def draw_objects(
    image: np.ndarray,
    rows: Rows,
    properties: Iterable[Property],
    labels: Sequence[str],
    colors: np.ndarray,
    panels: int | None = None,
    truth: Rows | None = None,
    before: Sequence[Rows] = (),
) -> np.ndarray:
    """Draws boxes with their labels and over them what the properties draw; the last object lies on top.

    Args:
        image: [H, W, 3] uint8, RGB.
        rows: "boxes" [N, 4] left, top, right, bottom and the rows of properties, in pixels of `image`.
        properties: Those that none of the rows tell of draw nothing.
        labels: N texts, to which properties may add.
        colors: [N, 3] uint8, RGB.
        panels: Put the properties' panels beside the image; they are drawn with sides of at least this many pixels
            before they are brought to the image's height. None for the image alone.
        truth: Rows of annotated objects that panels compare with.
        before: Rows of the frames of its video before it, oldest first, likewise in pixels of `image`.

    Returns:
        [H, W, 3] uint8, RGB, a new array; each panel adds H columns.

    Raises:
        ValueError: The image is no RGB uint8, a value is not a number, or the lengths disagree.
    """
    shown = [one for one in properties if tells_of(one, rows)]
    plain = np.ones(len(rows["boxes"]), bool)
    for one in shown:
        labels = one.labels(labels, rows)
        outlined = one.outlined(rows)
        plain &= True if outlined is None else ~outlined
    look = Look(labels, colors, truth, tuple(before))
    texts = [label for label, own in zip(labels, plain, strict=True) if own]
    canvas = draw_boxes(image, rows["boxes"][plain], texts, colors[plain])
    for one in shown:
        canvas = one.draw(canvas, rows, look)
    side = max(len(image), panels or 0)
    for one in shown if panels is not None else ():
        if (panel := one.panel(rows, look, side)) is not None:
            canvas = beside(canvas, panel)
    return canvas


def tells_of(one: Property, rows: Rows) -> bool:
    """Whether rows hold anything that objects or pairs have of a property; what images have alone does not count."""
    names = {field.name for field in one.fields if field.level != "image"} | {answer.field for answer in one.answers}
    return not names.isdisjoint(rows)
