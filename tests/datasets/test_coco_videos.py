"""Videos in COCO's JSON: frames in order, identities, ignored categories, and files that are not quite that."""

import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.coco import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError


def annotation(number, image_id, category_id=1, track_id=4, **fields):
    row = {"id": number, "image_id": image_id, "category_id": category_id, "bbox": [2, 3, 10, 20], "track_id": track_id}
    return {**row, **fields}


VIDEOS = [{"id": 2, "file_name": "street"}, {"id": 1, "file_name": "hall"}]
# Frames of two videos, not in order; the first video has the higher ids.
IMAGES = [(11, 2, 2), (10, 2, 1), (7, 1, 2), (9, 1, 1)]


def make(folder, annotations=(), videos=VIDEOS, images=IMAGES):
    rows = [
        {"id": number, "file_name": f"{number}.jpg", "video_id": video, "frame_id": frame}
        for number, video, frame in images
    ]
    for row in rows:
        Image.new("RGB", (64, 48)).save(folder / row["file_name"], "JPEG")
    content = {"images": rows, "annotations": list(annotations), "categories": [{"id": 1, "name": "person"}]}
    (folder / "videos.json").write_text(json.dumps({**content, **({} if videos is None else {"videos": videos})}))
    return folder / "videos.json", folder


def test_frames_follow_one_another_in_records(tmp_path):
    rows = [annotation(1, 9), annotation(2, 7), annotation(3, 7, track_id=5), annotation(4, 10, track_id=None)]
    data = read(*make(tmp_path, rows))
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
    assert [one.name for one in dataset.properties] == ["tracks"]
    assert [(one.video, one.frame, one.image_id) for one in records] == [
        ("hall", 1, 9),
        ("hall", 2, 7),
        ("street", 1, 10),
        ("street", 2, 11),
    ]
    assert [one.rows["track_ids"].tolist() for one in records] == [[4], [4, 5], [-1], []]


@pytest.mark.parametrize("category", [0, -1])
def test_ignored_objects(tmp_path, category):
    rows = [annotation(1, 9), annotation(2, 9, category_id=category, track_id=8), annotation(3, 9, category_id=30)]
    item = read(*make(tmp_path, rows)).items[0]
    assert item.ignored == [False, True] and item.classes == [0, -1]
    assert [fault.reason for fault in item.faults] == ["unknown class"]
    np.testing.assert_array_equal(item.rows["track_ids"], [4, 8])


def test_without_videos_images_are_single(tmp_path):
    data = read(*make(tmp_path, [annotation(1, 9), annotation(2, 9, category_id=0)], videos=None))
    assert data.properties == () and {item.video for item in data.items} == {""}
    assert [len(item.faults) for item in data.items if item.image_id == 9] == [1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"videos": {"id": 1}}, "'videos' is no list"),
        ({"videos": [{"file_name": "a"}]}, "'videos' is no list"),
        ({"videos": [*VIDEOS, {"id": 3, "file_name": "hall"}]}, "two of the 3 videos have the same id or name"),
        ({"images": [(1, 9, 1)]}, "image 1 has video_id 9 and frame_id 1; expected the id of one of the videos"),
        ({"images": [(1, 1, -1)]}, "frame_id -1"),
        ({"images": [(1, 1, "2")]}, "frame_id '2'"),
        ({"images": [(1, None, 1)]}, "video_id None"),
        ({"images": [(1, 1, 3), (2, 1, 3)]}, "video hall has frame 3 more than once"),
    ],
)
def test_what_is_not_quite_that(tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        read(*make(tmp_path, **changes))


def test_a_name_that_is_half_of_a_character_can_be_stored(tmp_path):
    """JSON can hold one; UTF-8 cannot."""
    path, folder = make(tmp_path, videos=[{"id": 2, "file_name": "\ud800street"}, {"id": 1, "file_name": "hall"}])
    data = read(path, folder)
    write_records(
        data.items,
        directory=tmp_path / "records",
        name="videos",
        split="train",
        classes=data.classes,
        properties=data.properties,
    )
    videos = [record.video for record in iterate(open_dataset(tmp_path / "records"))]
    assert videos == ["hall", "hall", "\\ud800street", "\\ud800street"]
