"""Scores of a detector on records, through the function and through the command."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.data.records import open_dataset
from centernet_tf.datasets import figures
from centernet_tf.datasets.figures import draw_figures
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector import Detector, load
from centernet_tf.errors import UsageError
from centernet_tf.evaluate import check_classes, detect_records, evaluate, with_joints
from centernet_tf.model_file import InputCard, ModelCard
from centernet_tf.skeleton import Skeleton


@pytest.fixture(scope="module")
def spot_records(tmp_path_factory, draw_spots, spot_model):
    """Images whose truth is what the spot detector finds, of three sizes, one of them empty."""
    detector = load(spot_model)
    folder = tmp_path_factory.mktemp("spots") / "val"
    images = [
        draw_spots(64, 64),
        draw_spots(64, 64, (20, 20, 0), (44, 40, 1)),
        draw_spots(96, 64, (30, 30, 1)),
        draw_spots(64, 128, (30, 90, 0)),
    ]
    items = []
    for number, image in enumerate(images):
        found = detector(image, threshold=0.5)
        boxes = np.clip(found.boxes, 0, [image.shape[1], image.shape[0]] * 2)
        name = f"{number}.png"
        items.append(
            Item(key=name, image_id=number, source=image, filename=name, boxes=boxes, classes=list(found.class_names))
        )
    write_records(items, directory=folder, name="spots", split="val", classes=detector.names)
    return open_dataset(folder)


def test_finding_all_of_the_truth_scores_one(spot_model, spot_records):
    done = []
    scores = evaluate(load(spot_model), spot_records, batch=3, advance=done.append)
    assert spot_records.objects >= 3
    assert scores.coco.summary["AP"] > 0.99
    assert scores.voc.mean > 0.99
    assert sum(done) == scores.coco.images == spot_records.images


def test_scores_do_not_depend_on_the_batch(spot_model, spot_records):
    detector = load(spot_model)
    one, all_at_once = (list(detect_records(detector, spot_records, batch)) for batch in (1, 8))
    for (first, found), (second, again) in zip(one, all_at_once):
        assert first.image_id == second.image_id
        np.testing.assert_allclose(found.scores, again.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("red",), "1 classes, but the model has 2"),
        (("red", "green", "blue"), "only in the records: \\['blue'\\]"),
        (("green", "red"), "the same names in another order"),
    ],
)
def test_other_classes_are_refused(classes, message, spot_model, spot_records):
    detector = load(spot_model)
    assert detector.names == ("red", "green")
    with pytest.raises(UsageError, match=message):
        check_classes(detector, dataclasses.replace(spot_records, classes=classes))


def test_command_writes_numbers_and_plot(spot_model, spot_records, tmp_path, capsys):
    numbers, plot = tmp_path / "new" / "scores.json", tmp_path / "curve.png"
    arguments = ["evaluate", str(spot_model), "--data", str(spot_records.directory), "--json", str(numbers)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--plot", str(plot)])
    assert ended.value.code in (0, None)
    content = json.loads(numbers.read_text())
    assert content["data"] == str(spot_records.directory)
    assert plot.read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "red" in shown and "green" in shown and "AP50" in shown


class CornerFinder:
    """A detector whose joints are the middle and a corner of each box it finds."""

    def __init__(self, detector, skeleton):
        self.detector, self.skeleton = detector, skeleton
        self.names, self.limit, self.tasks = detector.names, detector.limit, detector.tasks
        self.placed = detector.tasks.placed

    def stream(self, *arguments, **options):
        for found in self.detector.stream(*arguments, **options):
            joints = np.stack([(found.boxes[:, :2] + found.boxes[:, 2:]) / 2, found.boxes[:, :2]], axis=1)
            yield dataclasses.replace(found, fields={"joints": joints}, skeleton=self.skeleton)


def test_joints_are_scored_beside_boxes(spot_model, spot_records, draw_spots, tmp_path):
    detector = load(spot_model)
    skeleton = Skeleton(joints=("middle", "corner"))
    image = draw_spots(64, 64, (20, 20, 0), (44, 40, 1))
    found = detector(image, threshold=0.5)
    points = np.stack([(found.boxes[:, :2] + found.boxes[:, 2:]) / 2, found.boxes[:, :2]], axis=1)
    joints = np.concatenate([points, np.full((len(found), 2, 1), 2)], axis=-1)
    boxes = np.clip(found.boxes, 0, 64)
    item = Item(
        key="a", image_id=1, source=image, filename="a.png", boxes=boxes, classes=list(found.class_names), joints=joints
    )
    write_records([item], directory=tmp_path, name="a", split="val", classes=detector.names, skeleton=skeleton)
    records = open_dataset(tmp_path)
    scores = evaluate(CornerFinder(detector, skeleton), records)
    assert scores.joints.summary["AP"] == pytest.approx(1) and scores.joints.truth.sum() == len(found) == 2
    assert scores.pck.all.tolist() == [1, 1, 1] and scores.pck.labelled.tolist() == [2, 2]
    assert evaluate(detector, records).joints is evaluate(detector, records).pck is None
    assert evaluate(CornerFinder(detector, skeleton), spot_records).joints is None
    other = Skeleton(joints=("corner", "middle"))
    nameless = dataclasses.replace(records, skeleton=None)
    assert with_joints(nameless, skeleton) == records == with_joints(records, other)
    assert with_joints(nameless, None) is nameless
    with pytest.raises(UsageError, match="the records have the joints middle, corner, the model finds corner, middle"):
        evaluate(CornerFinder(detector, other), records)


def test_a_pose_network_is_scored_and_knows_its_limbs(tmp_path):
    """Random weights: numbers mean nothing, but joints come in the right frame and every table can be written."""
    classes, items, skeleton = figures.read(3, (96, 128))
    write_records(items, directory=tmp_path / "val", name="a", split="val", classes=classes, skeleton=skeleton)
    card = ModelCard(
        tasks=("pose",),
        backbone="none",
        classes=classes,
        max_objects=100,
        skeleton=skeleton,
        joint_classes=("person",),
        input=InputCard(height=64, width=64, stride=32),
    )
    image = keras.Input((None, None, 3))
    keras.utils.set_random_seed(0)
    features = keras.layers.AveragePooling2D(4)(image)
    heads = {head.name: keras.layers.Conv2D(head.channels, 1) for head in card.task_set().heads}
    detector = Detector(keras.Model(image, {name: [layer(features)] for name, layer in heads.items()}), card)
    heads["heatmap"].set_weights([np.ones((1, 1, 3, 2)) * [0.4, -0.4], np.array([1, -2])])  # bright: person
    records = open_dataset(tmp_path / "val")
    scores = evaluate(detector, records)
    assert 0 <= scores.joints.summary["AP"] < 0.5 and scores.joints.images == 3
    picture = draw_figures(0, (96, 128)).image
    found = detector(picture, threshold=0)
    assert found.skeleton == skeleton and found.fields["joints"].shape == (len(found), 13, 2)
    assert not found.fields["joint_scores"][found.classes == 1].any()
    assert (found.draw(picture, 0) != picture).any()
    assert 0 < (found.classes == 0).sum() < len(found)
    assert sum("keypoints" in row for row in found.to_coco(0)) == (found.classes == 0).sum()
