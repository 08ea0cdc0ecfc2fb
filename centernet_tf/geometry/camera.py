"""Between the metres in front of a camera and the pixels of its image, and boxes that stand on the ground.

Camera frame: x to the right, y down, z forward, in metres. A camera is KITTI's P, [3, 4]: pixel ~ P @ [x, y, z, 1],
of a rectified image: its rows are [fx, 0, cx, a], [0, fy, cy, b], [0, 0, 1, c].

Functions take NumPy arrays and return NumPy arrays, or take tensors of Keras' backend and return tensors.
"""

from typing import Any

import numpy as np

from centernet_tf.errors import brief
from centernet_tf.geometry.angles import library_of, wrap

# The calibration that the original assumes where none is given (official code, `utils/ddd_utils.py`).
DEFAULT_CAMERA = np.array(
    [
        [707.0493, 0.0, 604.0814, 45.75831],
        [0.0, 707.0493, 180.5066, -0.3454157],
        [0.0, 0.0, 1.0, 0.004981016],
    ],
    np.float32,
)

# What a camera's entries are from and to, in pixels (and metres, in the last row); anything else is a damaged number,
# or a matrix in other units, such as parts of the image's width.
SHORTEST_FOCAL, LARGEST_ENTRY = 1.0, 1e7

# Corners in parts of length, height and width, as seen from the middle of the bottom face.
_CORNERS = np.array(
    [
        [0.5, 0, 0.5],
        [0.5, 0, -0.5],
        [-0.5, 0, -0.5],
        [-0.5, 0, 0.5],
        [0.5, -1, 0.5],
        [0.5, -1, -0.5],
        [-0.5, -1, -0.5],
        [-0.5, -1, 0.5],
    ],
    np.float32,
)


def as_camera(values: Any) -> np.ndarray:
    """Checks a camera, and completes it where it has no last column.

    Args:
        values: [3, 4], or [3, 3] of a camera that stands at the origin; arrays or lists of numbers.

    Returns:
        [3, 4] float32.

    Raises:
        ValueError: Another shape, numbers that are not finite, or no camera of a rectified image: one that is turned,
            skewed or has no focal length, or a focal length or another entry that no camera has.
    """
    try:
        matrix = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.zeros(0)
    if matrix.shape == (3, 3):
        matrix = np.concatenate([matrix, np.zeros((3, 1))], axis=1)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"A camera is 3x4 (or 3x3) finite numbers, such as P2 of KITTI; got {brief(values, 200)}.")
    if matrix[2, 2] > 0:
        with np.errstate(over="ignore"):
            matrix /= matrix[2, 2]
    focal = matrix[[0, 1], [0, 1]]
    others = np.abs(matrix[[0, 1, 2, 2], [1, 0, 0, 1]])
    if not (focal > 0).all() or matrix[2, 2] != 1 or (others > 1e-3 * np.array([*focal, 1, 1])).any():
        raise ValueError(
            "A camera of a rectified image has the rows [fx, 0, cx, a], [0, fy, cy, b], [0, 0, 1, c]; got "
            f"{matrix.tolist()}. Rectify the images, and give the matrix of the rectified ones."
        )
    if np.abs(matrix).max() > LARGEST_ENTRY or focal.min() < SHORTEST_FOCAL:
        raise ValueError(
            f"A camera's focal lengths are from {SHORTEST_FOCAL:g} to {LARGEST_ENTRY:g} pixels of the image, and no "
            f"entry is larger; got {matrix.tolist()}."
        )
    return matrix.astype(np.float32)


def move_camera(cameras: Any, matrix: np.ndarray) -> np.ndarray:
    """The cameras of images that were scaled and moved.

    Args:
        cameras: [..., 3, 4] arrays, of the images as they were.
        matrix: [2, 3] without rotation or mirror, pixels as they were to pixels as they are.

    Returns:
        [..., 3, 4] float32.
    """
    return (np.concatenate([matrix, [[0, 0, 1]]]) @ cameras).astype(np.float32)


def project(points: Any, cameras: Any) -> Any:
    """3D points to pixels.

    Args:
        points: [..., N, 3] x, y, z in metres; z + P23 must not be 0, and pixels mean nothing where it is negative.
        cameras: [..., 3, 4].

    Returns:
        [..., N, 2] (x, y) in pixels of the image the camera belongs to.
    """
    x, y, z = (points[..., axis] for axis in range(3))
    entry = cameras[..., None]
    u, v, depth = (
        entry[..., row, 0, :] * x + entry[..., row, 1, :] * y + entry[..., row, 2, :] * z + entry[..., row, 3, :]
        for row in range(3)
    )
    return library_of(points).stack([u / depth, v / depth], axis=-1)


def unproject(pixels: Any, depths: Any, cameras: Any) -> Any:
    """Pixels of known depth to 3D points, the inverse of `project` (official code, `unproject_2d_to_3d`).

    Args:
        pixels: [..., N, 2] (x, y).
        depths: [..., N] in metres from the camera's plane, that is z + P23 of the point.
        cameras: [..., 3, 4].

    Returns:
        [..., N, 3] x, y, z in metres.
    """
    entry = cameras[..., None]
    z = depths - entry[..., 2, 3, :]
    x = (pixels[..., 0] * depths - entry[..., 0, 3, :] - entry[..., 0, 2, :] * z) / entry[..., 0, 0, :]
    y = (pixels[..., 1] * depths - entry[..., 1, 3, :] - entry[..., 1, 2, :] * z) / entry[..., 1, 1, :]
    return library_of(pixels).stack([x, y, z], axis=-1)


def _bearing(columns: Any, cameras: Any) -> Any:
    """[..., N] angle about y between the optical axis and the ray through a pixel's column [..., N]."""
    entry = cameras[..., None]
    focal = entry[..., 0, 0, :] + 0 * columns
    return library_of(columns).arctan2(columns - entry[..., 0, 2, :], focal)


def alpha_to_rotation(alphas: Any, columns: Any, cameras: Any) -> Any:
    """Observation angles, as the image shows them, to yaw in the camera's frame.

    Args:
        alphas: [..., N] in radians.
        columns: [..., N] x of the objects' middles in pixels.
        cameras: [..., 3, 4].

    Returns:
        [..., N] rotation about the y axis in radians, -pi to pi.
    """
    return wrap(alphas + _bearing(columns, cameras))


def rotation_to_alpha(rotations: Any, columns: Any, cameras: Any) -> Any:
    """The inverse of `alpha_to_rotation`: observation angles [..., N] in radians, -pi to pi."""
    return wrap(rotations - _bearing(columns, cameras))


def corners(locations: Any, dimensions: Any, rotations: Any) -> Any:
    """The eight corners of upright boxes.

    Args:
        locations: [..., 3] x, y, z of the middle of the bottom face in metres.
        dimensions: [..., 3] height, width, length in metres.
        rotations: [...] about the y axis in radians; at 0 the length lies along x.

    Returns:
        [..., 8, 3] x, y, z in metres: four of the bottom face, going round it, then those above them. The first two
        of each four are the front.
    """
    library = library_of(locations)
    along, up, across = (dimensions[..., None, part] * _CORNERS[:, axis] for axis, part in ((0, 2), (1, 0), (2, 1)))
    sine, cosine = library.sin(rotations)[..., None], library.cos(rotations)[..., None]
    turned = library.stack([cosine * along + sine * across, up, cosine * across - sine * along], axis=-1)
    return turned + locations[..., None, :]
