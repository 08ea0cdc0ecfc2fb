"""TensorBoard: losses and AP by Keras' own callback, and pictures of what the network sees, finds and believes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from centernet_tf.data.records import Dataset, Record, iterate
from centernet_tf.detector import Detector
from centernet_tf.draw import class_colors, contact_sheet, heatmap_overlay
from centernet_tf.draw_solids import beside, birds_eye
from centernet_tf.images import read_image
from centernet_tf.results import Detections

THRESHOLD = 0.3  # of what is drawn


class Pictures:
    """Draws the first images of a data set with predictions and heatmaps.

    Args:
        folder: TensorBoard's log folder.
        dataset: Where the images come from.
        count: How many.
    """

    def __init__(self, folder: Path, dataset: Dataset, count: int):
        self.folder = folder
        self.records = [record for record, _ in zip(iterate(dataset), range(count))]
        self.images = [read_image(record.image) for record in self.records]

    def __call__(self, epoch: int, detector: Detector) -> None:
        """Writes one sheet of pictures for this epoch."""
        # TensorBoard's event files have no writer outside TensorFlow among our dependencies.
        import tensorflow as tf

        with tf.summary.create_file_writer(str(self.folder / "pictures")).as_default():
            sheet = picture_sheet(self.images, detector, self.records)
            tf.summary.image("predictions and heatmaps", sheet[None], step=epoch)


def picture_sheet(
    images: Sequence[np.ndarray], detector: Detector, records: Sequence[Record] | None = None
) -> np.ndarray:
    """Pairs of an image with its detections and the network's input with its heatmap.

    Args:
        images: [H, W, 3] uint8 RGB each.
        detector: Draws what it finds.
        records: Where the images come from. Boxes in space need their cameras, and lie on a map with the annotated
            ones.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    placed = detector.tasks.placed and records is not None
    cameras = [record.camera for record in records] if placed else None
    tiles = []
    for number, found in enumerate(detector(list(images), threshold=0.0, cameras=cameras)):
        seen, heatmap = detector.look(images[number])
        drawn = found.draw(images[number], THRESHOLD)
        if placed:
            drawn = beside(drawn, _map(found.above(THRESHOLD), records[number]))
        tiles += [drawn, heatmap_overlay(seen, heatmap)]
    return contact_sheet(tiles, columns=4)


def _map(found: Detections, record: Record) -> np.ndarray:
    """The ground from above with what was found, over what was annotated."""
    places = found.solids
    known = record.solids[np.isfinite(record.solids).all(axis=1) & ~record.neutral]
    truth = known[:, 4:7], known[:, 1:4], known[:, 7]
    return birds_eye(places[:, 4:7], places[:, 1:4], places[:, 7], class_colors(found.classes), truth=truth)
