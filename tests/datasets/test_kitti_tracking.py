"""KITTI's tracking benchmark: identities and 3D boxes of frames, halves, and files that contradict each other."""

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets import kitti
from centernet_tf.datasets.kitti_tracking import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

CAMERA = "P0: 1 0 0 0 0 1 0 0 0 0 1 0\nP2: 700 0 32 45 0 700 24 -0.3 0 0 1 0.005\n"


def label(frame, track, kind="Car", truncated=0, left=4):
    return (
        f"{frame} {track} {kind} {truncated} 2 -1.50 {left}.00 2.00 40.00 30.00 1.50 1.60 3.90 1.00 2.00 11.00 0.30\n"
    )


NOBODY = "0 -1 DontCare -1 -1 -10 5.00 10.50 25.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10\n"


def make(folder, labels, frames=5, name="0003"):
    root = folder / "training"
    for part in ("label_02", "calib", f"image_02/{name}"):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / "label_02" / f"{name}.txt").write_text(labels)
    (root / "calib" / f"{name}.txt").write_text(CAMERA)
    for frame in range(frames):
        Image.new("RGB", (64, 48)).save(root / "image_02" / name / f"{frame:06d}.png")
    return folder


def test_identities_and_3d_boxes_in_records(tmp_path):
    labels = label(0, 7) + label(0, 2, "Van", left=9) + NOBODY + label(3, 7, truncated=1) + label(3, 4, "Tram")
    data = read(make(tmp_path, labels))
    write_records(
        data.items,
        directory=tmp_path / "out",
        name="a",
        split="train",
        classes=data.classes,
        properties=data.properties,
        shards=1,
    )
    dataset = open_dataset(tmp_path / "out")
    records = list(iterate(dataset))
    assert {one.name for one in dataset.properties} == {"boxes3d", "tracks"} and dataset.classes == kitti.CLASSES
    assert [(one.video, one.frame, one.time) for one in records] == [
        ("0003", frame, pytest.approx(frame / 10)) for frame in range(5)
    ]
    first, later = records[0], records[3]
    assert first.rows["track_ids"].tolist() == [7, 2, -1]
    assert first.ignored.tolist() == [False, True, True]
    np.testing.assert_allclose(first.rows["locations"][0], [1, 2, 11])
    np.testing.assert_allclose(first.rows["camera"][0], [700, 0, 32, 45])
    assert later.rows["track_ids"].tolist() == [7] and later.rows["truncated"].tolist() == [0.5]
    assert sum(len(one.boxes) for one in records) == 4


@pytest.mark.parametrize(("half", "frames"), [("first", [0, 1]), ("second", [2, 3, 4]), (None, [0, 1, 2, 3, 4])])
def test_halves(tmp_path, half, frames):
    assert [item.frame for item in read(make(tmp_path, label(0, 7)), half=half).items] == frames


def test_videos_by_name(tmp_path):
    for name in ("0000", "0001", "0002"):
        make(tmp_path, label(1, 5), 2, name)
    data = read(tmp_path / "training", ["0002", "0000"])
    items = list(data.items)
    assert [item.key for item in data.items] == [item.key for item in items]  # which can be read twice
    assert [(item.video, item.frame) for item in items] == [("0000", 0), ("0000", 1), ("0002", 0), ("0002", 1)]
    assert len({item.image_id for item in items}) == 4
    with pytest.raises(UsageError, match=r"no video 0009. There are: 0000, 0001, 0002"):
        read(tmp_path, ["0009"])


def test_an_identity_twice_breaks_its_frame(tmp_path):
    items = list(read(make(tmp_path, label(0, 7) + label(0, 7, left=9) + label(1, 7) + NOBODY + NOBODY)).items)
    assert items[0].broken.detail == "0003: identity 7 stands twice in frame 0" and items[1].broken is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (label(5, 1), "line 1 has frame 5, identity 1 and 15 further columns; expected frames 0 to 4"),
        (label(-1, 1), "has frame -1"),
        (label(1, -2), "identity -2"),
        ("a" + label(1, 1), "line 1 begins with 'a1 1'; expected frame and identity"),
        ("3\n", "line 1 begins with '3'; expected"),
        ("3 4\n", "0 further columns"),
        ("\n" + label(0, 1).rsplit(" ", 1)[0] + "\n", "line 2 has 14 columns"),
        (label(0, 1).replace("1.60", "x"), "holds text in place of a number"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, said):
    with pytest.raises(DataError, match=said):
        list(read(make(tmp_path, labels)).items)


def test_what_is_missing(tmp_path):
    root = make(tmp_path, label(0, 1)) / "training"
    with pytest.raises(UsageError, match="half 'third': expected first, second"):
        read(root, half="third")
    (root / "image_02" / "0003" / "000002.png").unlink()
    with pytest.raises(DataError, match=r"frame 2 is missing; the next file is 000003.png"):
        list(read(root).items)
    (root / "calib" / "0003.txt").unlink()
    with pytest.raises((DataError, UsageError)):
        list(read(root).items)
    (root / "label_02" / "0003.txt").unlink()
    with pytest.raises(UsageError, match="holds no labels of videos"):
        read(root)
    (root / "label_02").rmdir()
    with pytest.raises(UsageError, match="no folder label_02"):
        read(root)
