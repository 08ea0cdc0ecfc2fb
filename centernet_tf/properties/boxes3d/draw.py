"""3D boxes on images, their front crossed, and in the bird's-eye view."""

from collections.abc import Sequence

import cv2
import numpy as np

from centernet_tf.geometry.camera import corners, project
from centernet_tf.media.draw import FONT, draw_label, line_thickness
from centernet_tf.properties.boxes3d.records import known
from centernet_tf.properties.property import Look, Rows

NEAREST = 1.0  # metres; boxes whose middle is nearer are not drawn on images, as in the original
CUT = 0.1  # metres before the camera where lines that pass it are cut
REACH = 64.0  # metres that the original's bird's-eye view shows
STEPS = (16.0, 32.0, REACH, 128.0, 256.0)  # metres, for views that choose by what is in them
# Corners are numbered by `geometry.camera.corners`: 0 to 3 on the ground, 0 and 1 in front, 4 to 7 above them.
EDGES = (
    *((corner, (corner + 1) % 4) for corner in range(4)),
    *((4 + corner, 4 + (corner + 1) % 4) for corner in range(4)),
    *((corner, corner + 4) for corner in range(4)),
)
CROSS = ((0, 5), (1, 4))
_GROUND = (236, 238, 240)
_LINES = (205, 210, 214)
_WRITING = (120, 126, 130)


def draw_boxes3d(
    image: np.ndarray,
    locations: np.ndarray,
    dimensions: np.ndarray,
    rotations: np.ndarray,
    camera: np.ndarray,
    labels: list[str] | None = None,
    colors: np.ndarray | None = None,
) -> np.ndarray:
    """Draws upright boxes as the camera sees them; the last one lies on top, and all labels above all boxes.

    Args:
        image: [H, W, 3] uint8, RGB.
        locations: [N, 3] x, y, z of the middle of the bottom face in metres, in the camera's frame.
        dimensions: [N, 3] height, width, length in metres.
        rotations: [N] about the y axis, radians.
        camera: [3, 4], metres to pixels of `image`.
        labels: N texts, an empty one draws nothing. None draws boxes only.
        colors: [N, 3] uint8, RGB; None draws all in yellow.

    Returns:
        [H, W, 3] uint8, RGB, a new array. Boxes nearer than a metre are left out.

    Raises:
        ValueError: The shapes disagree, or a value is not a number.
    """
    canvas = np.array(image)
    locations, dimensions, rotations, colors = _checked(locations, dimensions, rotations, colors)
    camera = np.asarray(camera, np.float64)
    if camera.shape != (3, 4) or not np.isfinite(camera).all():
        raise ValueError(f"draw_boxes3d: the camera is {camera.shape}; expected finite numbers [3, 4].")
    labels = [""] * len(locations) if labels is None else list(labels)
    if len(labels) != len(locations):
        raise ValueError(f"draw_boxes3d: {len(labels)} labels for {len(locations)} boxes.")
    width = line_thickness(canvas)
    shown = []
    for points, depth, label, color in zip(
        corners(locations, dimensions, rotations), locations[:, 2], labels, colors.tolist()
    ):
        if depth <= NEAREST:
            continue
        lines = [_projected(points[[one, other]], camera) for one, other in (*EDGES, *CROSS)]
        seen = np.concatenate([line for line in lines if line is not None])
        thin = np.ptp(seen, axis=0).min() < 12 * width  # else lines would fill it
        for line in lines:
            if line is not None:
                _draw_line(canvas, line, color, 1 if thin else width)
        shown.append((seen, label, color))
    height, across = canvas.shape[:2]
    for seen, label, color in shown:
        left, top = seen.min(axis=0)
        if left < across and top < height and (seen.max(axis=0) > 0).all():
            draw_label(canvas, label, int(max(left, 0)), int(max(top, 0)), color)
    return canvas


def birds_eye(
    locations: np.ndarray,
    dimensions: np.ndarray,
    rotations: np.ndarray,
    colors: np.ndarray | None = None,
    *,
    side: int = 384,
    reach: float | None = None,
    truth: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Draws the bird's-eye view: the camera in the middle of the lower edge, z up and x to the right.

    Args:
        locations: [N, 3], see `draw_boxes3d`.
        dimensions: [N, 3].
        rotations: [N].
        colors: [N, 3] uint8, RGB.
        side: Pixels of the view's sides.
        reach: Metres that it shows, ahead and from side to side; None chooses by the farthest box, `STEPS`.
        truth: Locations, dimensions and rotations of annotated boxes, drawn filled below the others.

    Returns:
        [side, side, 3] uint8, RGB. Each box is an outline with a thick front.

    Raises:
        ValueError: The shapes disagree, or a value is not a number.
    """
    locations, dimensions, rotations, colors = _checked(locations, dimensions, rotations, colors)
    known = _checked(*truth, None)[:3] if truth is not None else (locations[:0], dimensions[:0], rotations[:0])
    reach = reach or _fitting(np.concatenate([locations, known[0]]))
    canvas = _paper(side, reach)
    width = max(1, round(side / 380))
    for outline in _outlines(*known, side, reach):
        cv2.fillPoly(canvas, [outline], (176, 196, 178), cv2.LINE_AA, shift=4)
    for outline, color in zip(_outlines(locations, dimensions, rotations, side, reach), colors.tolist()):
        cv2.polylines(canvas, [outline], True, color, width, cv2.LINE_AA, shift=4)
        # The first two corners are the front.
        cv2.polylines(canvas, [outline[:2]], False, color, 3 * width, cv2.LINE_AA, shift=4)
    return canvas


def with_distances(labels: Sequence[str], rows: Rows) -> list[str]:
    """Labels with the distance of each object in metres appended, where it is known; empty ones stay empty."""
    has = known(rows)
    if has is None or "camera" not in rows:
        return list(labels)
    depths = rows["locations"][:, 2]
    return [f"{label} {depth:.1f} m" if own and label else label for label, depth, own in zip(labels, depths, has)]


def outlined(rows: Rows) -> np.ndarray | None:
    """[N] bool: objects that `draw_rows` draws; none without a camera."""
    return known(rows) if "camera" in rows else None


def draw_rows(canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
    """Draws the 3D boxes that are known as the camera sees them, with the objects' labels."""
    has = outlined(rows)
    if has is None:
        return canvas
    labels = [label for label, own in zip(look.labels, has) if own]
    return draw_boxes3d(canvas, *_places(rows, has), rows["camera"], labels, look.colors[has])


def birds_eye_of(rows: Rows, look: Look, side: int) -> np.ndarray | None:
    """The bird's-eye view of the 3D boxes, over those of the ground truth where that is shown."""
    has = outlined(rows)
    if has is None:
        return None
    truth = None
    if look.truth is not None and (there := known(look.truth)) is not None:
        truth = _places(look.truth, there & ~np.asarray(look.truth.get("ignored", ~there), bool))
    return birds_eye(*_places(rows, has), look.colors[has], side=side, truth=truth)


def _places(rows: Rows, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows["locations"][kept], rows["dimensions"][kept], rows["rotations"][kept]


def _checked(
    locations: np.ndarray, dimensions: np.ndarray, rotations: np.ndarray, colors: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    locations, dimensions = (np.asarray(values, np.float64).reshape(-1, 3) for values in (locations, dimensions))
    rotations = np.asarray(rotations, np.float64).reshape(-1)
    colors = np.tile(np.uint8([[255, 210, 0]]), (len(locations), 1)) if colors is None else np.asarray(colors)
    if not len(locations) == len(dimensions) == len(rotations) == len(colors):
        raise ValueError(
            f"draw_boxes3d: {len(locations)} locations, {len(dimensions)} dimensions, {len(rotations)} rotations and "
            f"{len(colors)} colors. Pass one of each per box."
        )
    if not all(np.isfinite(values).all() for values in (locations, dimensions, rotations)):
        raise ValueError("draw_boxes3d: a box is NaN or infinite. Remove such boxes first.")
    return locations, dimensions, rotations, colors


def _projected(line: np.ndarray, camera: np.ndarray) -> np.ndarray | None:
    """A line [2, 3] in metres as [2, 2] in pixels, cut just before the camera; None where all of it is behind."""
    near, far = line[np.argsort(line[:, 2])]
    if far[2] < CUT:
        return None
    if near[2] < CUT:
        near = near + (far - near) * (CUT - near[2]) / (far[2] - near[2])
    return project(np.stack([near, far]), camera)


def _draw_line(image: np.ndarray, line: np.ndarray, color: list[int], width: int) -> None:
    """Draws a line [2, 2] into `image` itself; what is far outside is cut, since OpenCV counts in 32 bits."""
    height, across = image.shape[:2]
    margin = 4 * width
    start, way = line[0], line[1] - line[0]
    low, high = 0.0, 1.0
    for begin, step, limit in zip(start, way, (across, height)):
        if abs(step) < 1e-9:
            if not -margin <= begin <= limit + margin:
                return
            continue
        first, second = sorted(((-margin - begin) / step, (limit + margin - begin) / step))
        low, high = max(low, first), min(high, second)
    if low >= high:
        return
    # Pixel 0 reaches from 0 to 1; OpenCV counts from its centre, in sixteenths here.
    ends = [tuple(np.rint((start + fraction * way - 0.5) * 16).astype(int).tolist()) for fraction in (low, high)]
    cv2.line(image, *ends, color, width, cv2.LINE_AA, shift=4)


def _fitting(locations: np.ndarray) -> float:
    """The smallest of `STEPS` that shows all boxes, the largest where none does."""
    needed = max(locations[:, 2].max(initial=0), 2 * np.abs(locations[:, 0]).max(initial=0)) + 2
    return next((step for step in STEPS if step >= needed), STEPS[-1])


def _outlines(
    locations: np.ndarray, dimensions: np.ndarray, rotations: np.ndarray, side: int, reach: float
) -> list[np.ndarray]:
    """Ground faces as [4, 2] int32 in sixteenths of a pixel of the view, in front first; none of boxes far outside."""
    points = corners(locations, dimensions, rotations)[:, :4][..., [0, 2]]
    near = np.abs(points).max(axis=(1, 2)) < 4 * reach
    places = points[near] * [1, -1] * (side / reach) + [side / 2, side]
    return list(np.rint((places - 0.5) * 16).astype(np.int32))


def _paper(side: int, reach: float) -> np.ndarray:
    """An empty view with circles around the camera, each with its metres."""
    canvas = np.full((side, side, 3), _GROUND, np.uint8)
    step = reach / 4
    for number in range(1, 6):
        radius = round(number * step * side / reach)
        cv2.circle(canvas, (side // 2, side), radius, _LINES, 1, cv2.LINE_AA)
        if number < 4:
            place = (side // 2 + 3, side - radius - 3)
            cv2.putText(canvas, f"{number * step:g} m", place, FONT, 0.35, _WRITING, 1, cv2.LINE_AA)
    cv2.line(canvas, (side // 2, 0), (side // 2, side), _LINES, 1)
    return canvas
