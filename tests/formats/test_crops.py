"""Crops hold the pixels of their box, in a folder of their class, and none of another run."""

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.formats.crops import Crops, crops_of
from centernet_tf.media.images import read_image


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@pytest.mark.parametrize(
    ("box", "left_top", "size"),
    [
        ((1, 2, 4, 5), (20, 40), (3, 3)),
        ((1.9, 2.1, 3.2, 2.2), (20, 40), (1, 3)),
        ((-5, -5, 1, 1), (0, 0), (1, 1)),
        ((6, 4, 90, 90), (120, 80), (2, 2)),
        ((9, 0, 12, 4), None, (0, 0)),
        ((2, 2, 2, 4), None, (0, 0)),
        ((5, 2, 1, 4), None, (0, 0)),
    ],
)
def test_the_pixels_of_a_box(image, box, left_top, size):
    (crop,) = crops_of(image, np.float32([box]))
    assert crop.shape[:2] == size
    if left_top:
        assert tuple(crop[0, 0, :2]) == left_top


def test_an_image_without_objects(image):
    assert list(crops_of(image, np.zeros((0, 4)))) == []


def test_images_and_frames(write, source, image, tmp_path):
    write(Crops(tmp_path / "crops"), (source("in/a.png"), None), (source("clip.mp4"), (12, 0.5)))
    assert files(tmp_path / "crops") == [
        "hot_dog/a_002.png",
        "hot_dog/clip_000012_002.jpg",
        "person/a_001.png",
        "person/clip_000012_001.jpg",
    ]
    np.testing.assert_array_equal(read_image(tmp_path / "crops" / "person" / "a_001.png"), image[2:5, 1:4])


def test_an_image_that_is_called_like_a_frame_keeps_its_crops(write, source, tmp_path):
    write(Crops(tmp_path / "crops"), (source("clip.mp4"), (1, 0.1)), (source("clip_000001.jpg"), None))
    assert files(tmp_path / "crops" / "person") == ["clip_000001_001-2.jpg", "clip_000001_001.jpg"]


def test_nothing_is_there_where_a_run_fails(source, image, found, tmp_path):
    made = Crops(tmp_path / "crops")
    with pytest.raises(KeyboardInterrupt), made.opened(found.names, ()) as tell:
        tell(source("a.png"), None, image, found)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_folders_that_hold_something_are_refused(tmp_path):
    (tmp_path / "crops").mkdir()
    Crops(tmp_path / "crops").check([])
    (tmp_path / "crops" / "old.png").touch()
    with pytest.raises(UsageError, match="crops: holds files, among which crops of another run would stay"):
        Crops(tmp_path / "crops").check([])
    with pytest.raises(UsageError, match=r"old\.png: this is a file\. Give a folder to --save-crops"):
        Crops(tmp_path / "crops" / "old.png").check([])
