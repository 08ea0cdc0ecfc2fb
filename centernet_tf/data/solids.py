"""Objects in space as features of tf.train.Example: the camera of an image, and the 3D box of each object."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from centernet_tf.data.features import column, floats, integers, sequences

# Columns of `Record.solids`, by the keys that TFOD gives KITTI's numbers.
COLUMNS = ("alpha", *(f"3d_bbox/{name}" for name in ("height", "width", "length", "x", "y", "z", "rot_y")))

FEATURES = {
    "image/camera/projection": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
    **sequences({f"image/object/{name}": tf.float32 for name in (*COLUMNS, "truncated")}),
    **sequences({"image/object/occluded": tf.int64}),
}


def solid_features(
    camera: np.ndarray, solids: np.ndarray, truncated: Sequence[float], occluded: Sequence[int]
) -> dict[str, tf.train.Feature]:
    """Features of an image whose camera is known; arrays as in `Record`."""
    return {
        "image/camera/projection": floats(np.asarray(camera).ravel()),
        **{f"image/object/{name}": floats(solids[:, index]) for index, name in enumerate(COLUMNS)},
        "image/object/truncated": floats(truncated),
        "image/object/occluded": integers(occluded),
    }


def parse_solids(values: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, tf.Tensor]:
    """Camera and 3D boxes of N = `count` objects from parsed features.

    Returns:
        camera: [3, 4] float32; solid: [N] bool, the object has a 3D box; alphas, depths, rotations: [N] float32;
        dimensions, locations: [N, 3] float32; middles: [N, 2] float32 (x, y) of the middles in space in pixels, which
        may lie outside the image; all 0 without 3D box; truncated: [N] float32; occluded: [N] int64.

    Raises:
        tf.errors.InvalidArgumentError: There is no camera, or a list is not of N objects.
    """
    camera = values["image/camera/projection"]
    check = tf.debugging.assert_equal(
        tf.size(camera), 12, "image/camera/projection must hold the 12 numbers of the image's camera matrix."
    )
    with tf.control_dependencies([check] if check is not None else []):
        camera = tf.reshape(camera, [3, 4])
    unknown = tf.fill([count], np.float32(np.nan))
    solids = tf.stack([column(values, name, unknown) for name in COLUMNS], axis=-1)  # [N, 8]
    solid = tf.reduce_all(tf.math.is_finite(solids), axis=-1)
    solids = tf.where(solid[:, None], solids, 0.0)  # NaN would spoil sums that leave these rows out by a factor 0
    return {
        "camera": camera,
        "middles": tf.where(solid[:, None], _middles(solids, camera), 0.0),
        "solid": solid,
        "alphas": solids[:, 0],
        "dimensions": solids[:, 1:4],
        "locations": solids[:, 4:7],
        "depths": solids[:, 6],
        "rotations": solids[:, 7],
        "truncated": column(values, "truncated", tf.zeros([count])),
        "occluded": column(values, "occluded", tf.zeros([count], tf.int64)),
    }


def _middles(solids: tf.Tensor, camera: tf.Tensor) -> tf.Tensor:
    """[N, 2] pixels (x, y) of the middles of 3D boxes [N, 8]; 0 of those in the plane of the camera."""
    x, y, z = solids[:, 4], solids[:, 5] - solids[:, 1] / 2, solids[:, 6]
    seen = tf.linalg.matmul(tf.stack([x, y, z, tf.ones_like(z)], axis=-1), camera, transpose_b=True)
    return tf.math.divide_no_nan(seen[:, :2], seen[:, 2:])


def to_rows(fields: dict[str, np.ndarray]) -> np.ndarray:
    """[N, 8] `Record.solids` of parsed fields."""
    columns = [
        fields["alphas"][:, None], fields["dimensions"], fields["locations"], fields["rotations"][:, None]
    ]  # fmt: skip
    return np.where(fields["solid"][:, None], np.concatenate(columns, axis=1), np.nan).astype(np.float32)
