"""What a user points at is found, named and, where it is nothing, explained."""

import pytest

from centernet_tf.errors import UsageError
from centernet_tf.media.sources import find_sources


@pytest.fixture
def place(tmp_path):
    """Function that makes empty files below tmp_path."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def test_nothing():
    assert find_sources([]) == []


def test_folders_are_sorted_and_flat(place):
    root = place("b.PNG", "a.jpg", "clip.mov", "notes.txt", "sub/c.jpg", ".hidden.jpg")
    found = find_sources([root])
    assert [source.place.name for source in found] == ["a.jpg", "b.PNG", "clip.mov"]
    assert [source.moving for source in found] == [False, False, True]
    assert [source.output for source in found] == ["a.jpg", "b.PNG", "clip.mp4"]
    assert [source.heatmap for source in found] == ["a_heatmap.png", "b_heatmap.png", "clip_heatmap.mp4"]


def test_order_is_that_of_the_call(place):
    root = place("b.jpg", "a.mp4", "folder/c.tif")
    found = find_sources([root / "b.jpg", "webcam:2", root / "a.mp4", str(root / "folder"), "WEBCAM"])
    assert [source.output for source in found] == ["b.jpg", "webcam2.mp4", "a.mp4", "c.png", "webcam0.mp4"]
    assert [source.place for source in found][1::3] == [2, 0]
    assert found[1].name == "webcam:2"


def test_no_output_overwrites_another(place):
    root = place("x/a.jpg", "y/a.jpg", "y/A.JPG", "z/y_a.jpg", "z/a.png", "z/a_heatmap.png", "z/a.avi")
    found = find_sources([root / "x", root / "y", root / "y", root / "z", root / "x" / "a.jpg"])
    names = [name.lower() for source in found for name in (source.output, source.heatmap)]
    assert len(set(names)) == len(names) == 2 * len(found)
    assert [source.output for source in found][:2] == ["a.jpg", "y_A.JPG"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("pictur.jpg", r"pictur\.jpg: no such file or folder\. Did you mean 'picture\.jpg'\?"),
        ("gone/a.jpg", r"gone/a\.jpg: no such file or folder\.$"),
        (
            "notes.txt",
            r"notes\.txt: files that end in '\.txt' are not known\. Images: \.bmp, .*; videos: \.avi, .*webcam",
        ),
        ("empty", r"empty: no images or videos directly in this folder; subfolders are not searched"),
        ("webcam:front", r"webcam:front: no such file"),
    ],
)
def test_what_is_not_there(place, wanted, said):
    root = place("picture.jpg", "notes.txt", "empty/sub/a.jpg")
    with pytest.raises(UsageError, match=said):
        find_sources([root / wanted])
