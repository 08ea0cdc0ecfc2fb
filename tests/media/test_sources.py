"""What a user points at is found, named and, where it is nothing, explained."""

import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.draw import save_image
from centernet_tf.media.images import read_image
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


@pytest.mark.parametrize(
    ("wanted", "output", "name"),
    [
        ("http://host:80/a//clip.mp4?x=1", "clip.mp4", "http://host:80/a//clip.mp4?x=1"),
        ("https://host/live", "live.mp4", "https://host/live"),
        ("RTSP://me:secret@10.0.0.7:554/h264/ch1", "ch1.mp4", "rtsp://***@10.0.0.7:554/h264/ch1"),
        ("rtsp://camera", "camera.mp4", "rtsp://camera"),
        ("udp://@:5000", "udp.mp4", "udp://***@:5000"),
        ("http://h/%2e%2e%2f%00 x.mjpg", "x.mp4", "http://h/%2e%2e%2f%00 x.mjpg"),
    ],
)
def test_streams_keep_their_address(wanted, output, name):
    (source,) = find_sources([wanted])
    assert (source.place, source.moving, source.output, source.name) == (wanted, True, output, name)


def test_two_streams_of_one_name():
    found = find_sources(["rtsp://a/1/live", "rtsp://b/1/live", "rtsp://b/2/live"])
    assert [source.output for source in found] == ["live.mp4", "b_live.mp4", "b_live_2.mp4"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("https://host/a.jpg", r"https://host/a\.jpg: images are not fetched by https.* Download it first"),
        (
            "ftp://me:secret@host/a.jpg",
            r"ftp://\*\*\*@host/a\.jpg: ftp:// cannot be opened here\. Videos and streams: htt",
        ),
        ("hdfs://host/a.jpg", r"hdfs:// cannot be opened here.*images: .*gs"),
        ("ram://films/clip.mp4", r"videos are not read by ram, only images\. Copy it here first"),
        ("ram://nothing/a.png", r"ram://nothing/a\.png: no such file or folder"),
        ("webcam:12345678901234567890", r"webcam:12345678901234567890: no webcam has such a number"),
    ],
)
def test_what_cannot_be_opened(wanted, said):
    with pytest.raises(UsageError, match=said):
        find_sources([wanted])


def test_images_that_tensorflow_reads(tmp_path):
    gfile = pytest.importorskip("tensorflow").io.gfile
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    save_image(tmp_path / "a.png", pixels)
    gfile.makedirs("ram://pictures/sub")
    for name in ("b.PNG", "a.png", "notes.txt", ".hidden.png"):
        with gfile.GFile(f"ram://pictures/{name}", "wb") as file:
            file.write((tmp_path / "a.png").read_bytes())
    found = find_sources(["ram://pictures", "ram://pictures/a.png"])
    assert [source.place for source in found] == [f"ram://pictures/{name}" for name in ("a.png", "b.PNG", "a.png")]
    assert [source.output for source in found] == ["a.png", "b.png", "pictures_a.png"]
    for source in found:
        np.testing.assert_array_equal(read_image(source.place), pixels)
    with pytest.raises(DataError, match=r"ram://pictures/c\.png: cannot be read"):
        read_image("ram://pictures/c.png")
    with pytest.raises(DataError, match="images are read from files and "):
        read_image("https://host/a.png")


def test_a_file_by_its_address(place):
    root = place("a b.jpg")
    (source,) = find_sources([(root / "a b.jpg").as_uri()])
    assert source.place == root / "a b.jpg"
