import numpy as np

from centernet_tf.centers import Centers
from centernet_tf.data.records import iterate, open_dataset
from centernet_tf.datasets import scenes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector import Detector
from centernet_tf.images import read_image
from centernet_tf.results import Detections
from centernet_tf.tasks import build_tasks
from centernet_tf.training.board import Pictures, picture_sheet


def test_pairs_of_pictures_and_heatmaps(spot_network, spot_card, draw_spots):
    detector = Detector(spot_network, spot_card)
    images = [draw_spots(128, 128, (40, 40, 0)), draw_spots(96, 128, (60, 60, 1)), np.zeros((50, 70, 3), np.uint8)]
    sheet = picture_sheet(images, detector)
    assert sheet.dtype == np.uint8
    assert sheet.ndim == 3
    assert sheet.shape[1] > 2 * sheet.shape[0] / 2
    assert sheet.max() > 200


def test_pictures_are_written_for_tensorboard(tmp_path, shapes_val, spot_network, spot_card):
    card = spot_card.model_copy(update={"classes": shapes_val.classes[:2]})
    pictures = Pictures(tmp_path, shapes_val, 3)
    assert len(pictures.images) == 3
    pictures(1, Detector(spot_network, card))
    (file,) = (tmp_path / "pictures").iterdir()
    assert file.stat().st_size > 1000


def test_fewer_images_than_wanted(tmp_path, shapes_val):
    assert len(Pictures(tmp_path, shapes_val, 100).images) == 8


class Oracle:
    """A detector that finds what is annotated."""

    tasks = build_tasks(("box3d",), Centers(3))

    def __init__(self, records):
        self.records = records

    def __call__(self, images, threshold, cameras):
        for record, camera in zip(self.records, cameras):
            np.testing.assert_array_equal(record.camera, camera)
            kept = ~record.neutral
            solids = record.solids[kept]
            fields = {
                "alphas": solids[:, 0],
                "dimensions": solids[:, 1:4],
                "locations": solids[:, 4:7] + np.float32([0, 0, 1]),
                "rotations": solids[:, 7],
            }
            row = record.boxes[kept], np.ones(kept.sum()), record.classes[kept], scenes.CLASSES
            yield Detections(*row, (record.width, record.height), fields, camera=camera)

    def look(self, image):
        return image, np.zeros((*image.shape[:2], 3), np.float32)


def test_boxes_in_space_lie_on_a_map_with_the_truth(tmp_path):
    classes, items = scenes.read(2, (96, 160))
    write_records(items, directory=tmp_path, name="scenes", split="train", classes=classes, shards=1, solid=True)
    records = list(iterate(open_dataset(tmp_path)))
    images = [read_image(record.image) for record in records]
    sheet = picture_sheet(images, Oracle(records), records)
    # Two images with their square maps, and two heatmaps.
    assert sheet.shape[1] > 4 * (160 + 96)
    green = (sheet == [176, 196, 178]).all(axis=-1)
    assert green.any()
