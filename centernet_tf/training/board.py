"""TensorBoard: losses and AP by Keras' own callback, and pictures of what the network sees, finds and believes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from centernet_tf.data.records import Dataset, iterate
from centernet_tf.detector import Detector
from centernet_tf.draw import contact_sheet, heatmap_overlay
from centernet_tf.images import read_image


class Pictures:
    """Draws the first images of a data set with predictions and heatmaps.

    Args:
        folder: TensorBoard's log folder.
        dataset: Where the images come from.
        count: How many.
    """

    def __init__(self, folder: Path, dataset: Dataset, count: int):
        self.folder = folder
        self.images = [read_image(record.image) for record, _ in zip(iterate(dataset), range(count))]

    def __call__(self, epoch: int, detector: Detector) -> None:
        """Writes one sheet of pictures for this epoch."""
        # TensorBoard's event files have no writer outside TensorFlow among our dependencies.
        import tensorflow as tf

        with tf.summary.create_file_writer(str(self.folder / "pictures")).as_default():
            sheet = picture_sheet(self.images, detector)
            tf.summary.image("predictions and heatmaps", sheet[None], step=epoch)


def picture_sheet(images: Sequence[np.ndarray], detector: Detector) -> np.ndarray:
    """Pairs of an image with its detections and the network's input with its heatmap.

    Args:
        images: [H, W, 3] uint8 RGB each.
        detector: Draws what it finds.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    tiles = []
    for image, found in zip(images, detector(list(images), threshold=0.0)):
        seen, heatmap = detector.look(image)
        tiles += [found.draw(image), heatmap_overlay(seen, heatmap)]
    return contact_sheet(tiles, columns=4)
