"""Joints are counted; what does not fit the skeleton is found."""

import numpy as np
import pytest

from centernet_tf.data.records import Dataset, Shard, iterate, open_dataset, save_dataset, sha256_of
from centernet_tf.datasets import figures
from centernet_tf.datasets.writer import write_records
from centernet_tf.inspect import inspect_records, inspect_splits
from centernet_tf.inspect.findings import Notebook
from centernet_tf.inspect.joints import JointSurvey
from centernet_tf.skeleton import Skeleton

FACE = Skeleton(joints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
GOOD = [[0.5, 0.25, 2], [1.5, 0.5, 1], [np.nan, np.nan, 0]]


def survey(joints, count=1, skeleton=FACE):
    notebook = Notebook()
    book = JointSurvey(skeleton, notebook)
    pixels = book.add("a.png", joints if joints is None else np.array(joints, float), count, 100, 40)
    book.close()
    return pixels, book.counts, {finding.code: finding for finding in notebook.findings()}


def test_joints_are_counted_and_brought_to_pixels():
    pixels, counts, found = survey([GOOD])
    np.testing.assert_array_equal(pixels, [[[50, 10, 2], [150, 20, 1], [0, 0, 0]]])
    assert counts["nose"] == {"visible": 1, "hidden": 0, "outside": 0}
    assert counts["left_eye"] == {"visible": 0, "hidden": 1, "outside": 1}
    assert set(found) == {"outside_joint", "unused_joint"} and found["unused_joint"].examples == ["right_eye"]


@pytest.mark.parametrize(
    ("joints", "text"),
    [
        (None, "lists of different length, the skeleton has 3"),
        (np.zeros((1, 2, 3)), "2 joints an object, the skeleton has 3"),
        ([[[np.nan, 0, 2], *GOOD[1:]]], "nose of object 1 is [nan, 0.0, 2.0]"),
        ([[GOOD[0], [0, 0, 5], GOOD[2]]], "left_eye of object 1 is [0.0, 0.0, 5.0]"),
    ],
)
def test_what_does_not_fit_is_an_error(joints, text):
    pixels, _, found = survey(joints)
    assert pixels.shape == (1, 3, 3) and np.isfinite(pixels).all()
    assert text in found["bad_joints"].examples[0] and found["bad_joints"].severity == "error"


def test_records_without_joints_or_objects_are_fine():
    assert survey(np.zeros((0, 0, 3)), 0)[0].shape == (0, 3, 3)
    assert survey(np.zeros((2, 0, 3)), 2)[0].shape == (2, 3, 3)
    pixels, counts, found = survey(np.zeros((1, 0, 3)), skeleton=None)
    assert pixels.shape == (1, 0, 3) and not counts and not found


def test_sides_without_a_pair_are_told():
    _, _, found = survey([GOOD], skeleton=Skeleton(joints=FACE.joints))
    assert found["no_pair"].examples == ["left_eye and right_eye"]


def test_records_are_inspected_with_their_joints(tmp_path):
    classes, items, skeleton = figures.read(4, (96, 96))
    write_records(items, directory=tmp_path, name="a", split="train", classes=classes, skeleton=skeleton)
    report = inspect_records(tmp_path, size=(96, 96))
    labels = np.concatenate([record.joints[..., 2] for record in iterate(open_dataset(tmp_path))])
    assert sum(counts["visible"] for counts in report.joints.values()) == (labels == 2).sum()
    assert sum(counts["hidden"] for counts in report.joints.values()) == (labels == 1).sum()
    assert report.sound and report.to_dict()["skeleton"]["joints"] == list(skeleton.joints)
    assert report.sheet() is not None


@pytest.mark.parametrize(
    ("skeleton", "difference"),
    [
        (FACE, None),
        (FACE.model_copy(update={"limbs": ((0, 1),), "sigmas": (0.1, 0.1, 0.1)}), "other limbs, sigmas"),
        (Skeleton(joints=("nose", "right_eye", "left_eye"), flip_pairs=((2, 1),)), "other joints"),
        (None, None),
    ],
)
def test_sets_of_another_skeleton_are_told(skeleton, difference, tmp_path):
    for name, one in (("train", FACE), ("val", skeleton)):
        shard = tmp_path / name / f"{name}-00000-of-00001.tfrecord"
        shard.parent.mkdir()
        shard.touch()
        files = (Shard(shard, 0, 0, sha256_of(shard)),)
        save_dataset(Dataset(shard.parent, "a", name, ("cat",), 0, 0, {}, files, skeleton=one))
    first, second = inspect_splits([tmp_path / "train", tmp_path / "val"])
    assert "other_skeleton" not in [finding.code for finding in first.findings]
    told = [finding for finding in second.findings if finding.code == "other_skeleton"]
    assert second.sound == (not told)
    examples = [f"{tmp_path / 'val'} and {tmp_path / 'train'}: {difference}"] if difference else []
    assert [example for finding in told for example in finding.examples] == examples
