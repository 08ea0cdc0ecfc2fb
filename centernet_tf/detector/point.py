"""What is at points of an image that somebody chose: the maps of the same network, read there and not at its peaks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from centernet_tf.detector import extras as own
from centernet_tf.detector import frames
from centernet_tf.detector.entries import Image, as_image
from centernet_tf.detector.found import as_detections, check_finite
from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.results import Detections

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector


def at_points(detector: "Detector", image: Image, points: Any, extras: Mapping[str, Any]) -> Detections:
    """What a detector says of points of one image.

    Args:
        detector: Without tiles, further scales and soft-NMS; with the flip test or without.
        image: A file, its bytes, or an array [H, W, 3] uint8 RGB.
        points: [P, 2] (x, y) in pixels of the image. Each is answered by the cell of the output grid that it lies in.
        extras: {name: value} that the model takes beside pixels.

    Returns:
        One object for each point, in their order, see `Detector.at_points`.

    Raises:
        DataError: The network answers NaN.
        UsageError: As `Detector.at_points`.
    """
    if detector.options.tile or detector.options.merges:
        raise UsageError("at_points reads one pass over an image. Leave tile, scales and nms out.")
    image = as_image(image)
    points = _checked(points, image)
    given = own.complete(extras, detector.extras)
    _check_shown(detector, image, points)
    inputs = detector.pack([image], [given], [frames.complete({}, detector.tasks, image)])
    found = detector.pointing.predict_on_batch({**inputs, "points": _padded(points)[None]})
    fields = {name: values[0, : len(points)] for name, values in found.items()}
    check_finite(fields)
    return as_detections(fields, detector.names, image.shape[1::-1], detector.properties, given)


def _checked(points: Any, image: np.ndarray) -> np.ndarray:
    """[P, 2] float32.

    Raises:
        UsageError: They are no points of the image.
    """
    try:
        points = np.asarray(points, np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"points: {error}. Expected [[x, y], ...] in pixels of the image.") from None
    points = points.reshape(-1, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise UsageError(f"points have shape {points.shape}. Expected [[x, y], ...] in pixels of the image.")
    height, width = image.shape[:2]
    inside = (points >= 0).all(axis=1) & (points <= (width, height)).all(axis=1)  # NaN is not
    if not inside.all():
        number = int(np.argmin(inside))
        raise UsageError(
            f"point {number} is ({points[number, 0]:g}, {points[number, 1]:g}), outside of the image of {width} x "
            f"{height} pixels. Expected (x, y) in it."
        )
    return points


def _check_shown(detector: "Detector", image: np.ndarray, points: np.ndarray) -> None:
    """Raises UsageError where a fixed input is too low or too narrow to show a point."""
    card = detector.card.input
    if card.mode == "keep" or detector.tasks.window == "stretched" or not len(points):
        return
    height, width = image.shape[:2]
    side = affine.window_side(height, width, detector.tasks.window, (card.height, card.width))
    scale, left, top = affine.fixed_fit(height, width, (card.height, card.width), side)
    places = points * scale + (left, top)
    shown = ((places >= -1) & (places <= (card.width, card.height))).all(axis=1)
    if not shown.all():
        number = int(np.argmin(shown))
        raise UsageError(
            f"point {number} at ({points[number, 0]:g}, {points[number, 1]:g}) lies in a part of the image that this "
            f"model's input of {card.height} x {card.width} does not show. Use with_input with a size of the image's "
            "shape, or None, which keeps the resolution."
        )


def _padded(points: np.ndarray) -> np.ndarray:
    """A power of two of points, one at least, so that few shapes need compiling."""
    rows = 1 << max(len(points) - 1, 0).bit_length()
    return np.concatenate([points, np.zeros((rows - len(points), 2), np.float32)])
