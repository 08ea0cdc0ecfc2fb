"""One annotated image as tf.train.Example, with the keys that TFOD and Model Garden read and write."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from centernet_tf.data.features import column, floats, integers, sequences, texts
from centernet_tf.data.solids import COLUMNS, FEATURES, parse_solids, solid_features
from centernet_tf.errors import DataError

_SIDES = ("xmin", "ymin", "xmax", "ymax")  # left, top, right, bottom
_SUFFIX = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}


@dataclass(frozen=True, eq=False)
class Record:
    """One annotated image of N objects.

    Attributes:
        image: JPEG or PNG file that decodes to 8-bit grey or RGB.
        format: "jpeg" or "png".
        width: Pixels.
        height: Pixels.
        image_id: Number of the image in its data set, the one COCO result files name.
        filename: Name of the file the image came from.
        boxes: [N, 4] float32 left, top, right, bottom in pixels of the image, inside it.
        classes: [N] int64, 0-based; -1 for neutral objects of no one class.
        crowd: [N] bool, the box surrounds a group that was not labelled one by one.
        difficult: [N] bool, left out of the VOC metric.
        area: [N] float32 pixels^2, of the mask where the source had one, else of the box.
        joints: [N, J, 3] float32, x and y in pixels of the image, not clipped to it, and COCO's label: 0 unlabelled, 1
            hidden, 2 visible. Without skeleton, J is 0; nothing need be given then.
        neutral: [N] bool, neither an object to be found nor background: what looks like the class (KITTI's Van for
            Car), or a region nobody labelled (class -1). False where not given.
        names: [N] what the source calls the objects, which may be finer than the classes; these where not given.
        camera: [3, 4] float32 matrix P that takes a point in metres (x right, y down, z forward, 1) to w * (u, v, 1),
            u and v in pixels of the image; None where it is not known.
        solids: [N, 8] float32 alpha, height, width, length, x, y, z, rotation_y of the 3D boxes as in KITTI: angles in
            radians, metres, (x, y, z) the middle of the bottom. NaN for objects without one, and where not given.
        truncated: [N] float32 share of the object that lies outside the image; 0 where not given.
        occluded: [N] int64 KITTI's 0 visible, 1 partly hidden, 2 largely hidden, 3 unknown; 0 where not given.
    """

    image: bytes
    format: str
    width: int
    height: int
    image_id: int
    filename: str
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    area: np.ndarray
    joints: np.ndarray | None = None
    neutral: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    camera: np.ndarray | None = None
    solids: np.ndarray | None = None
    truncated: np.ndarray | None = None
    occluded: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        defaults = {
            "joints": np.zeros((count, 0, 3), np.float32),
            "neutral": np.zeros(count, bool),
            "solids": np.full((count, len(COLUMNS)), np.nan, np.float32),
            "truncated": np.zeros(count, np.float32),
            "occluded": np.zeros(count, np.int64),
        }
        for name, default in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)


def serialize(record: Record, class_names: Sequence[str], joint_names: Sequence[str] = ()) -> bytes:
    """Writes a record as tf.train.Example; the same record gives the same bytes.

    Boxes and joints are stored in 0..1 of the image and class labels from 1, as the keys demand. What most data sets
    lack, neutral objects and cameras with all that belongs to 3D boxes, takes keys only in records that have it.

    Args:
        record: The annotated image.
        class_names: Name of each class, in the order of the class numbers.
        joint_names: Name of each joint, in the order of the joints; none where the record has no joints.

    Raises:
        DataError: The arrays of the record disagree in length, a box or joint is not finite, a class or joint has no
            name.
    """
    _check(record, class_names, joint_names)
    boxes = record.boxes.astype(np.float64) / [record.width, record.height, record.width, record.height]
    names = record.names or [class_names[index] if index >= 0 else "" for index in record.classes]
    feature = {
        "image/encoded": texts([record.image]),
        "image/format": texts([record.format.encode()]),
        "image/height": integers([record.height]),
        "image/width": integers([record.width]),
        "image/filename": texts([record.filename.encode()]),
        "image/source_id": texts([str(record.image_id).encode()]),
        "image/key/sha256": texts([hashlib.sha256(record.image).hexdigest().encode()]),
        **{f"image/object/bbox/{side}": floats(boxes[:, index]) for index, side in enumerate(_SIDES)},
        "image/object/class/label": integers(record.classes + 1),
        "image/object/class/text": texts([name.encode() for name in names]),
        "image/object/area": floats(record.area),
        "image/object/is_crowd": integers(record.crowd),
        "image/object/difficult": integers(record.difficult),
        **(_joint_features(record, joint_names) if joint_names else {}),
        **({"image/object/neutral": integers(record.neutral)} if record.neutral.any() else {}),
        **({} if record.camera is None else _solid_features(record)),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def parse(
    serialized: tf.Tensor, class_names: Sequence[str] = (), num_joints: int = 0, solid: bool = False
) -> dict[str, tf.Tensor]:
    """Reads one serialized tf.train.Example, eagerly or inside tf.data.

    Records of TFOD and Model Garden are read too: whatever is optional there may be missing. A missing size is taken
    from the image, a missing area from the box, a missing label from its text; a source id that is no number becomes
    a hash, so that it is one. Missing joints are unlabelled; where only their visibility is missing, all are visible.

    Args:
        serialized: Scalar string.
        class_names: Name of each class; only needed for records that give classes by text alone.
        num_joints: Joints of an object, J.
        solid: Whether records hold a camera and 3D boxes.

    Returns:
        image: scalar string, the encoded file; height, width, image_id: scalar int64; filename: scalar string;
        boxes: [N, 4] float32 left, top, right, bottom in pixels of the image; classes: [N] int32, 0-based, -1 for
        neutral objects of no one class; crowd, difficult, neutral: [N] bool; area: [N] float32 pixels^2. With joints
        also joints: [N, J, 2] float32 x and y in pixels of the image, 0 where unlabelled; joint_labels: [N, J] int32,
        0 unlabelled, 1 hidden, 2 visible.
        With `solid` also what `solids.parse_solids` returns, and names: [N] string, what the source calls the objects.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are no such example, or the lists of its objects differ in length.
    """
    optional = {**(_JOINT_FEATURES if num_joints else {}), **(FEATURES if solid else {})}
    values = tf.io.parse_single_example(serialized, {**_FEATURES, **optional})
    height, width = _image_size(values)
    scale = tf.cast(tf.stack([width, height, width, height]), tf.float32)
    sides = [column(values, f"bbox/{side}", values["image/object/bbox/xmin"]) for side in _SIDES]
    boxes = tf.stack(sides, axis=-1) * scale  # [N, 4]
    none = tf.zeros(tf.shape(boxes)[:1], tf.int64)
    box_area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return {
        "image": values["image/encoded"],
        "height": height,
        "width": width,
        "image_id": _image_id(values),
        "filename": values["image/filename"],
        "boxes": boxes,
        "classes": _classes(values, none, class_names),
        "crowd": tf.cast(column(values, "is_crowd", none), tf.bool),
        "difficult": tf.cast(column(values, "difficult", none), tf.bool),
        "neutral": tf.cast(column(values, "neutral", none), tf.bool),
        "area": column(values, "area", box_area),
        **(_joints(values, tf.size(none), num_joints, scale[:2]) if num_joints else {}),
        **(parse_solids(values, tf.size(none)) if solid else {}),
        **({"names": column(values, "class/text", tf.fill([tf.size(none)], ""))} if solid else {}),
    }


_SCALARS = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/height": tf.io.FixedLenFeature([], tf.int64, 0),
    "image/width": tf.io.FixedLenFeature([], tf.int64, 0),
    "image/filename": tf.io.FixedLenFeature([], tf.string, ""),
    "image/source_id": tf.io.FixedLenFeature([], tf.string, ""),
}
_LISTS = {
    **{f"image/object/bbox/{side}": tf.float32 for side in _SIDES},
    "image/object/class/label": tf.int64,
    "image/object/class/text": tf.string,
    "image/object/area": tf.float32,
    "image/object/is_crowd": tf.int64,
    "image/object/difficult": tf.int64,
    "image/object/neutral": tf.int64,
}
_JOINT_LISTS = {
    "image/object/keypoint/x": tf.float32,
    "image/object/keypoint/y": tf.float32,
    "image/object/keypoint/visibility": tf.int64,
}

_FEATURES = {**_SCALARS, **sequences(_LISTS)}
_JOINT_FEATURES = sequences(_JOINT_LISTS)


def _check(record: Record, class_names: Sequence[str], joint_names: Sequence[str]) -> None:
    count = len(record.classes)
    if record.format not in ("jpeg", "png"):
        raise DataError(f"{record.filename}: image format {record.format!r}; a record holds 'jpeg' or 'png'.")
    if record.boxes.shape != (count, 4) or not np.isfinite(record.boxes).all():
        raise DataError(f"{record.filename}: boxes are {record.boxes.shape}; expected finite numbers of [{count}, 4].")
    for name in ("crowd", "difficult", "area", "neutral", "truncated", "occluded", "names"):
        values = getattr(record, name)
        if values is not None and len(values) != count:
            raise DataError(f"{record.filename}: {len(values)} values of {name} for {count} objects.")
    lowest = np.where(record.neutral, -1, 0)
    if ((record.classes < lowest) | (record.classes >= len(class_names))).any():
        raise DataError(
            f"{record.filename}: classes {record.classes.min()} to {record.classes.max()}, "
            f"but {len(class_names)} class names (0 to {len(class_names) - 1})."
        )
    expected = (count, len(joint_names), 3)
    if record.joints.shape != expected or not np.isfinite(record.joints).all():
        raise DataError(
            f"{record.filename}: joints are {record.joints.shape}; expected finite numbers of {list(expected)}: "
            "x, y and label of each named joint."
        )
    if not np.isin(record.joints[..., 2], (0, 1, 2)).all():
        raise DataError(f"{record.filename}: joints have labels besides 0 (unlabelled), 1 (hidden) and 2 (visible).")


def _solid_features(record: Record) -> dict[str, tf.train.Feature]:
    """Features of the camera and the 3D boxes."""
    count = len(record.classes)
    if record.camera.shape != (3, 4) or not np.isfinite(record.camera).all():
        raise DataError(f"{record.filename}: the camera is {record.camera.tolist()}; expected 3x4 finite numbers.")
    if record.solids.shape != (count, len(COLUMNS)):
        raise DataError(f"{record.filename}: solids are {record.solids.shape}; expected [{count}, {len(COLUMNS)}].")
    return solid_features(record.camera, record.solids, record.truncated, record.occluded)


def _joint_features(record: Record, joint_names: Sequence[str]) -> dict[str, tf.train.Feature]:
    """Flat lists of N * J, object by object."""
    joints = record.joints.astype(np.float64)
    labels = joints[..., 2].astype(np.int64)
    return {
        "image/object/keypoint/x": floats((joints[..., 0] / record.width).ravel()),
        "image/object/keypoint/y": floats((joints[..., 1] / record.height).ravel()),
        "image/object/keypoint/visibility": integers(labels.ravel()),
        "image/object/keypoint/num": integers((labels > 0).sum(axis=1)),
        "image/object/keypoint/text": texts([name.encode() for name in joint_names] * len(joints)),
    }


def _joints(values: dict[str, tf.Tensor], count: tf.Tensor, num_joints: int, size: tf.Tensor) -> dict[str, tf.Tensor]:
    """Points and labels of all objects, in pixels of an image of this size (width, height)."""
    x, y, given = (values[key] for key in _JOINT_LISTS)
    total = count * num_joints
    absent = tf.equal(tf.size(x), 0)
    full = tf.where(absent, total, 0)
    x, y = (tf.concat([column, tf.zeros([full])], axis=0) for column in (x, y))
    default = tf.fill([tf.where(tf.equal(tf.size(given), 0), total, 0)], tf.where(absent, 0, 2))
    labels = tf.concat([tf.cast(given, tf.int32), default], axis=0)
    checks = [
        tf.debugging.assert_equal(
            tf.size(column), total, f"image/object/keypoint/{name} must hold {num_joints} numbers for each box."
        )
        for name, column in (("x", x), ("y", y), ("visibility", labels))
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        labels = tf.reshape(labels, [count, num_joints])
        points = tf.reshape(tf.stack([x, y], axis=-1), [count, num_joints, 2]) * size
    # Other writers put NaN or -1 where nothing is labelled.
    return {"joints": tf.where(labels[..., None] > 0, points, 0.0), "joint_labels": labels}


def _image_size(values: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    stored = tf.stack([values["image/height"], values["image/width"]])

    def decoded() -> tf.Tensor:
        image = tf.io.decode_image(values["image/encoded"], channels=3, expand_animations=False)
        return tf.shape(image, tf.int64)[:2]

    size = tf.cond(tf.reduce_all(stored > 0), lambda: stored, decoded)
    return size[0], size[1]


def _image_id(values: dict[str, tf.Tensor]) -> tf.Tensor:
    text = values["image/source_id"]

    def hashed() -> tf.Tensor:
        everything = tf.strings.join([text, values["image/filename"], values["image/encoded"]])
        return tf.strings.to_hash_bucket_fast(everything, 2**53)  # fits the doubles of JSON

    is_number = tf.strings.regex_full_match(text, "-?[0-9]{1,18}")
    return tf.cond(is_number, lambda: tf.strings.to_number(text, tf.int64), hashed)


def _classes(values: dict[str, tf.Tensor], none: tf.Tensor, class_names: Sequence[str]) -> tf.Tensor:
    labels, text = values["image/object/class/label"], values["image/object/class/text"]
    if class_names:
        by_text = (tf.size(labels) == 0) & (tf.size(text) == tf.size(none))
        labels = tf.cond(by_text, lambda: _labels_of(text, class_names), lambda: labels)
    check = tf.debugging.assert_equal(
        tf.size(labels),
        tf.size(none),
        "image/object/class/label must hold one label for each box; where it is missing, "
        "image/object/class/text must, and the class names be known.",
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.cast(labels - 1, tf.int32)


def _labels_of(text: tf.Tensor, class_names: Sequence[str]) -> tf.Tensor:
    matches = text[:, None] == tf.constant(list(class_names))[None]  # [N, C]
    known = tf.debugging.Assert(
        tf.reduce_all(tf.reduce_any(matches, axis=1)),
        ["image/object/class/text holds a class that is not declared:", text, "Declared:", list(class_names)],
    )
    with tf.control_dependencies([known] if known is not None else []):
        return tf.argmax(matches, axis=1) + 1
