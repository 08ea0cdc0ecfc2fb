"""COCO keypoints: from JSON to keypoints of one skeleton, for people, for animals, and for files that do not fit."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.coco import assumptions, read
from centernet_tf.datasets.items import usable_objects
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, DEFAULT_SIGMA, Skeleton

DOG = {"id": 2, "name": "dog", "keypoints": ["nose", "eye_l", "eye_r"], "skeleton": [[1, 2], [1, 3]]}
CAT = {"id": 3, "name": "cat", "keypoints": ["eye_r", "nose"], "skeleton": []}
BALL = {"id": 4, "name": "ball"}
FACE = Skeleton(keypoints=("tail", "nose", "eye_l", "eye_r"), flip_pairs=((2, 3),))
POINTS = [5, 6, 2, 70, 8, 1, 0, 0, 0]


def skeleton_of(properties):
    (one,) = properties
    return one.skeleton


def annotation(number=1, category_id=1, **fields):
    return {"id": number, "image_id": 5, "category_id": category_id, "bbox": [1, 2, 10, 20], **fields}


def make(folder, annotations=(), categories=()):
    """Writes the JSON and its one image of 64 x 48 pixels; gives the arguments of `read`."""
    Image.new("RGB", (64, 48)).save(folder / "a.png")
    images = [{"id": 5, "file_name": "a.png", "width": 64, "height": 48}]
    content = {"images": images, "annotations": list(annotations), "categories": list(categories)}
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "instances.json", folder


def test_keypoints_and_their_skeleton_come_from_the_json(tmp_path):
    rows = [annotation(1, category_id=2, keypoints=POINTS), annotation(2, category_id=4), annotation(3, category_id=2)]
    classes, items, properties = read(*make(tmp_path, rows, categories=[DOG, BALL]))
    skeleton = skeleton_of(properties)
    assert skeleton.keypoints == ("nose", "eye_l", "eye_r") and skeleton.sigmas == (DEFAULT_SIGMA,) * 3
    assert skeleton.flip_pairs == ((1, 2),) and skeleton.limbs == ((0, 1), (0, 2))
    assert assumptions(properties)[1] == "Swapped when flipped: eye_l - eye_r"
    report = write_records(
        items, directory=tmp_path / "out", name="a", split="train", classes=classes, properties=properties
    )
    counts = {"objects": 1, "visible": 1, "hidden": 1, "unlabelled": 7, "outside": 1}
    assert report.properties == {"keypoints": counts}
    (record,) = iterate(open_dataset(tmp_path / "out"))
    np.testing.assert_allclose(record.rows["keypoints"][0], np.reshape(POINTS, (3, 3))[:, :2], rtol=1e-6)
    np.testing.assert_array_equal(record.rows["keypoint_labels"], [[2, 1, 0], [0, 0, 0], [0, 0, 0]])


def test_instances_have_no_skeleton(tmp_path):
    _, (item,), properties = read(*make(tmp_path, [annotation(category_id=4)], categories=[BALL]))
    assert properties == () and item.rows == {} and assumptions(properties) == []
    _, _, properties = read(*make(tmp_path, [annotation(category_id=4)], categories=[DOG, BALL]), classes=["ball"])
    assert properties == ()


def test_people_have_the_skeleton_of_coco(tmp_path):
    person = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.keypoints)}
    assert skeleton_of(read(*make(tmp_path, categories=[person])).properties) == COCO_PERSON


def test_a_given_skeleton_is_filled_by_name(tmp_path):
    rows = [
        annotation(1, category_id=2, keypoints=POINTS),
        annotation(2, category_id=3, keypoints=[1, 2, 2, 3, 4, 2]),
        annotation(3, category_id=4, keypoints=[1, 1, 2] * 4),
    ]
    _, (item,), properties = read(*make(tmp_path, rows, categories=[DOG, CAT, BALL]), skeleton=FACE)
    assert skeleton_of(properties) == FACE
    np.testing.assert_array_equal(item.rows["keypoints"][0], [(0, 0), (5, 6), (70, 8), (0, 0)])
    np.testing.assert_array_equal(item.rows["keypoints"][1], [(0, 0), (3, 4), (0, 0), (1, 2)])
    np.testing.assert_array_equal(item.rows["keypoints"][2], [(1, 1)] * 4)
    np.testing.assert_array_equal(item.rows["keypoint_labels"], [[0, 2, 1, 0], [0, 2, 0, 2], [2] * 4])


def test_keypoints_of_a_second_file_join_the_boxes_of_the_first(tmp_path):
    rows = [annotation(1, category_id=2), annotation(2, category_id=4)]
    paths = make(tmp_path, rows, categories=[{"id": 2, "name": "dog"}, BALL])
    second = {"images": [], "annotations": [annotation(1, category_id=2, keypoints=POINTS)], "categories": [DOG]}
    (tmp_path / "keypoints.json").write_text(json.dumps(second))
    classes, (item,), properties = read(*paths, keypoints=tmp_path / "keypoints.json")
    assert classes == ("dog", "ball") and skeleton_of(properties).keypoints == ("nose", "eye_l", "eye_r")
    np.testing.assert_array_equal(item.rows["keypoints"], [np.reshape(POINTS, (3, 3))[:, :2], np.zeros((3, 2))])
    second["annotations"][0]["id"] = 9
    (tmp_path / "keypoints.json").write_text(json.dumps(second))
    with pytest.raises(UsageError, match=r"keypoints\.json: none of its annotations with keypoints has the id"):
        read(*paths, keypoints=tmp_path / "keypoints.json")


@pytest.mark.parametrize(
    ("keypoints", "detail"),
    [
        (POINTS[:-1], "annotation 9 has 8 numbers of keypoints; expected x, y and label of 3 keypoints"),
        ("5 6 2", "annotation 9 has keypoints '5 6 2'; expected a list of numbers"),
        ([*POINTS[:-1], None], "expected a list of numbers"),
        ([*POINTS[:-1], 7], "annotation 9 labels a keypoint with 7; known are 0"),
        ([*POINTS[:-1], 1.5], "annotation 9 labels a keypoint with 1.5"),
        ([*POINTS[:-1], float("nan")], "annotation 9 labels a keypoint with nan"),
        ([float("nan"), *POINTS[1:]], "annotation 9 has its keypoint 1 at x nan"),
    ],
)
def test_broken_keypoints_are_named(keypoints, detail, tmp_path):
    rows = [annotation(1, category_id=2), annotation(9, category_id=2, keypoints=keypoints)]
    classes, items, properties = read(*make(tmp_path, rows, categories=[DOG]))
    options = {"directory": tmp_path / "out", "name": "a", "split": "train", "classes": classes}
    options["properties"] = properties
    with pytest.raises(DataError) as error:
        write_records(items, **options)
    assert detail in str(error.value)
    assert write_records(items, skip_bad=True, **options).boxes_written == 1


@pytest.mark.parametrize(
    ("categories", "skeleton", "error", "words"),
    [
        ([DOG, CAT], None, UsageError, "'dog' and 'cat' list different keypoints. Give a skeleton"),
        ([{**DOG, "keypoints": "nose"}], None, DataError, "has keypoints 'nose'; expected different names"),
        ([{**DOG, "keypoints": ["a", "a"]}], None, DataError, "expected different names"),
        ([{**DOG, "keypoints": ["a", " "]}], None, DataError, "expected different names"),
        ([{**DOG, "skeleton": [[0, 1]]}], None, DataError, "pairs of keypoints numbered 1 to 3"),
        ([{**DOG, "skeleton": [1, 2]}], None, DataError, "pairs of keypoints numbered 1 to 3"),
        ([{**DOG, "keypoints": ["noes"]}], FACE, UsageError, "its keypoint 'noes' is not in the given.*mean 'nose'"),
    ],
)
def test_categories_that_do_not_fit_are_refused(categories, skeleton, error, words, tmp_path):
    with pytest.raises(error, match=rf"instances\.json: .*{words}"):
        read(*make(tmp_path, categories=categories), skeleton=skeleton)


@pytest.mark.parametrize("names", [{}, {"keypoints": []}], ids=["no list", "an empty list"])
def test_keypoints_that_nothing_names_are_told(names, tmp_path):
    rows = [annotation(number, 2, keypoints=POINTS) for number in (1, 2)]
    parts = make(tmp_path, rows, [{"id": 2, "name": "dog", **names}, BALL])
    with pytest.warns(UserWarning, match=r"left out \(2 of dog\): their category names no keypoints"):
        assert read(*parts).properties == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(*parts, classes=["ball"]).properties == ()
        _, (item,), _ = read(*parts, skeleton=Skeleton(keypoints=("nose", "eye_l", "eye_r")))
    assert item.rows["keypoints"].any()


def test_categories_whose_name_is_a_number_have_keypoints(tmp_path):
    _, (item,), properties = read(*make(tmp_path, [annotation(1, 2, keypoints=POINTS)], [{**DOG, "name": 1}]))
    assert skeleton_of(properties).keypoints == ("nose", "eye_l", "eye_r") and item.rows["keypoints"].any()


def test_a_category_that_is_no_number_is_a_fault_of_its_annotation(tmp_path):
    _, (item,), _ = read(*make(tmp_path, [annotation(9, [2], keypoints=POINTS)], [DOG]))
    assert [fault.reason for fault in item.faults] == ["unknown class"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1e18, "keypoint far outside the image"),
        (-800.0, "keypoint far outside the image"),
        (1e308, "keypoint not a number"),
        (float("inf"), "keypoint not a number"),
        (10**400, "keypoints not readable"),
    ],
)
def test_keypoints_at_impossible_places_are_faults(value, reason, tmp_path):
    points = [*POINTS]
    points[3] = value
    rows = [annotation(1, category_id=2, keypoints=points), annotation(2, category_id=2, keypoints=POINTS)]
    classes, items, properties = read(*make(tmp_path, rows, categories=[DOG]))
    options = {"directory": tmp_path / "out", "name": "a", "split": "train", "classes": classes}
    with pytest.raises(DataError, match="annotation 1 has"):
        write_records(items, properties=properties, **options)
    report = write_records(items, properties=properties, skip_bad=True, **options)
    assert (report.boxes_written, dict(report.boxes_dropped)) == (1, {reason: 1})


def test_keypoints_outside_the_image_are_kept(tmp_path):
    points = [-600, 6, 2, 70, 500, 1, 0, 0, 0]  # up to ten times the longer side
    rows = [annotation(1, category_id=2, keypoints=points)]
    classes, (item,), properties = read(*make(tmp_path, rows, categories=[DOG]))
    assert usable_objects(item, 64, 48, classes, properties).faults == ()


@pytest.mark.parametrize("limbs", [[[1, float("inf")]], [[1, 10**30]], {"a": 1}, [[1, 2, 3]]])
def test_limbs_that_are_none_are_told(limbs, tmp_path):
    with pytest.raises(DataError, match="expected pairs of keypoints"):
        read(*make(tmp_path, categories=[{**DOG, "skeleton": limbs}]))
