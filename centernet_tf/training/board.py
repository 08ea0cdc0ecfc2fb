"""TensorBoard: losses and AP by Keras' own callback, images of what the network sees and finds, and its errors."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from centernet_tf.data.dataset import Dataset, Record
from centernet_tf.detector.detector import Detector
from centernet_tf.host.files import telling
from centernet_tf.media.draw import contact_sheet, heatmap_overlay
from centernet_tf.media.images import read_image
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.rows import select

THRESHOLD = 0.3  # of what is drawn


class Losses(keras.callbacks.TensorBoard):
    """Keras' own callback, where a disk that cannot be written to is told as such.

    Args:
        folder: TensorBoard's log folder.
    """

    def __init__(self, folder: Path):
        super().__init__(folder, write_graph=False)
        self.folder = folder

    def on_train_begin(self, logs=None):
        with _telling(self.folder):
            super().on_train_begin(logs)

    def on_test_end(self, logs=None):
        with _telling(self.folder):
            super().on_test_end(logs)

    def on_epoch_end(self, epoch, logs=None):
        with _telling(self.folder):
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        with _telling(self.folder):
            super().on_train_end(logs)


class Board:
    """Draws the first images of a data set with what is found in them, and heatmaps.

    Args:
        folder: TensorBoard's log folder.
        dataset: Where the images come from, with the properties of the model.
        count: How many.
    """

    def __init__(self, folder: Path, dataset: Dataset, count: int):
        self.folder, self.dataset = folder, dataset
        self.records = dataset.head(count)
        self.images = [read_image(record.image) for record in self.records]

    def __call__(self, epoch: int, detector: Detector) -> None:
        """Writes one sheet of images for this epoch."""
        sheet = image_sheet(self.images, self.records, detector)
        write_summaries(self.folder / "images", epoch, {}, {"predictions and heatmaps": sheet})


def write_summaries(folder: Path, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]) -> None:
    """Adds numbers and pictures [H, W, 3] uint8 RGB to a log folder of TensorBoard.

    Raises:
        DataError: It cannot be written there.
    """
    # TensorBoard's event files have no writer outside TensorFlow among our dependencies.
    import tensorflow as tf

    with _telling(folder), tf.summary.create_file_writer(str(folder)).as_default():
        for name, value in scalars.items():
            tf.summary.scalar(name, value, step=step)
        for name, picture in pictures.items():
            tf.summary.image(name, picture[None], step=step)


@contextlib.contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Turns what TensorFlow raises where it cannot write its event files, as if memory were short, into DataError."""
    import tensorflow as tf

    with telling(folder, kinds=(tf.errors.OpError,)):
        yield


def image_sheet(images: Sequence[np.ndarray], records: Sequence[Record], detector: Detector) -> np.ndarray:
    """Pairs of an image with what is found in it, beside it the properties' panels, and the input with its heatmap.

    Args:
        images: [H, W, 3] uint8 RGB each.
        records: They come from these. Panels show the annotated objects below those that are found.
        detector: Draws what it finds.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    extras = {extra.name: [record.rows[extra.name] for record in records] for extra in detector.extras}
    fields = (*SHARED, *(field for one in detector.properties for field in one.fields))
    tiles = []
    for image, record, found in zip(images, records, detector(list(images), threshold=0.0, **extras)):
        truth = select(record.truth(), fields, np.flatnonzero(~record.ignored), len(record.boxes))
        seen, heatmap = detector.look(image)
        tiles += [found.draw(image, THRESHOLD, panels=True, truth=truth), heatmap_overlay(seen, heatmap)]
    return contact_sheet(tiles, columns=4)
