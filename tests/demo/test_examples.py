"""What there is to click on."""

import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.datasets.drawn.shapes import CLASSES
from centernet_tf.demo import examples
from centernet_tf.errors import DataError, UsageError


def test_images_and_videos_of_a_folder(folder):
    found = examples.of_folder(folder)
    assert [(one.name, one.moving) for one in found] == [("a.png", False), ("b.jpg", False), ("c.mp4", True)]
    sizes = [Image.open(io.BytesIO(one.thumbnail)).size for one in found]
    assert sizes == [(96, 64), (64, 64), (64, 64)]


def test_a_folder_of_many(tmp_path, folder):
    for number in range(examples.MOST + 1):
        (tmp_path / f"{number:02d}.png").write_bytes((folder / "a.png").read_bytes())
    assert [one.name for one in examples.of_folder(tmp_path)][-1] == f"{examples.MOST - 1}.png"


def test_folders_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="no images or videos directly in this folder"):
        examples.of_folder(tmp_path)
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"a\.png: not an image that can be read"):
        examples.of_folder(tmp_path)


def test_large_images_have_small_thumbnails():
    image = np.zeros((40, 4 * examples.THUMBNAIL, 3), np.uint8)
    assert Image.open(io.BytesIO(examples.as_jpeg(image, examples.THUMBNAIL))).size == (examples.THUMBNAIL, 10)


def test_drawn_images():
    found = examples.drawn_for(CLASSES, [])
    assert len(found) == examples.DRAWN and not any(one.moving for one in found)
    assert found[0].content.shape == (384, 384, 3) and (found[0].content != found[1].content).any()
    assert examples.drawn_for(["cat", CLASSES[0]], []) == []


def test_drawn_images_bring_what_a_model_takes_of_them():
    found = examples.drawn_for(("car", "truck", "cabinet"), ["boxes3d"], ["camera", "elsewhere"])
    assert [set(one.extras) for one in found] == [{"camera"}] * examples.DRAWN


def test_a_drawn_video_and_images_of_it():
    *stills, video = examples.drawn_for(("circle", "rectangle"), ["tracks"])
    assert video.moving and len(stills) == examples.DRAWN
    with examples.frames_of(video.content) as (frames, total):
        assert total == len(list(frames)) == 48
    np.testing.assert_array_equal(stills[1].content, video.content[8])
