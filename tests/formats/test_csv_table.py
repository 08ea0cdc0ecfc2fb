"""The table has a line for each object, and the columns that the model's properties add."""

import csv

import pytest

from centernet_tf.errors import UsageError
from centernet_tf.formats.csv_table import COLUMNS, CsvTable
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.tracks import Tracks
from centernet_tf.results import Detections


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_images_and_frames(write, source, tmp_path):
    path = tmp_path / "new" / "t.csv"
    write(CsvTable(path), (source("in/a,b.png"), None), (source("clip.mp4"), (3, 0.12)))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == '"in/a,b.png",,,1,person,0.9123,1.0,2.0,4.0,5.0'
    assert lines[4:6] == [
        "clip.mp4,3,0.12,1,person,0.9123,1.0,2.0,4.0,5.0",
        "clip.mp4,3,0.12,2,hot/dog,0.5,5.5,-3.0,11.0,3.0",
    ]
    assert len(lines) == 7


def test_properties_add_columns(write, source, tmp_path):
    skeleton = Skeleton(keypoints=("nose", "tail"), flip_pairs=(), limbs=())
    fields = {"keypoints": [[[1, 2], [3, 4]]] * 2, "keypoint_scores": [[0.5, 0.25], [0, 0]], "track_ids": [7, -1]}
    box3d = {"alphas": [0.5] * 2, "rotations": [1] * 2, "dimensions": [[1, 2, 3]] * 2, "locations": [[4, 5, 6]] * 2}
    properties = (Keypoints(skeleton=skeleton), Tracks(), Boxes3d())
    found = Detections([[0, 0, 2, 2]] * 2, [0.5] * 2, [0, 0], ("cat",), (8, 6), fields | box3d, properties)
    write(CsvTable(tmp_path / "t.csv"), (source("a.png"), None), properties=properties, found=found)
    first, second = read(tmp_path / "t.csv")
    names = ("nose_x", "nose_y", "nose_visibility", "tail_x", "tail_score", "track_id", "height", "location_z", "alpha")
    assert [first[name] for name in names] == ["1.0", "2.0", "1", "3.0", "0.25", "7", "1.0", "6.0", "0.5"]
    assert (second["nose_x"], second["track_id"], second["rotation_y"]) == ("", "", "1.0")


def test_only_such_tables_are_replaced(write, source, tmp_path):
    for _ in range(2):
        write(CsvTable(tmp_path / "t.csv"), (source("a.png"), None))
    (tmp_path / "labels.csv").write_text("file,label\n")
    with pytest.raises(UsageError, match=r"labels\.csv: holds another table\. Give another file to --csv"):
        CsvTable(tmp_path / "labels.csv").check([])
    with pytest.raises(UsageError, match=r"this is a folder\. Give a file to --csv"):
        CsvTable(tmp_path).check([])
