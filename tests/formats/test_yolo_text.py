"""YOLO's text tells boxes as fractions of the image, and never replaces annotations."""

import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.formats.yolo_text import YoloText, lines_of
from centernet_tf.results import Detections


def test_lines(found):
    assert list(lines_of(Detections.empty(("person",), (8, 6)))) == []
    assert list(lines_of(found)) == [
        "0 0.312500 0.583333 0.375000 0.500000 0.9123",
        "1 0.843750 0.250000 0.312500 0.500000 0.5000",  # up to the edges; the third lies outside
    ]


def test_images_and_frames(write, source, found, tmp_path):
    write(YoloText(tmp_path / "txt"), (source("in/a.png"), None), (source("clip.mp4"), (3, 0.1)))
    assert sorted(path.name for path in (tmp_path / "txt").iterdir()) == ["a.txt", "clip_000003.txt"]
    read = np.loadtxt(tmp_path / "txt" / "a.txt")
    middles, sizes = read[:, 1:3] * found.image_size, read[:, 3:5] * found.image_size
    np.testing.assert_allclose((middles - sizes / 2)[0], found.boxes[0, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "owned"), [("", True), ("0 0.5 0.5 0.1 0.1 0.9\n", True), ("0 0.5 0.5 0.1 0.1\n", False), ("notes", False)]
)
@pytest.mark.parametrize(("name", "old"), [("a.jpg", "a.txt"), ("[1]?.mp4", "[1]?_000000.txt")])
def test_only_results_are_replaced(write, source, tmp_path, text, owned, name, old):
    (tmp_path / old).write_text(text)
    (tmp_path / "else.txt").write_text("notes")
    if owned:
        write(YoloText(tmp_path), (source(name), (0, 0.0) if name.endswith("mp4") else None))
        assert len((tmp_path / old).read_text().splitlines()) == 2
        return
    with pytest.raises(UsageError, match=r"would overwrite a file that holds no results.*--save-txt"):
        YoloText(tmp_path).check([source(name)])


def test_two_images_of_one_name(write, source, tmp_path):
    with pytest.raises(UsageError, match=r"a\.txt: would be written twice, of two images"):
        YoloText(tmp_path).check([source("a.jpg"), source("a.png")])
    with pytest.raises(DataError, match=r"clip_000001\.txt: would be written twice"):
        write(YoloText(tmp_path / "txt"), (source("clip.mp4"), (1, 0.1)), (source("clip_000001.jpg"), None))
    assert not (tmp_path / "txt").exists()
