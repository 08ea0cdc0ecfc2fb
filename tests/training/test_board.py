import numpy as np

from centernet_tf.detector import Detector
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
