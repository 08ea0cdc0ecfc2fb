"""Reads records as they are, faults included, for whoever wants to find the faults.

`centernet_tf.data.dataset` refuses what is wrong; here everything that can be read is handed on as it was stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from centernet_tf.data import example
from centernet_tf.media.images import lacks_data
from centernet_tf.properties.faults import BrokenListsError
from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.property import Property, Rows, Size


@dataclass(frozen=True, eq=False)
class Stored:
    """One record as it lies in its shard, unchecked.

    Attributes:
        where: Shard and number of the record, for messages.
        filename: Of the image; "" where the record has none.
        image_id: As text, as it is stored; "" where the record has none.
        image: Bytes of the image file.
        size: Width and height in pixels, as recorded; None where they are not.
        fault: Why the record is no annotated image, or "". There are no rows then.
        lists: All lists by key, see `example.lists_of`.
        key: Its video and its place in it, if it is a frame.
    """

    where: str
    filename: str = ""
    image_id: str = ""
    image: bytes = b""
    size: Size | None = None
    fault: str = ""
    lists: Rows | None = None
    key: ImageKey = SINGLE

    @property
    def name(self) -> str:
        """What to call the image."""
        return self.filename or self.where

    def rows(
        self, size: Size, classes: Sequence[str], properties: Sequence[Property] = ()
    ) -> tuple[Rows, dict[str, tuple[str, str]]]:
        """The record's arrays; values may be wrong, shapes are not.

        Args:
            size: Width and height of the image in pixels.
            classes: Names of the classes; objects of another name have class -1.
            properties: Whose rows are wanted.

        Returns:
            Rows as `example.rows_of`, without those of properties whose lists make none; and for these, by the
            property's name, the code of the check and what is wrong.
        """
        rows, broken = dict(example.rows_of(self.lists, size, classes)), {}
        for one in properties:
            try:
                rows |= example.rows_of(self.lists, size, classes, [one])
            except BrokenListsError as error:
                broken[one.name] = (error.code, str(error))
            except ValueError as error:
                broken[one.name] = (one.broken, str(error))
        return rows, broken


def read_shard(shard: Path, classes: Sequence[str]) -> Iterator[Stored]:
    """Reads the records of one shard in order.

    Args:
        shard: A TFRecord file.
        classes: Names of the classes, for records that name them by text only.

    Raises:
        DataError: The shard breaks off or is damaged; all records before that have been given.
    """
    for number, serialized in enumerate(example.read_shard(shard), start=1):
        yield parse_stored(serialized, classes, f"{shard.name}, record {number}")


def parse_stored(serialized: bytes, classes: Sequence[str], where: str) -> Stored:
    """Takes one serialized tf.train.Example apart; never raises, `fault` says what is missing."""
    try:
        lists = example.lists_of(serialized)
        size = example.stored_size(lists)
        found = Stored(
            where=where,
            filename=example.stored_text(lists, example.FILENAME),
            image_id=example.stored_text(lists, example.SOURCE_ID),
            image=b"".join(example.stored(lists, example.ENCODED, "bytes")[:1]),
            size=size,
            lists=lists,
            key=ImageKey(0, **{name: value for name, value in example.place_in_video(lists).items() if name != "time"}),
        )
        example.rows_of(lists, size or (1, 1), classes)
    except ValueError as error:
        return Stored(where, fault=str(error))
    return found if found.image else Stored(where, found.filename, fault=f"{example.ENCODED} is missing or empty")


def leave_gpu() -> None:
    """Keeps TensorFlow off the GPU, whose memory it would take from a training that may be running."""
    if tf.config.list_physical_devices("GPU"):
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:  # in use already, by the program that calls us: its choice
            return


def decoding_fault(image: bytes) -> str:
    """Why training could not decode an image file, or ""; by TensorFlow, which refuses more damage than viewers do."""

    def decode(data: bytes) -> np.ndarray:
        return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()

    try:
        lacking = lacks_data(image, decode(image)[-8:, -8:], decode)
    except tf.errors.InvalidArgumentError as error:
        return error.message.split("\n")[0].split(" [Op:")[0]
    return "its header promises more pixels than the file has" if lacking else ""
