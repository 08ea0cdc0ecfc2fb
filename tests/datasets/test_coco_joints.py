"""COCO keypoints: from JSON to joints of one skeleton, for people, for animals, and for files that do not fit."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.records import iterate, open_dataset
from centernet_tf.datasets.coco import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.skeleton import COCO_PERSON, DEFAULT_SIGMA, Skeleton

DOG = {"id": 2, "name": "dog", "keypoints": ["nose", "eye_l", "eye_r"], "skeleton": [[1, 2], [1, 3]]}
CAT = {"id": 3, "name": "cat", "keypoints": ["eye_r", "nose"], "skeleton": []}
BALL = {"id": 4, "name": "ball"}
FACE = Skeleton(joints=("tail", "nose", "eye_l", "eye_r"), flip_pairs=((2, 3),))
POINTS = [5, 6, 2, 70, 8, 1, 0, 0, 0]


def annotation(number=1, category_id=1, **fields):
    return {"id": number, "image_id": 5, "category_id": category_id, "bbox": [1, 2, 10, 20], **fields}


def make(folder, annotations=(), categories=()):
    """Writes the JSON and its one image of 64 x 48 pixels; gives the arguments of `read`."""
    Image.new("RGB", (64, 48)).save(folder / "a.png")
    images = [{"id": 5, "file_name": "a.png", "width": 64, "height": 48}]
    content = {"images": images, "annotations": list(annotations), "categories": list(categories)}
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "instances.json", folder


def test_joints_and_their_skeleton_come_from_the_json(tmp_path):
    rows = [annotation(1, category_id=2, keypoints=POINTS), annotation(2, category_id=4), annotation(3, category_id=2)]
    classes, items, skeleton = read(*make(tmp_path, rows, categories=[DOG, BALL]))
    assert skeleton.joints == ("nose", "eye_l", "eye_r") and skeleton.sigmas == (DEFAULT_SIGMA,) * 3
    assert skeleton.flip_pairs == ((1, 2),) and skeleton.limbs == ((0, 1), (0, 2))
    report = write_records(
        items, directory=tmp_path / "out", name="a", split="train", classes=classes, skeleton=skeleton
    )
    assert report.joints == {"objects": 1, "visible": 1, "hidden": 1, "unlabelled": 7, "outside": 1}
    (record,) = iterate(open_dataset(tmp_path / "out"))
    np.testing.assert_allclose(record.joints[0], np.reshape(POINTS, (3, 3)), rtol=1e-6)
    assert not record.joints[1:].any()


def test_instances_have_no_skeleton(tmp_path):
    _, (item,), skeleton = read(*make(tmp_path, [annotation(category_id=4)], categories=[BALL]))
    assert skeleton is None and item.joints is None
    _, _, skeleton = read(*make(tmp_path, [annotation(category_id=4)], categories=[DOG, BALL]), classes=["ball"])
    assert skeleton is None


def test_people_have_the_skeleton_of_coco(tmp_path):
    person = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.joints)}
    assert read(*make(tmp_path, categories=[person]))[2] is COCO_PERSON


def test_a_given_skeleton_is_filled_by_name(tmp_path):
    rows = [
        annotation(1, category_id=2, keypoints=POINTS),
        annotation(2, category_id=3, keypoints=[1, 2, 2, 3, 4, 2]),
        annotation(3, category_id=4, keypoints=[1, 1, 2] * 4),
    ]
    _, (item,), skeleton = read(*make(tmp_path, rows, categories=[DOG, CAT, BALL]), skeleton=FACE)
    assert skeleton is FACE
    np.testing.assert_array_equal(item.joints[0], [(0, 0, 0), (5, 6, 2), (70, 8, 1), (0, 0, 0)])
    np.testing.assert_array_equal(item.joints[1], [(0, 0, 0), (3, 4, 2), (0, 0, 0), (1, 2, 2)])
    np.testing.assert_array_equal(item.joints[2], [(1, 1, 2)] * 4)


def test_joints_of_a_second_file_join_the_boxes_of_the_first(tmp_path):
    rows = [annotation(1, category_id=2), annotation(2, category_id=4)]
    paths = make(tmp_path, rows, categories=[{"id": 2, "name": "dog"}, BALL])
    second = {"images": [], "annotations": [annotation(1, category_id=2, keypoints=POINTS)], "categories": [DOG]}
    (tmp_path / "keypoints.json").write_text(json.dumps(second))
    classes, (item,), skeleton = read(*paths, keypoints=tmp_path / "keypoints.json")
    assert classes == ("dog", "ball") and skeleton.joints == ("nose", "eye_l", "eye_r")
    np.testing.assert_array_equal(item.joints, [np.reshape(POINTS, (3, 3)), np.zeros((3, 3))])
    second["annotations"][0]["id"] = 9
    (tmp_path / "keypoints.json").write_text(json.dumps(second))
    with pytest.raises(UsageError, match=r"keypoints\.json: none of its annotations with keypoints has the id"):
        read(*paths, keypoints=tmp_path / "keypoints.json")


@pytest.mark.parametrize(
    ("keypoints", "detail"),
    [
        (POINTS[:-1], "annotation 9 has 8 numbers of keypoints; expected x, y and label of 3 joints"),
        ("5 6 2", "annotation 9 has keypoints '5 6 2'; expected a list of numbers"),
        ([*POINTS[:-1], None], "expected a list of numbers"),
        ([*POINTS[:-1], 7], "annotation 9 labels joint 3 with 7"),
        ([float("nan"), *POINTS[1:]], "annotation 9 has its joint 1 at x nan"),
    ],
)
def test_broken_joints_are_named(keypoints, detail, tmp_path):
    rows = [annotation(1, category_id=2), annotation(9, category_id=2, keypoints=keypoints)]
    classes, items, skeleton = read(*make(tmp_path, rows, categories=[DOG]))
    options = {"directory": tmp_path / "out", "name": "a", "split": "train", "classes": classes, "skeleton": skeleton}
    with pytest.raises(DataError) as error:
        write_records(items, **options)
    assert detail in str(error.value)
    assert write_records(items, skip_bad=True, **options).boxes_written == 1


@pytest.mark.parametrize(
    ("categories", "skeleton", "error", "words"),
    [
        ([DOG, CAT], None, UsageError, "'dog' and 'cat' list different joints. Give a skeleton"),
        ([{**DOG, "keypoints": "nose"}], None, DataError, "has keypoints 'nose'; expected different names"),
        ([{**DOG, "keypoints": ["a", "a"]}], None, DataError, "expected different names"),
        ([{**DOG, "keypoints": ["a", " "]}], None, DataError, "expected different names"),
        ([{**DOG, "skeleton": [[0, 1]]}], None, DataError, "pairs of joints, numbered 1 to 3"),
        ([{**DOG, "skeleton": [1, 2]}], None, DataError, "pairs of joints, numbered 1 to 3"),
        ([{**DOG, "keypoints": ["noes"]}], FACE, UsageError, "its joint 'noes' is not in the given.*mean 'nose'"),
    ],
)
def test_categories_that_do_not_fit_are_refused(categories, skeleton, error, words, tmp_path):
    with pytest.raises(error, match=rf"instances\.json: .*{words}"):
        read(*make(tmp_path, categories=categories), skeleton=skeleton)


@pytest.mark.parametrize("names", [{}, {"keypoints": []}], ids=["no list", "an empty list"])
def test_keypoints_that_nothing_names_are_told(names, tmp_path):
    rows = [annotation(number, 2, keypoints=POINTS) for number in (1, 2)]
    parts = make(tmp_path, rows, [{"id": 2, "name": "dog", **names}, BALL])
    with pytest.warns(UserWarning, match=r"left out \(2 of dog\), for their category names no joints"):
        assert read(*parts)[2] is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(*parts, classes=["ball"])[2] is None
        _, (item,), _ = read(*parts, skeleton=Skeleton(joints=("nose", "eye_l", "eye_r")))
    assert item.joints.any()


def test_categories_whose_name_is_a_number_have_joints(tmp_path):
    _, (item,), skeleton = read(*make(tmp_path, [annotation(1, 2, keypoints=POINTS)], [{**DOG, "name": 1}]))
    assert skeleton.joints == ("nose", "eye_l", "eye_r") and item.joints.any()


def test_a_category_that_is_no_number_is_a_fault_of_its_annotation(tmp_path):
    _, (item,), _ = read(*make(tmp_path, [annotation(9, [2], keypoints=POINTS)], [DOG]))
    assert [fault.reason for fault in item.faults] == ["unknown class"]
