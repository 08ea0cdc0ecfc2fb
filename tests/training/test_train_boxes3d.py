"""Training on 3D boxes: from records to a detector that knows a camera, and what is refused."""

import dataclasses
import shutil

import numpy as np
import pytest

from centernet_tf.config import parse_settings
from centernet_tf.data.dataset import iterate, open_dataset, save_dataset
from centernet_tf.datasets.drawn import scenes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import load
from centernet_tf.errors import UsageError
from centernet_tf.preprocess import Normalization
from centernet_tf.training.train import train

STILL = {"crop": False, "jitter_probability": 0.5}


@pytest.fixture(scope="module")
def yards(tmp_path_factory):
    """8 rendered scenes to train on and 4 to validate on."""
    found = []
    for split, count in (("train", 8), ("val", 4)):
        directory = tmp_path_factory.mktemp("scenes") / split
        classes, items, properties = scenes.read(count, (96, 160), split=split)
        names = {"classes": classes, "properties": properties, "shards": 1}
        write_records(items, directory=directory, name="scenes", split=split, **names)
        found.append(open_dataset(directory))
    return found


def settings_of(records, validation=None, **changes):
    data = {"train": str(records.directory), "size": [64, 96], "shuffle": 8, "mean": [0.5, 0.25, 0.125], "order": "rgb"}
    data |= {"validation": str(validation.directory)} if validation else {}
    content = {
        "task": "box3d",
        "backbone": "tiny",
        "max_objects": 20,
        "data": data,
        "augment": STILL,
        "train": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3},
        "evaluate": {"every": 1, "batch_size": 4, "images": 1},
    }
    return parse_settings({**content, **changes}, "the test")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"box3d": {"amodal_offset": True}}, marks=pytest.mark.long, id="alone"),
        pytest.param({"task": ["detect", "box3d"], "box3d": {"size": False}}, marks=pytest.mark.long, id="mixed"),
    ],
)
def test_a_run(yards, tmp_path, changes):
    records, validation = yards
    detector = load(train(settings_of(records, validation, **changes), tmp_path / "run", lambda line: None))
    cameras = np.stack([record.rows["camera"] for record in iterate(records)])
    section = detector.card.settings["box3d"]
    assert detector.card.input.normalization == Normalization(mean=(0.5, 0.25, 0.125), order="rgb")
    np.testing.assert_allclose(section.camera, np.median(cameras, axis=0), rtol=1e-5)
    assert section.size == section.amodal_offset == ("task" not in changes)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"depth_loss", "rotation_loss", "dimensions_loss", "size_loss", "val_AP"} < set(log)
    record = next(iterate(validation))
    found = detector(record.image, camera=record.rows["camera"], threshold=0)
    assert len(found) and found.fields["locations"].shape == (len(found), 3)


def test_records_without_cameras(shapes_train, tmp_path):
    with pytest.raises(UsageError, match="it has no cameras and 3D boxes, which task 'box3d' needs"):
        train(settings_of(shapes_train), tmp_path / "run")


def test_validation_records_without_cameras(yards, tmp_path):
    records, validation = yards
    copy = tmp_path / "val"
    shutil.copytree(validation.directory, copy)
    save_dataset(dataclasses.replace(validation, directory=copy, properties=()))
    with pytest.raises(UsageError) as error:
        train(settings_of(records, open_dataset(copy)), tmp_path / "run")
    assert str(error.value).startswith(f"{copy}: it has no cameras and 3D boxes, which task 'box3d' needs.")


@pytest.mark.parametrize("augment", [{}, {"crop": False}, {"crop": False, "scale": 0}])
def test_all_images_jittered(yards, tmp_path, augment):
    with pytest.raises(UsageError, match="a task here cannot learn distances"):
        train(settings_of(yards[0], augment=augment), tmp_path / "run")
