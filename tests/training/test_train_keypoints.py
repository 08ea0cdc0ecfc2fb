"""Training on keypoints: from records to a detector that knows a skeleton, and what is refused."""

import csv
import dataclasses

import pytest

from centernet_tf.config import parse_settings
from centernet_tf.data.dataset import iterate, open_dataset, save_dataset
from centernet_tf.datasets.drawn import figures
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import load
from centernet_tf.errors import UsageError
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks.pose import Pose
from centernet_tf.training.train import train


def settings_of(records, validation=None, **changes):
    data = {"train": str(records.directory), "size": [64, 64], "shuffle": 8}
    data |= {"validation": str(validation.directory)} if validation else {}
    content = {
        "task": "pose",
        "backbone": "tiny",
        "data": data,
        "train": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3},
        "evaluate": {"every": 1, "batch_size": 4, "images": 0},
    }
    return parse_settings({**content, **changes}, "the test")


def skeleton_of(dataset):
    return dataset.property("keypoints").skeleton


def write_figures(directory, split, count, skeleton=True):
    classes, items, properties = figures.read(count, (64, 64), split=split, stage=figures.Stage(persons=(1, 2)))
    names = {"classes": classes, "properties": properties, "shards": 1}
    write_records(items, directory=directory, name="figures", split=split, **names)
    if not skeleton:
        save_dataset(dataclasses.replace(open_dataset(directory), properties=()))
    return open_dataset(directory)


@pytest.mark.long
def test_keypoints_beside_boxes(tmp_path):
    records, validation = (write_figures(tmp_path / split, split, 8) for split in ("train", "val"))
    settings = settings_of(
        records,
        validation,
        task=["detect", "pose"],
        pose={"classes": ["person"]},
        augment={"rotate": 20, "rotate_probability": 0.5},
    )
    detector = load(train(settings, tmp_path / "run", lambda line: None))
    skeleton = skeleton_of(records)
    assert detector.card.settings["pose"] == Pose(skeleton=skeleton, classes=("person",))
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        logged = csv.DictReader(file).fieldnames
    assert {"keypoints_loss", "keypoint_heatmap_loss", "keypoint_offset_loss", "val_AP"} < set(logged)
    count = len(skeleton.keypoints)
    for options in ({}, {"flip": True}):
        found = detector.with_options(**options)(next(iterate(validation)).image, threshold=0)
        assert found.fields["keypoints"].shape == (len(found), count, 2)
        scores = found.fields["keypoint_scores"]
        assert scores.shape == (len(found), count) and ((scores > 0).all(axis=1) == (found.classes == 0)).all()


@pytest.mark.slow
def test_where_the_skeleton_comes_from(tmp_path):
    records = write_figures(tmp_path / "train", "train", 4, skeleton=False)
    with pytest.raises(UsageError, match="has no keypoints, which task 'pose' needs"):
        train(settings_of(records), tmp_path / "run")
    path = tmp_path / "skeleton.yaml"
    path.write_text("keypoints: [one, two]")
    known = write_figures(tmp_path / "known", "train", 4)
    with pytest.raises(UsageError, match="keypoints one, two, but"):
        train(settings_of(known, pose={"skeleton": str(path)}), tmp_path / "run")
    path.write_text(f"keypoints: [{', '.join(skeleton_of(known).keypoints)}]")
    settings = settings_of(records, pose={"skeleton": str(path)})
    detector = load(train(settings, tmp_path / "run", lambda line: None))
    (found,) = detector.properties
    assert found.skeleton.keypoints == skeleton_of(known).keypoints and not found.skeleton.flip_pairs


def test_validation_records_must_have_the_same_keypoints(tmp_path):
    records, validation = (write_figures(tmp_path / split, split, 4) for split in ("train", "val"))
    settings = settings_of(records, validation)
    names = [f"keypoint{number}" for number in range(len(skeleton_of(records).keypoints))]
    other = Keypoints(skeleton=Skeleton(keypoints=tuple(names)))
    save_dataset(dataclasses.replace(validation, properties=(other,)))
    with pytest.raises(UsageError) as error:
        train(settings, tmp_path / "run")
    text = str(error.value)
    assert text.startswith(f"{validation.directory}: its keypoints are not those of {records.directory}: ")
    assert text.endswith(". Write one of them again.")
    save_dataset(dataclasses.replace(validation, properties=()))
    with pytest.raises(UsageError) as error:
        train(settings, tmp_path / "run")
    assert str(error.value).startswith(f"{validation.directory}: its dataset.yaml has no keypoints")
