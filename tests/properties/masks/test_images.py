"""Label images and images of single masks."""

import cv2
import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.sources import Source
from centernet_tf.outputs import Outputs, check_formats, check_outputs
from centernet_tf.properties.masks import Masks, images
from centernet_tf.properties.masks.pixels import Region, as_objects, counts_of
from centernet_tf.properties.tracks import Tracks

SIZE = (12, 9)


def rows(*rectangles, scores=()):
    """Rows of masks (left, top, width, height)."""
    counts = [counts_of(Region(x, y, np.ones((h, w), bool)), SIZE) for x, y, w, h in rectangles]
    return {
        "segmentations": as_objects(counts),
        "scores": np.array(scores),
        "segmentation_size": np.array(SIZE[::-1]),
    }


def test_no_objects(tmp_path):
    images.write_label_image(tmp_path / "a.png", [], rows(), 4)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, np.zeros(SIZE[::-1], np.uint16))
    images.write_object_images(tmp_path / "a", [], rows(), 4)
    assert images.is_empty(tmp_path / "a")


def test_the_surest_object_counts_where_masks_overlap(tmp_path):
    found = rows((0, 0, 6, 9), (3, 2, 6, 4), scores=[0.5, 0.9])
    images.write_label_image(tmp_path / "a.png", ["x", "y"], found, 4)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    expected = np.zeros(SIZE[::-1], np.uint16)
    expected[:, :6], expected[2:6, 3:9] = 1, 2
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, expected)


def test_many_objects_keep_their_numbers():
    found = rows(*((place % 12, place // 12, 1, 1) for place in range(100)), *[(0, 8, 0, 0)] * 300, (11, 8, 1, 1))
    labels = images.label_image(found["segmentations"], np.zeros(401), SIZE)
    assert labels[8, 11] == 401 and labels[0, 5] == 6
    with pytest.raises(DataError, match="70000 objects: a label image can number 65535"):
        images.label_image([b""] * 70_000, np.zeros(70_000), SIZE)


def test_an_image_for_each_object(tmp_path):
    images.write_object_images(tmp_path / "new" / "a", ["x/y", "é 2"], rows((0, 0, 6, 9), (3, 2, 6, 4)), 4)
    names = sorted(path.name for path in (tmp_path / "new" / "a").iterdir())
    assert names == ["001_x_y.png", "002_é 2.png"]
    second = cv2.imdecode(np.fromfile(tmp_path / "new" / "a" / names[1], np.uint8), cv2.IMREAD_UNCHANGED)
    expected = np.zeros(SIZE[::-1], np.uint8)
    expected[2:6, 3:9] = 255
    np.testing.assert_array_equal(second, expected)


def test_only_results_are_replaced(tmp_path):
    outputs = Outputs(tmp_path / "out", tmp_path / "r.json", result_files={"label-images": tmp_path / "labels"})
    source = Source(tmp_path / "in" / "a.jpg", False, "a.jpg")
    images.write_label_image(tmp_path / "labels" / "a.png", [], rows(), 4)
    check_outputs([source], outputs)
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.zeros(SIZE[::-1], np.uint16))
    with pytest.raises(UsageError, match="a file that holds no results"):
        check_outputs([source], outputs)


def test_objects_of_another_run_do_not_stay_among_those_of_this_one(tmp_path):
    outputs = Outputs(tmp_path / "out", tmp_path / "r.json", result_files={"mask-images": tmp_path / "masks"})
    source = Source(tmp_path / "in" / "a.jpg", False, "a.jpg")
    images.write_object_images(tmp_path / "masks" / "a", [], rows(), 4)
    check_outputs([source], outputs)
    images.write_object_images(tmp_path / "masks" / "a", ["x"], rows((0, 0, 1, 1)), 4)
    with pytest.raises(UsageError, match="a folder with files in it"):
        check_outputs([source], outputs)


def test_drawn_images_and_label_images_need_two_folders(tmp_path):
    outputs = Outputs(tmp_path, tmp_path / "r.json", result_files={"label-images": tmp_path})
    with pytest.raises(UsageError, match=r"a\.png: would be written twice. .* --label-images"):
        check_outputs([Source(tmp_path / "in" / "a.png", False, "a.png")], outputs)
    inputs = Outputs(tmp_path / "out", tmp_path / "r.json", result_files={"label-images": tmp_path / "in"})
    with pytest.raises(UsageError, match=r"a\.png: would overwrite an input"):
        check_outputs([Source(tmp_path / "in" / "a.png", False, "a.png")], inputs)


def test_models_without_masks_are_refused():
    check_formats(["label-images", "kitti"], [Masks()])
    with pytest.raises(UsageError, match="--mask-images: this model finds no masks"):
        check_formats(["mask-images"], [Tracks()])
