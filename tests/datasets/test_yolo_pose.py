"""Pose labels of YOLO: the skeleton that a data.yaml means, and keypoints behind boxes."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.writer import write_records
from centernet_tf.datasets.yolo import read
from centernet_tf.datasets.yolo_pose import read_pose
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton

PATH = Path("data.yaml")
COCO_FLIPS = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
BOX = "0 0.5 0.5 0.5 0.5"


def make(folder, rows, **changes):
    """One image of 64 x 48 pixels with its labels, and their data.yaml."""
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(folder / "images" / "train" / "a.jpg")
    (folder / "labels" / "train" / "a.txt").write_text("\n".join(rows))
    content = {"train": "images/train", "names": ["cat", "dog"], "kpt_shape": [3, 3], **changes}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


def write(folder, split, **options):
    write_records(
        split.items,
        directory=folder / "out",
        name="pets",
        split="train",
        classes=split.classes,
        properties=split.properties,
        **options,
    )
    return list(iterate(open_dataset(folder / "out")))


def skeleton_of(**content):
    return read_pose({"kpt_shape": [3, 3], **content}, None, PATH).skeleton


def test_rows_become_keypoints_in_pixels(tmp_path):
    split = read(make(tmp_path, [f"{BOX} 0.5 0.25 2 0.75 0.5 1 0 0 0", "1 0.5 0.5 1 1", f"{BOX} " + "0 0 0 " * 3]))
    (record,) = write(tmp_path, split)
    assert record.rows["keypoint_labels"].tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(record.rows["keypoints"][0], [(32, 12), (48, 24), (0, 0)], atol=1e-4)
    np.testing.assert_allclose(record.boxes[0], (16, 12, 48, 36), atol=1e-4)


def test_keypoints_without_labels(tmp_path):
    """Below 0 they are unlabelled, at the corner too, in which tools leave what they do not know."""
    split = read(make(tmp_path, [f"{BOX} 0.5 0.25 -1 -1 0 0"], kpt_shape=[3, 2]))
    (record,) = write(tmp_path, split)
    assert record.rows["keypoint_labels"].tolist() == [[2, 0, 0]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.tuples(*[st.floats(0.01, 1)] * 2, st.sampled_from([0, 1, 2])), min_size=3, max_size=3)),
    st.sampled_from([2, 3]),
)
def test_what_is_written_is_read(tmp_path_factory, objects, numbers):
    columns = [" ".join(repr(value) for point in one for value in point[:numbers]) for one in objects]
    path = make(tmp_path_factory.mktemp("pose"), [f"{BOX} {text}" for text in columns], kpt_shape=[3, numbers])
    (item,) = read(path).items
    labels = np.array([[point[2] if numbers == 3 else 2 for point in one] for one in objects]).reshape(-1, 3)
    places = np.array([[point[:2] for point in one] for one in objects]).reshape(-1, 3, 2)
    assert (item.rows["keypoint_labels"] == labels).all()
    assert (item.rows["keypoints"] == np.where(labels[..., None] > 0, places, 0)).all()


@pytest.mark.parametrize(
    ("content", "names", "pairs"),
    [
        ({}, ("keypoint_1", "keypoint_2", "keypoint_3"), ()),
        ({"flip_idx": []}, ("keypoint_1", "keypoint_2", "keypoint_3"), ()),
        ({"flip_idx": [0, 2, 1]}, ("keypoint_1", "keypoint_2", "keypoint_3"), ((1, 2),)),
        ({"flip_idx": [0, 1, 2]}, ("keypoint_1", "keypoint_2", "keypoint_3"), ()),
        ({"kpt_names": ["nose", "left_eye", "right_eye"]}, ("nose", "left_eye", "right_eye"), ((1, 2),)),
        ({"kpt_names": {0: ["left", "a", "right"]}, "flip_idx": [0, 2, 1]}, ("left", "a", "right"), ((1, 2),)),
        ({"kpt_names": [["a", "b", "c"]] * 2}, ("a", "b", "c"), ()),
    ],
)
def test_skeletons_are_told_by_the_file(content, names, pairs):
    skeleton = skeleton_of(**content)
    assert (skeleton.keypoints, skeleton.flip_pairs) == (names, pairs)


@pytest.mark.parametrize(
    ("content", "coco"),
    [
        ({"flip_idx": COCO_FLIPS}, True),
        ({"flip_idx": COCO_FLIPS, "kpt_names": {0: list(COCO_PERSON.keypoints)}}, True),
        ({"kpt_names": list(COCO_PERSON.keypoints)}, True),
        ({}, False),
        ({"flip_idx": COCO_FLIPS, "kpt_names": [f"k{number}" for number in range(17)]}, False),
        ({"flip_idx": list(range(17))}, False),
    ],
)
def test_cocos_persons_have_their_own_skeleton(content, coco):
    assert (skeleton_of(kpt_shape=[17, 3], **content) == COCO_PERSON) == coco


def test_a_given_skeleton_counts(tmp_path):
    skeleton = Skeleton.from_dict({"keypoints": ["a", "b", "c"], "flip_pairs": [["a", "c"]]})
    path = make(tmp_path, [f"{BOX} 0.5 0.25 2 0.75 0.5 1 0 0 0"], flip_idx=[0, 2, 1])
    assert read(path, skeleton=skeleton).properties[0].skeleton == skeleton
    with pytest.raises(UsageError, match=r"'kpt_shape' has 3 keypoints, the given skeleton 17"):
        read(path, skeleton=COCO_PERSON)
    with pytest.raises(UsageError, match=r"has no 'kpt_shape', so that labels have no keypoints"):
        read(make(tmp_path, [BOX], kpt_shape=None), skeleton=skeleton)


@pytest.mark.parametrize(
    ("behind", "reason", "message"),
    [
        (
            "0.1 0.1 3 0 0 0 0 0 0",
            "annotation not readable",
            "line 2 of a.txt labels a keypoint with 3; known are 0, 1",
        ),
        ("0.1 0.1 nan 0 0 0 0 0 0", "annotation not readable", "line 2 of a.txt labels a keypoint with nan"),
        ("32 20 2 0 0 0 0 0 0", "annotation not readable", "line 2 of a.txt has keypoints in pixels"),
        (
            "0.1 0.1 2 0 0 0 0 0",
            "annotation not readable",
            "line 2 of a.txt has 13 columns; expected 14, or 5 for a box",
        ),
        ("0.1 x 2 0 0 0 0 0 0", "annotation not readable", "line 2 of a.txt has a column that is not a number"),
        ("nan 0.1 2 0 0 0 0 0 0", "keypoint not a number", "line 2 of a.txt"),
    ],
)
def test_bad_keypoints_are_named_by_line(behind, reason, message, tmp_path):
    split = read(make(tmp_path, [BOX, f"{BOX} {behind}"]))
    with pytest.raises(DataError) as error:
        write(tmp_path, split)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    write(tmp_path, split, skip_bad=True)
    assert open_dataset(tmp_path / "out").report["boxes"]["dropped"] == {reason: 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"flip_idx": [0, 1]}, r"'flip_idx' is \[0, 1\]; expected for each of 3 keypoints the place"),
        ({"flip_idx": [1, 2, 0]}, "'flip_idx' is"),
        ({"flip_idx": [0, 1, 3]}, "'flip_idx' is"),
        ({"flip_idx": "0 2 1"}, "'flip_idx' is"),
        ({"flip_idx": [0, True, 2]}, "'flip_idx' is"),
        ({"kpt_names": ["a", "b"]}, "'kpt_names' has 2 different names, 'kpt_shape' 3 keypoints"),
        ({"kpt_names": ["a", "b", "b"]}, "'kpt_names' has 2 different names"),
        ({"kpt_names": [[], []]}, "'kpt_names' has 0 different names"),
        ({"kpt_names": {0: ["a", "b", "c"], 1: ["a", "b", "d"]}}, "'kpt_names' is .*--skeleton FILE"),
        ({"kpt_names": "a b c"}, "'kpt_names' is 'a b c'"),
        ({"kpt_names": ["a", "b", 3]}, "'kpt_names' is"),
        ({"kpt_names": {0: "a"}}, "'kpt_names' has 1 different names"),
    ],
)
def test_wrong_skeletons_are_told(content, message):
    with pytest.raises(DataError, match=f"data.yaml: {message}"):
        skeleton_of(**content)


def test_the_command_tells_what_it_took(tmp_path):
    path = make(tmp_path, [f"{BOX} 0.5 0.25 2 0.75 0.5 1 0 0 0"], flip_idx=[0, 2, 1])
    result = CliRunner().invoke(app, ["yolo", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "3 keypoints: keypoint_1, keypoint_2, keypoint_3" in told
    assert "Swapped when flipped: keypoint_2 - keypoint_3" in told
    (tmp_path / "skeleton.yaml").write_text("keypoints: [nose, left, right]\n")
    call = ["yolo", str(path), "--skeleton", str(tmp_path / "skeleton.yaml"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, call).exit_code == 0
    assert open_dataset(tmp_path / "out").property("keypoints").skeleton.keypoints == ("nose", "left", "right")
