"""One annotated image as tf.train.Example, with the keys that TFOD and Model Garden read and write; see `serialize`.

Training parses records in the graph (`spec`), everything else in Python (`lists_of`). Both give the same lists, and
`rows_of` makes arrays of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from centernet_tf.data.checks import LARGEST_SIDE, check_classes, check_numbers
from centernet_tf.data.record import BASE, Record
from centernet_tf.errors import DataError
from centernet_tf.media.images import inspect_header
from centernet_tf.properties.property import Property, Rows, Size

ENCODED, FILENAME, SOURCE_ID = "image/encoded", "image/filename", "image/source_id"
WIDTH, HEIGHT = "image/width", "image/height"
VIDEO, FRAME, TIME = "image/seq_id", "image/seq_frame_num", "image/seq_time"  # of frames of videos
SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))  # left, top, right, bottom
# The whole box of objects of which some reach over the image's edge, in records that have such.
FULL_SIDES = tuple(f"image/object/full/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
LABEL, TEXT = "image/object/class/label", "image/object/class/text"
AREA = "image/object/area"
FLAGS = {
    "crowd": "image/object/is_crowd",
    "difficult": "image/object/difficult",
    "ignored": "image/object/ignored",
}
# What is read of each image and its objects; properties have keys of their own.
IMAGE_KEYS = {ENCODED: "bytes", FILENAME: "bytes", SOURCE_ID: "bytes", WIDTH: "int", HEIGHT: "int"}
OBJECT_KEYS = {
    **dict.fromkeys((*SIDES, *FULL_SIDES), "float"),
    LABEL: "int",
    TEXT: "bytes",
    AREA: "float",
    **dict.fromkeys(FLAGS.values(), "int"),
}
_DTYPES = {"float": np.dtype(np.float32), "int": np.dtype(np.int64), "bytes": np.dtype(object)}
_TENSORS = {"float": tf.float32, "int": tf.int64, "bytes": tf.string}
# What TensorFlow raises where a file of records is damaged, or no file.
DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
)
_CALLED = {"float": "floating-point numbers", "int": "whole numbers", "bytes": "texts"}


def spec(properties: Sequence[Property] = ()) -> dict[str, Any]:
    """What tf.io.parse_single_example reads: a list for each key, empty where a record lacks it.

    Only the image must be there.
    """
    keys = {**IMAGE_KEYS, **OBJECT_KEYS, **{key: kind for one in properties for key, kind in one.keys.items()}}
    lists = {key: tf.io.FixedLenSequenceFeature([], _TENSORS[kind], allow_missing=True) for key, kind in keys.items()}
    return {**lists, ENCODED: tf.io.FixedLenFeature([1], tf.string)}


def lists_of(serialized: bytes) -> dict[str, np.ndarray]:
    """All lists of a serialized tf.train.Example, by key: float32, int64 or, of bytes, object.

    Raises:
        ValueError: The bytes are no such example.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's implementations raise classes of their own, without a common public base
        raise ValueError("it is not a tf.train.Example") from None
    lists = {}
    for key, feature in features.items():
        if feature.HasField("bytes_list"):
            lists[key] = np.array(list(feature.bytes_list.value), object)
        elif feature.HasField("float_list"):
            lists[key] = np.array(feature.float_list.value, np.float32)
        elif feature.HasField("int64_list"):
            lists[key] = np.array(feature.int64_list.value, np.int64)
    return lists


def rows_of(lists: Rows, size: Size, classes: Sequence[str], properties: Sequence[Property] = ()) -> Rows:
    """Lists as they are stored to arrays.

    Records of TFOD and Model Garden are read too: whatever is optional there may be missing. A missing area is that of
    the box, a missing label follows from its text.

    Args:
        lists: {key: [L]} as `lists_of` gives them, or as parsed with `spec`.
        size: Width and height of the image in pixels.
        classes: Names of the classes.
        properties: Whose rows are wanted.

    Returns:
        boxes: [N, 4] float32 left, top, right, bottom in pixels of the image; full_boxes: [N, 4] float32 as annotated,
        over the edge too; classes: [N] int64, 0-based, -1 for ignored objects of no one class and for texts that name
        no class, see `check_classes`; crowd, difficult, ignored: [N] bool; area: [N] float32 pixels^2; names: [N] str
        objects, what the source calls the objects; and the rows of the properties.

    Raises:
        ValueError: A list has another type or length than it must; it is named. Values are not judged, see
            `check_classes` and `check_numbers`.
    """
    boxes, full = (_boxes(lists, keys, size) for keys in (SIDES, FULL_SIDES))
    count = len(boxes)
    if len(full) not in (0, count):
        raise ValueError(f"{FULL_SIDES[0]} holds {len(full)} numbers for {count} boxes")
    numbers, names = _classes(lists, count, classes)
    rows = {"boxes": boxes, "full_boxes": full if len(full) else boxes, "classes": numbers, "names": names}
    for name, key in FLAGS.items():
        flags = _column(lists, key, "int", count)
        rows[name] = np.zeros(count, bool) if flags is None else flags != 0
    area = _column(lists, AREA, "float", count)
    rows["area"] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) if area is None else area
    for one in properties:
        rows.update(one.unpack({key: stored(lists, key, kind) for key, kind in one.keys.items()}, boxes, size))
    return rows


def stored(lists: Rows, key: str, kind: str) -> np.ndarray:
    """The list of a key as `kind` ("float", "int" or "bytes"); empty where it is missing.

    Raises:
        ValueError: It holds something else.
    """
    values, dtype = lists.get(key), _DTYPES[kind]
    if values is None or not len(values):
        return np.zeros(0, dtype)
    if values.dtype != dtype:
        found = next((name for name, known in _DTYPES.items() if known == values.dtype), "bytes")
        raise ValueError(f"{key} holds {_CALLED[found]}; expected {_CALLED[kind]}")
    return values


def stored_size(lists: Rows) -> Size | None:
    """Width and height in pixels as a record tells them; None where it does not.

    Raises:
        ValueError: They are no whole numbers, or those of no image.
    """
    width, height = (stored(lists, key, "int") for key in (WIDTH, HEIGHT))
    if not len(width) or not len(height) or width[0] <= 0 or height[0] <= 0:
        return None
    if max(width[0], height[0]) > LARGEST_SIDE:
        raise ValueError(f"{WIDTH} and {HEIGHT} are {width[0]} and {height[0]}; no image is that large")
    return int(width[0]), int(height[0])


def stored_text(lists: Rows, key: str) -> str:
    """A text of the image; "" where it is missing."""
    texts = stored(lists, key, "bytes")
    return texts[0].decode("utf-8", "replace") if len(texts) else ""


def place_in_video(lists: Rows) -> dict[str, Any]:
    """ "video", "frame" and "time" of a record, see `Record`.

    Raises:
        ValueError: A frame of a video without its number.
    """
    video, frame, time = stored_text(lists, VIDEO), stored(lists, FRAME, "int"), stored(lists, TIME, "float")
    if video and not len(frame):
        raise ValueError(f"{FRAME} is missing, but {VIDEO} names video {video!r}; frames of videos need their number")
    return {
        "video": video,
        "frame": int(frame[0]) if video else 0,
        "time": float(time[0]) if video and len(time) else None,
    }


def read_record(serialized: bytes, class_names: Sequence[str], properties: Sequence[Property] = ()) -> Record:
    """Reads what `serialize.serialize` or another program wrote, see `rows_of`.

    A missing size is taken from the image; a source id that is no number becomes a hash, so that it is one.

    Raises:
        ValueError: The bytes are no annotated image, or a class is not declared.
    """
    lists = lists_of(serialized)
    encoded = stored(lists, ENCODED, "bytes")
    if not len(encoded) or not encoded[0]:
        raise ValueError(f"{ENCODED} is missing or empty")
    image = encoded[0]
    size = stored_size(lists)
    if size is None:
        header = inspect_header(image)
        size = header.width, header.height
    rows = dict(rows_of(lists, size, class_names, properties))
    check_classes(rows, class_names)
    check_numbers(rows)
    base = {name: rows.pop(name) for name in BASE}
    return Record(
        image=image,
        format="png" if image.startswith(b"\x89PNG") else "jpeg",
        width=size[0],
        height=size[1],
        image_id=_image_id(stored_text(lists, SOURCE_ID), lists, image),
        filename=stored_text(lists, FILENAME),
        **place_in_video(lists),
        **{**base, "names": tuple(base["names"])},
        rows=rows,
    )


def read_shard(path: Path) -> Iterator[bytes]:
    """The records of one TFRecord file, serialized.

    Raises:
        DataError: The file breaks off or is damaged; all records before that have been given. The number of the record,
            from 1, is named.
    """
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    number = 0
    while True:
        number += 1
        try:
            serialized = next(records, None)
        except (*DAMAGE, tf.errors.OutOfRangeError) as error:
            reason = error.message.split("\n")[0].split(";")[0]
            raise DataError(f"{path}: record {number} is cut off or damaged ({reason}).") from error
        if serialized is None:
            return
        yield serialized


def _boxes(lists: Rows, keys: Sequence[str], size: Size) -> np.ndarray:
    """[N, 4] float32 in pixels, of four lists in fractions of the image."""
    sides = [stored(lists, key, "float") for key in keys]
    count = len(sides[0])
    for key, values in zip(keys, sides):
        if len(values) != count:
            raise ValueError(f"{key} holds {len(values)} numbers, but {keys[0]} {count}; each box needs all four")
    with np.errstate(over="ignore"):  # to infinity, see `check_numbers`
        return np.stack(sides, axis=-1) * np.array([*size, *size], np.float32)


def _classes(lists: Rows, count: int, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """[N] int64 0-based classes and [N] names of objects."""
    labels, texts = stored(lists, LABEL, "int"), stored(lists, TEXT, "bytes")
    if len(texts) not in (0, count):
        raise ValueError(f"{TEXT} holds {len(texts)} names for {count} boxes")
    names = [text.decode("utf-8", "replace") for text in texts]
    if len(labels) == count:
        numbers = labels - 1
    elif not len(labels) and len(names) == count:
        places = {name: index for index, name in enumerate(classes)}
        numbers = np.array([places.get(name, -1) for name in names], np.int64)
    else:
        raise ValueError(
            f"{LABEL} holds {len(labels)} labels for {count} boxes; it must hold one for each, or where it is missing, "
            f"{TEXT} must"
        )
    if not names:
        names = [classes[number] if 0 <= number < len(classes) else "" for number in numbers]
    return numbers, np.array(names, object)


def _column(lists: Rows, key: str, kind: str, count: int) -> np.ndarray | None:
    """[N] values of the objects; None where the key is missing."""
    values = stored(lists, key, kind)
    if len(values) not in (0, count):
        raise ValueError(f"{key} holds {len(values)} numbers for {count} boxes")
    return values if len(values) == count else None


def _image_id(text: str, lists: Rows, image: bytes) -> int:
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(text)
    everything = b"".join([part for key in (SOURCE_ID, FILENAME) for part in stored(lists, key, "bytes")[:1]] + [image])
    return int(tf.strings.to_hash_bucket_fast(everything, 2**53))  # fits the doubles of JSON
