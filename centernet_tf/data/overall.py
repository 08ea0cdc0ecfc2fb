"""Properties that look at all records of a split before any is trained on, such as to number what is in them."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from centernet_tf.data.checks import check_classes
from centernet_tf.data.damage import reading
from centernet_tf.data.example import ENCODED, FRAME, TIME, VIDEO, place_in_video, rows_of, spec, stored_size
from centernet_tf.errors import DataError
from centernet_tf.properties.fields import Field
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.property import Property, Rows

# Rows of boxes in records without a size are fractions of the image then; nobody who looks at all needs pixels.
_UNIT = (1, 1)


def with_overall(
    properties: Sequence[Property], fields: Iterable[Field], files: Sequence[Any], classes: Sequence[str]
) -> tuple[Property, ...]:
    """The properties, those that have seen all records where one of the fields takes that.

    Args:
        properties: Of the records.
        fields: What is trained on.
        files: The shards, as in `Dataset.files`; without any, the properties know of nothing.
        classes: Names of the classes.
    """
    wanted = {field.name for field in fields}
    return tuple(
        told(one, tuple(files), tuple(classes)) if wanted & {field.name for field in one.overall} else one
        for one in properties
    )


@functools.lru_cache(maxsize=8)
def told(one: Property, files: tuple[Any, ...], classes: tuple[str, ...]) -> Property:
    """`Property.over` of the records in these shards; asked again for the same files, it does not read them again.

    Raises:
        DataError: A record cannot be read.
    """
    if not files:
        return one.over(())
    with reading(files[0].place.parent):
        return one.over(images(files, classes, (one,)))


def images(
    files: Sequence[Any], classes: Sequence[str], properties: Sequence[Property]
) -> Iterator[tuple[ImageKey, Rows]]:
    """Place and rows of each record of these shards, in order, images left alone; the number is its place there."""
    keys = {key: kind for key, kind in spec(properties).items() if key != ENCODED}
    for key, kind in ((VIDEO, tf.string), (FRAME, tf.int64), (TIME, tf.float32)):
        keys[key] = tf.io.FixedLenSequenceFeature([], kind, allow_missing=True)
    records = tf.data.TFRecordDataset([str(shard.path) for shard in files])
    parsed = records.map(lambda example: tf.io.parse_single_example(example, keys), tf.data.AUTOTUNE)
    for number, lists in enumerate(parsed.prefetch(64).as_numpy_iterator()):
        try:
            rows = rows_of(lists, stored_size(lists) or _UNIT, classes, properties)
            check_classes(rows, classes)
            place = place_in_video(lists)
        except ValueError as error:
            folder = files[0].place.parent
            raise DataError(
                f"{folder}: record {number + 1} is invalid ({error}). `centernet inspect {folder}` says more."
            ) from None
        yield ImageKey(number, place["video"], place["frame"]), rows
