"""Reads records as they are, faults included, for whoever wants to find the faults.

`centernet_tf.data.records` refuses what is wrong; here everything that can be read is handed on as it was stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from centernet_tf.data.solids import COLUMNS
from centernet_tf.errors import DataError

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Stored:
    """One record as it lies in its shard, unchecked.

    Attributes:
        where: Shard and number of the record, for messages.
        filename: Of the image; "" where the record has none.
        image_id: As text, as it is stored; "" where the record has none.
        image: Bytes of the image file.
        width: Pixels, as recorded; 0 where the record has none.
        height: Pixels, as recorded.
        boxes: [N, 4] float64, left, top, right, bottom in 0..1 of the image, as stored; not clipped, NaN kept.
        labels: [N] int64, 0-based classes; -1 where neither number nor text names one.
        crowd: [N] bool.
        difficult: [N] bool.
        fault: Why the record is no annotated image, or "". Boxes and labels are empty with a fault.
        joints: [N, J, 3] float64, x and y in 0..1 of the image and label, as stored; J is 0 where the record has none.
            None where their lists do not make whole objects.
        neutral: [N] bool.
        names: [N] what the source calls the objects; none where the lists differ in length.
        camera: [3, 4] float64, unchecked; None where there are no twelve numbers.
        solids: [N, 8] float64 as in `Record`, unchecked; NaN where the record has none, None where a list is not of N.
    """

    where: str
    filename: str
    image_id: str
    image: bytes
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    fault: str
    joints: np.ndarray | None
    neutral: np.ndarray
    names: tuple[str, ...]
    camera: np.ndarray | None
    solids: np.ndarray | None

    @property
    def name(self) -> str:
        """What to call the image."""
        return self.filename or self.where


def read_shard(shard: Path, classes: Sequence[str]) -> Iterator[Stored]:
    """Reads the records of one shard in order.

    Args:
        shard: A TFRecord file.
        classes: Names of the classes, for records that name them by text only.

    Raises:
        DataError: The shard breaks off or is damaged; all records before that have been given.
    """
    records = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
    number = 1
    while True:
        try:
            serialized = next(records, None)
        except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.NotFoundError) as error:
            reason = error.message.split("\n")[0].split(";")[0]
            raise DataError(f"{shard.name}: cut off or damaged at record {number} ({reason}).") from error
        if serialized is None:
            return
        yield parse_stored(serialized, classes, f"{shard.name}, record {number}")
        number += 1


def parse_stored(serialized: bytes, classes: Sequence[str], where: str) -> Stored:
    """Takes one serialized tf.train.Example apart; never raises, `fault` says what is missing."""
    features, fault = _features(serialized)
    width, height = (int(_numbers(features, f"image/{side}", [0])[0]) for side in ("width", "height"))
    corners = [_numbers(features, f"image/object/bbox/{edge}") for edge in _CORNERS]
    labels = _labels(features, classes)
    lengths = {"labels": len(labels), **{edge: len(values) for edge, values in zip(_CORNERS, corners)}}
    image = _texts(features, "image/encoded", [b""])[0]
    if not fault and not image:
        fault = "no image (image/encoded is missing or empty)"
    if not fault and len(set(lengths.values())) > 1:
        fault = "objects with missing parts: " + ", ".join(f"{count} {name}" for name, count in lengths.items())
    if fault:
        corners, labels = [np.zeros(0)] * 4, np.zeros(0, np.int64)
    count = len(labels)
    return Stored(
        where=where,
        filename=_texts(features, "image/filename", [b""])[0].decode(errors="replace"),
        image_id=_texts(features, "image/source_id", [b""])[0].decode(errors="replace"),
        image=image,
        width=width,
        height=height,
        boxes=np.stack(corners, axis=-1).astype(np.float64),
        labels=labels,
        crowd=_flags(features, "image/object/is_crowd", count),
        difficult=_flags(features, "image/object/difficult", count),
        fault=fault,
        joints=_joints(features, count),
        neutral=_flags(features, "image/object/neutral", count),
        names=tuple(text.decode(errors="replace") for text in _texts(features, "image/object/class/text")),
        camera=_camera(features),
        solids=_solids(features, count),
    )


def leave_gpu() -> None:
    """Keeps TensorFlow off the GPU, whose memory it would take from a training that may be running."""
    if tf.config.list_physical_devices("GPU"):
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:  # in use already, by the program that calls us: its choice
            return


def decoding_fault(image: bytes) -> str:
    """Why training could not decode an image file, or ""; by TensorFlow, which refuses more damage than viewers do."""
    try:
        tf.io.decode_image(image, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        return error.message.split("\n")[0].split(" [Op:")[0]
    return ""


def _features(serialized: bytes) -> tuple[dict[str, tf.train.Feature], str]:
    try:
        features = dict(tf.train.Example.FromString(serialized).features.feature)
    except Exception:  # protobuf's implementations raise classes of their own, without a common public base
        return {}, "no tf.train.Example"
    return features, "" if features else "no features"


def _numbers(features: dict[str, tf.train.Feature], key: str, default: Sequence[float] = ()) -> np.ndarray:
    """Values of an int64 or float list; the default where it is missing, empty or of bytes."""
    feature = features.get(key)
    kind = feature.WhichOneof("kind") if feature is not None else None
    values = getattr(feature, kind).value if kind in ("int64_list", "float_list") else ()
    return np.array(values if len(values) else default)


def _texts(features: dict[str, tf.train.Feature], key: str, default: Sequence[bytes] = ()) -> list[bytes]:
    feature = features.get(key)
    return list(feature.bytes_list.value) or list(default) if feature is not None else list(default)


def _labels(features: dict[str, tf.train.Feature], classes: Sequence[str]) -> np.ndarray:
    """[N] int64, 0-based; by number, and by text where numbers are missing."""
    numbers = _numbers(features, "image/object/class/label")
    if len(numbers):
        return numbers.astype(np.int64) - 1
    positions = {name.encode(): position for position, name in enumerate(classes)}
    texts = _texts(features, "image/object/class/text")
    return np.array([positions.get(text, -1) for text in texts], np.int64)


def _joints(features: dict[str, tf.train.Feature], count: int) -> np.ndarray | None:
    x, y, labels = (_numbers(features, f"image/object/keypoint/{name}") for name in ("x", "y", "visibility"))
    if not len(labels):
        labels = np.full(len(x), 2)
    if not len(x) == len(y) == len(labels) or len(x) % max(count, 1) or (len(x) and not count):
        return None
    return np.stack([x, y, labels], axis=-1).astype(np.float64).reshape(count, len(x) // max(count, 1), 3)


def _camera(features: dict[str, tf.train.Feature]) -> np.ndarray | None:
    numbers = _numbers(features, "image/camera/projection")
    return numbers.astype(np.float64).reshape(3, 4) if len(numbers) == 12 else None


def _solids(features: dict[str, tf.train.Feature], count: int) -> np.ndarray | None:
    lists = [_numbers(features, f"image/object/{name}", [np.nan] * count) for name in COLUMNS]
    return np.stack(lists, axis=-1).astype(np.float64) if {len(one) for one in lists} == {count} else None


def _flags(features: dict[str, tf.train.Feature], key: str, count: int) -> np.ndarray:
    values = _numbers(features, key).astype(bool)
    return values if len(values) == count else np.zeros(count, bool)
