"""Keypoints are counted; what does not fit the skeleton is found."""

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.data.dataset import Dataset, Shard, iterate, open_dataset, save_dataset, sha256_of
from centernet_tf.datasets.drawn import figures
from centernet_tf.datasets.writer import write_records
from centernet_tf.inspect import inspect_records, inspect_splits
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.notebook import Notebook

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
GOOD = [[50, 10, 2], [150, 20, 1], [0, 0, 0]]


def survey(*objects, skeleton=FACE):
    """Looks at an image of 100x40 with these objects, [J, 3] x, y, label each; also {code: finding}."""
    values = np.array(objects, float).reshape(-1, len(skeleton.keypoints), 3)
    rows = {"keypoints": values[..., :2].astype(np.float32), "keypoint_labels": values[..., 2].astype(np.int32)}
    notebook = Notebook(Keypoints.checks)
    book = Keypoints(skeleton=skeleton).survey(notebook)
    book.add("a.png", {"boxes": np.zeros((len(values), 4)), **rows}, (100, 40))
    book.close()
    return book, {finding.code: finding for finding in notebook.findings()}


def test_keypoints_are_counted():
    book, found = survey(GOOD)
    labelled = book.as_dict()["labelled"]
    assert labelled["nose"] == {"visible": 1, "hidden": 0, "outside": 0}
    assert labelled["left_eye"] == {"visible": 0, "hidden": 1, "outside": 1}
    assert set(found) == {"outside_keypoint", "unused_keypoint"} and found["unused_keypoint"].examples == ["right_eye"]
    assert book.as_dict()["skeleton"] == FACE.as_dict()


def test_the_table_names_each_keypoint():
    console = Console(width=80)
    with console.capture() as told:
        console.print(*survey(GOOD)[0].tables())
    assert [line.split() for line in told.get().splitlines()][2] == ["left_eye", "0", "1", "1"]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ([[np.nan, 0, 2], *GOOD[1:]], "nose of object 2 is [nan, 0.0, 2]"),
        ([GOOD[0], [0, 0, 5], GOOD[2]], "left_eye of object 2 is [0.0, 0.0, 5]"),
    ],
)
def test_what_is_no_keypoint_is_an_error_and_not_counted(bad, text):
    book, found = survey(GOOD, bad, bad)
    assert text in found["bad_keypoints"].examples[0] and found["bad_keypoints"].severity == "error"
    assert found["bad_keypoints"].count == 2
    counts = [sum(one[label] for label in ("visible", "hidden")) for one in book.as_dict()["labelled"].values()]
    assert sorted(counts) == [0, 1, 3]


def test_images_without_objects_are_fine():
    assert set(survey()[1]) == {"unused_keypoint"}


def test_sides_without_a_pair_are_told():
    _, found = survey(GOOD, skeleton=Skeleton(keypoints=FACE.keypoints))
    assert found["no_pair"].examples == ["left_eye and right_eye"]


def test_records_are_inspected_with_their_keypoints(tmp_path):
    classes, items, properties = figures.read(4, (96, 96))
    write_records(items, directory=tmp_path, name="a", split="train", classes=classes, properties=properties)
    report = inspect_records(tmp_path, size=(96, 96))
    labels = np.concatenate([record.rows["keypoint_labels"] for record in iterate(open_dataset(tmp_path))])
    labelled = report.properties["keypoints"]["labelled"].values()
    assert sum(counts["visible"] for counts in labelled) == (labels == 2).sum() > 0
    assert sum(counts["hidden"] for counts in labelled) == (labels == 1).sum() > 0
    assert report.sound and report.sheet() is not None


@pytest.mark.parametrize(
    ("skeleton", "difference"),
    [
        (FACE, ""),
        (FACE.model_copy(update={"limbs": ((0, 1),), "sigmas": (0.1, 0.1, 0.1)}), "other limbs, sigmas"),
        (Skeleton(keypoints=("nose", "right_eye", "left_eye"), flip_pairs=((2, 1),)), "other keypoints"),
    ],
)
def test_sets_of_another_skeleton_are_told(skeleton, difference, tmp_path):
    for name, one in (("train", FACE), ("val", skeleton)):
        shard = tmp_path / name / f"{name}-00000-of-00001.tfrecord"
        shard.parent.mkdir()
        shard.touch()
        files = (Shard(shard, 0, 0, sha256_of(shard)),)
        properties = (Keypoints(skeleton=one),)
        save_dataset(Dataset(shard.parent, "a", name, ("cat",), 0, 0, {}, files, properties=properties))
    _, second = inspect_splits([tmp_path / "train", tmp_path / "val"])
    told = [finding for finding in second.findings if finding.code == "other_property"]
    examples = [f"{tmp_path / 'val'} and {tmp_path / 'train'}: keypoints: {difference}"] if difference else []
    assert [example for finding in told for example in finding.examples] == examples
