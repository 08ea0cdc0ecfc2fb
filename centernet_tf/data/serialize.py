"""Writes one annotated image as tf.train.Example; `example` reads it."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from centernet_tf.data.checks import check_classes
from centernet_tf.data.example import (
    AREA,
    ENCODED,
    FILENAME,
    FLAGS,
    FRAME,
    FULL_SIDES,
    HEIGHT,
    LABEL,
    SIDES,
    SOURCE_ID,
    TEXT,
    TIME,
    VIDEO,
    WIDTH,
)
from centernet_tf.data.record import Record
from centernet_tf.errors import DataError
from centernet_tf.properties.property import Property


def serialize(record: Record, class_names: Sequence[str], properties: Sequence[Property] = ()) -> bytes:
    """Writes a record as tf.train.Example; the same record gives the same bytes.

    Boxes are stored in 0..1 of the image and class labels from 1, as the keys demand. What most data sets lack, objects
    that reach over the edge or are ignored, and properties, takes keys only in records that have it.

    Args:
        record: The annotated image.
        class_names: Name of each class, in the order of the class numbers.
        properties: Whose rows are stored; rows that the record lacks get the fill values of their fields.

    Raises:
        DataError: The arrays of the record disagree in length, a box is not finite, or a class has no name.
    """
    _check(record, class_names)
    sides = [record.width, record.height, record.width, record.height]
    boxes, full = (values.astype(np.float64) / sides for values in (record.boxes, record.full_boxes))
    names = [class_names[index] if index >= 0 else "" for index in record.classes]
    feature = {
        ENCODED: _texts([record.image]),
        "image/format": _texts([record.format.encode()]),
        HEIGHT: _integers([record.height]),
        WIDTH: _integers([record.width]),
        FILENAME: _texts([record.filename.encode()]),
        SOURCE_ID: _texts([str(record.image_id).encode()]),
        "image/key/sha256": _texts([hashlib.sha256(record.image).hexdigest().encode()]),
        **{side: _floats(boxes[:, index]) for index, side in enumerate(SIDES)},
        **({} if np.array_equal(full, boxes) else {side: _floats(full[:, i]) for i, side in enumerate(FULL_SIDES)}),
        LABEL: _integers(record.classes + 1),
        TEXT: _texts([name.encode() for name in (names if record.names is None else record.names)]),
        AREA: _floats(record.area),
        **{key: _integers(getattr(record, name)) for name, key in FLAGS.items() if name != "ignored"},
        **({FLAGS["ignored"]: _integers(record.ignored)} if record.ignored.any() else {}),
        **({VIDEO: _texts([record.video.encode()]), FRAME: _integers([record.frame])} if record.video else {}),
        **({TIME: _floats([record.time])} if record.video and record.time is not None else {}),
    }
    for one in properties:
        try:
            packed = one.pack(one.fill(record.rows, len(boxes)), record.size)
        except ValueError as error:
            raise DataError(f"{record.filename}: {error}") from error
        feature |= {key: _feature(values, one.keys.get(key)) for key, values in packed.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def _check(record: Record, class_names: Sequence[str]) -> None:
    count = len(record.classes)
    if record.format not in ("jpeg", "png"):
        raise DataError(f"{record.filename}: image format {record.format!r}; a record holds 'jpeg' or 'png'.")
    for name, boxes in (("boxes", record.boxes), ("full_boxes", record.full_boxes)):
        if boxes.shape != (count, 4) or not np.isfinite(boxes).all():
            raise DataError(f"{record.filename}: {name} are {boxes.shape}; expected finite numbers of [{count}, 4].")
    for name in ("crowd", "difficult", "area", "ignored", "names"):
        values = getattr(record, name)
        if values is not None and len(values) != count:
            raise DataError(f"{record.filename}: {len(values)} values of {name} for {count} objects.")
    try:
        check_classes(record.truth(), class_names)
    except ValueError as error:
        raise DataError(f"{record.filename}: {error}.") from None


def _texts(values: Sequence[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _integers(values: Any) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.asarray(values, np.int64)))


def _floats(values: Any) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.asarray(values, np.float32)))


def _feature(values: Any, kind: str | None) -> tf.train.Feature:
    """A list of a property; of keys that only other programs read, the values tell the type."""
    if kind is None:
        known = {"f": "float", "i": "int", "u": "int", "b": "int"}
        # An empty list, unlike an empty array, could be of any type: of names.
        typed = isinstance(values, np.ndarray) or len(values)
        kind = known.get(np.asarray(values).dtype.kind, "bytes") if typed else "bytes"
    return {"float": _floats, "int": _integers, "bytes": _texts}[kind](values)
