import dataclasses

import keras
import numpy as np
import pytest

from centernet_tf.data.dataset import open_dataset
from centernet_tf.datasets.drawn import scenes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.media.images import read_image
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.results import Detections
from centernet_tf.training.board import Board, Losses, image_sheet

FIELDS = ("alphas", "dimensions", "locations", "rotations")
TRUTH = [176, 196, 178]  # colour of annotated boxes seen from above


def test_pairs_of_images_and_heatmaps(spot_network, spot_card, shapes_val):
    """Two images of 64 x 64, each beside the input of 128 x 128 that it is fitted into."""
    card = spot_card.model_copy(update={"classes": shapes_val.classes[:2]})
    records = shapes_val.head(2)
    images = [read_image(record.image) for record in records]
    sheet = image_sheet(images, records, Detector(spot_network, card))
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert 4 * 128 <= sheet.shape[1] < 4 * 128 + 64
    assert sheet.max() > 200


def test_images_are_written_for_tensorboard(tmp_path, shapes_val, spot_network, spot_card):
    card = spot_card.model_copy(update={"classes": shapes_val.classes[:2]})
    board = Board(tmp_path, shapes_val, 3)
    assert len(board.images) == 3
    board(1, Detector(spot_network, card))
    (file,) = (tmp_path / "images").iterdir()
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("write", ["losses", "images"])
def test_a_disk_that_cannot_be_written_is_told(write, tmp_path, shapes_val, spot_network, spot_card):
    (tmp_path / "board").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"board.*: cannot be written"):
        if write == "losses":
            losses = Losses(tmp_path / "board")
            network = keras.models.clone_model(spot_network)
            network.compile("adam")
            losses.set_model(network)
            losses.on_epoch_end(0, {"loss": 1.0})
        else:
            card = spot_card.model_copy(update={"classes": shapes_val.classes[:2]})
            Board(tmp_path / "board", shapes_val, 1)(1, Detector(spot_network, card))


def test_fewer_images_than_wanted(tmp_path, shapes_val):
    assert len(Board(tmp_path, shapes_val, 100).images) == 8


class Extra:
    """What the oracle takes of each image."""

    name = "camera"


class Oracle:
    """A detector that finds what is annotated, a metre too far away."""

    properties, extras = (Boxes3d(),), (Extra,)

    def __init__(self, records):
        self.records = records

    def __call__(self, images, threshold, camera):
        for record, one in zip(self.records, camera, strict=True):
            np.testing.assert_array_equal(record.rows["camera"], one)
            kept = ~record.ignored
            fields = {name: record.rows[name][kept] for name in FIELDS}
            fields["locations"] = fields["locations"] + np.float32([0, 0, 1])
            row = record.boxes[kept], np.ones(kept.sum()), record.classes[kept], scenes.CLASSES
            yield Detections(
                *row, (record.width, record.height), fields, properties=self.properties, extras={"camera": one}
            )

    def look(self, image):
        return image, np.zeros((*image.shape[:2], 3), np.float32)


def test_panels_show_what_is_annotated_below_what_is_found(tmp_path):
    split = scenes.read(2, (96, 160))
    write_records(
        split.items,
        directory=tmp_path,
        name="scenes",
        split="train",
        classes=split.classes,
        properties=split.properties,
    )
    records = open_dataset(tmp_path).head(2)
    images = [read_image(record.image) for record in records]
    sheet = image_sheet(images, records, Oracle(records))
    # Two images with their square panels, and two heatmaps.
    assert sheet.shape[1] > 4 * (160 + 96)

    def annotated(shown):
        return (shown == TRUTH).all(axis=-1).sum()

    ignored = [dataclasses.replace(record, ignored=np.ones_like(record.ignored)) for record in records]
    assert annotated(sheet) > 0 == annotated(image_sheet(images, ignored, Oracle(records)))
