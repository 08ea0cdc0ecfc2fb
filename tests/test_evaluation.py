"""Scores of a detector on records, through the function and through the command."""

import dataclasses
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.table import Table

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.drawn import figures
from centernet_tf.datasets.drawn.figures import draw_figures
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import Detector, load
from centernet_tf.errors import DataError, UsageError
from centernet_tf.evaluation import Scores, check_classes, detect_records, evaluate, score, with_properties
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.fields import Field
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.scores import KeypointScores, PckScores
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.metric import Score as AnyScore
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

pytestmark = pytest.mark.usefixtures("eagerly")


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
    scores = evaluate(load(spot_model), spot_records, batch_size=3, advance=done.append)
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


def test_boxes_over_the_edge_are_scored_as_annotated(tmp_path):
    """As pycocotools scores them on the annotations themselves."""
    image = np.zeros((64, 64, 3), np.uint8)
    item = Item(key="a", image_id=1, source=image, filename="a.png", boxes=np.array([(-30.0, 4, 30, 34)]), classes=[0])
    write_records([item], directory=tmp_path, name="edge", split="val", classes=("red",))
    (record,) = iterate(open_dataset(tmp_path))
    for found, expected in (((-30, 4, 30, 34), 1.0), (record.boxes[0], 0.1)):  # the clipped one reaches IoU 0.5
        boxes = np.array([found], np.float32)
        results = [(record, Detections(boxes, np.ones(1, np.float32), np.zeros(1, int), ("red",), (64, 64)))]
        assert score(results, ("red",), ()).coco.summary["AP"] == pytest.approx(expected)


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


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("iou", ["0.5", "kitti"])
def test_an_iou_that_nothing_is_measured_by_is_refused(iou, spot_model, spot_records, capsys):
    code, _, error = run(capsys, "evaluate", spot_model, "--data", spot_records.directory, "--iou", iou)
    assert code == 2 and f"--iou {iou}: it does not apply to what is evaluated here (boxes)" in " ".join(error.split())


def test_numbers_are_rounded_first(spot_model, spot_records, tmp_path, capsys):
    """Boxes of whole tens of pixels are no longer those annotated."""
    arguments = "evaluate", spot_model, "--data", spot_records.directory, "--json", tmp_path / "scores.json"
    assert run(capsys, *arguments, "--round", 0)[0] == 0
    rounded = json.loads((tmp_path / "scores.json").read_text())["summary"]["AP"]
    assert rounded != evaluate(load(spot_model), spot_records).main["AP"]


class CornerFinder:
    """A detector whose keypoints are the middle and a corner of each box it finds."""

    def __init__(self, detector, skeleton):
        self.detector, self.properties, self.extras = detector, (Keypoints(skeleton=skeleton),), ()
        self.names, self.limit = detector.names, detector.limit

    def search(self, *arguments, **options):
        for key, image, found in self.detector.search(*arguments, **options):
            keypoints = np.stack([(found.boxes[:, :2] + found.boxes[:, 2:]) / 2, found.boxes[:, :2]], axis=1)
            fields = {"keypoints": keypoints}
            yield key, image, dataclasses.replace(found, fields=fields, properties=self.properties)


@pytest.fixture(scope="module")
def corner_records(tmp_path_factory, draw_spots, spot_model):
    """An image with two objects whose keypoints are the middle and a corner of what the spot detector finds."""
    detector, folder = load(spot_model), tmp_path_factory.mktemp("corners")
    image = draw_spots(64, 64, (20, 20, 0), (44, 40, 1))
    found = detector(image, threshold=0.5)
    keypoints = np.stack([(found.boxes[:, :2] + found.boxes[:, 2:]) / 2, found.boxes[:, :2]], axis=1)
    item = Item(
        key="a",
        image_id=1,
        source=image,
        filename="a.png",
        boxes=np.clip(found.boxes, 0, 64),
        classes=list(found.class_names),
        rows={"keypoints": keypoints, "keypoint_labels": np.full((2, 2), 2)},
    )
    properties = (Keypoints(skeleton=Skeleton(keypoints=("middle", "corner"))),)
    write_records([item], directory=folder, name="a", split="val", classes=detector.names, properties=properties)
    return open_dataset(folder)


def test_keypoints_are_scored_beside_boxes(spot_model, spot_records, corner_records):
    detector = load(spot_model)
    skeleton = corner_records.property("keypoints").skeleton
    scores = evaluate(CornerFinder(detector, skeleton), corner_records)
    keypoints, pck = scores.scores
    assert isinstance(keypoints, KeypointScores) and isinstance(pck, PckScores)
    assert scores.main == {"AP": pytest.approx(1), "OKS AP": pytest.approx(1)} and keypoints.truth.sum() == 2
    assert pck.all.tolist() == [1, 1, 1] and pck.labelled.tolist() == [2, 2]
    content = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert content["keypoints"]["summary"]["OKS AP"] == pytest.approx(1) and content["PCK"]["all"]["0.1"] == 1
    assert len(scores.tables()) == 4
    assert evaluate(detector, corner_records).scores == ()
    assert evaluate(CornerFinder(detector, skeleton), spot_records).scores == ()


def test_records_that_do_not_name_their_keypoints_have_the_models(spot_model, corner_records):
    detector, known = load(spot_model), corner_records.property("keypoints")
    nameless = dataclasses.replace(corner_records, properties=())
    assert with_properties(nameless, CornerFinder(detector, known.skeleton)) == corner_records
    assert with_properties(nameless, detector) == nameless
    assert "OKS AP" in evaluate(CornerFinder(detector, known.skeleton), nameless).main


def test_other_keypoints_are_refused_and_other_tolerances_are_the_records(spot_model, corner_records):
    detector = load(spot_model)
    with pytest.raises(
        UsageError, match="same keypoints: the records have middle, corner, the model finds corner, middle"
    ):
        evaluate(CornerFinder(detector, Skeleton(keypoints=("corner", "middle"))), corner_records)
    other = CornerFinder(detector, Skeleton(keypoints=("middle", "corner"), sigmas=(0.2, 0.2)))
    assert with_properties(corner_records, other) == corner_records


class CountScore(AnyScore):
    """A number of objects."""

    def __init__(self, key, count):
        self.key, self.main = key, {key: count}

    def tables(self):
        return [Table(title=self.key)]

    def as_dict(self):
        return {self.key: self.main[self.key]}


class Count(Metric):
    """Counts objects, and keeps what it was told."""

    def __init__(self, key):
        self.key, self.count, self.told = key, 0, []

    def update(self, image, found, truth):
        self.told.append((image, found, truth))
        self.count += len(truth["boxes"])

    def result(self):
        return CountScore(self.key, self.count) if self.count else None


class Countable(Property):
    """A property with metrics of its own, which nothing in the package knows."""

    name = "countable"
    key: str = "count"

    def metrics(self, names, scale=1, **options):
        made.append((names, scale, options, Count(self.key)))
        return [made[-1][-1]]


made: list[tuple] = []


def test_metrics_of_any_property_are_asked(spot_model, spot_records):
    results = list(detect_records(load(spot_model), spot_records))
    scores = score(results, spot_records.classes, [Countable()], digits=3, scale=2, other=None)
    names, scale, options, metric = made.pop()
    assert (names, scale, options) == (spot_records.classes, 2, {"digits": 3})
    assert [key for key, _, _ in metric.told] == [ImageKey(number) for number in range(4)]
    assert set(metric.told[0][1]) == {"boxes", "scores", "classes"}
    assert set(metric.told[0][2]) == {"boxes", "classes", "crowd", "difficult", "ignored", "area", "names"}
    assert scores.main == {"AP": scores.coco.summary["AP"], "count": spot_records.objects}
    assert scores.as_dict()["count"] == spot_records.objects and scores.tables()[-1].title == "count"


class Followed(Countable):
    """Found in no single image."""

    @property
    def fields(self):
        return (Field("who", "int64", (), "fixed", -1, "who it is"),)


def test_metrics_see_what_was_found_by_itself_before_what_was_told(spot_model, spot_records, monkeypatch):
    seen = []
    monkeypatch.setattr(Count, "alone", lambda self, image, found: seen.append((image, found)), raising=False)
    (record, found), *_ = detect_records(load(spot_model), spot_records)
    told = dataclasses.replace(found[:0], fields={"who": np.zeros(0, int)})
    score([(record, found, told)], spot_records.classes, [Followed()])
    metric = made.pop()[-1]
    assert [(image, len(rows["boxes"])) for image, rows in seen] == [(ImageKey(record.image_id), len(found))]
    assert len(found) and len(metric.told) == 1 and len(metric.told[0][1]["boxes"]) == 0


def test_records_are_scored_as_what_the_model_finds(spot_model, spot_records, monkeypatch):
    class Louder(Countable):
        def difference(self, other):
            return ""

        def scored_as(self, model):
            return self.model_copy(update={"key": model.key})

    records = spot_records.with_properties([Louder(key="theirs")])
    monkeypatch.setattr(Detector, "properties", (Louder(key="ours"),))
    assert "ours" in evaluate(load(spot_model), records).main


def test_a_metric_with_nothing_to_measure_gives_no_score(spot_model, spot_records):
    empty = [one for one in detect_records(load(spot_model), spot_records) if not len(one[0].boxes)]
    assert empty and score(empty, spot_records.classes, [Countable()]).scores == ()


def test_options_that_no_property_uses_are_refused():
    with pytest.raises(UsageError, match=r"--iou 0.5: .* what is evaluated here \(boxes, countable\). Leave it out"):
        score([], ("red",), [Countable()], iou="0.5")


def test_no_score_hides_another():
    scores = Scores(SimpleNamespace(summary={"AP": 1.0}), None, (CountScore("a", 1), CountScore("a", 2)))
    with pytest.raises(ValueError, match="Two scores are called a"):
        _ = scores.main


def test_what_a_model_needs_of_each_image_must_be_in_the_records(spot_model, spot_records):
    needy = SimpleNamespace(names=spot_records.classes, extras=[SimpleNamespace(name="lens")], properties=())
    with pytest.raises(UsageError, match="the model needs 'lens' of each image"):
        evaluate(needy, spot_records)
    assert next(iterate(spot_records)).rows == {}


def test_a_pose_network_is_scored_and_knows_its_limbs(tmp_path):
    """Random weights: numbers mean nothing, but keypoints come in the right frame and every table can be written."""
    split = figures.read(3, (96, 128))
    write_records(
        split.items, directory=tmp_path, name="a", split="val", classes=split.classes, properties=split.properties
    )
    (known,) = split.properties
    card = ModelCard(
        tasks={"pose": {"skeleton": known.skeleton, "classes": ("person",)}},
        backbone="none",
        classes=split.classes,
        max_objects=100,
        input=InputCard(height=64, width=64, stride=32),
    )
    image = keras.Input((None, None, 3))
    keras.utils.set_random_seed(0)
    features = keras.layers.AveragePooling2D(4)(image)
    heads = {head.name: keras.layers.Conv2D(head.channels, 1) for head in card.task_set().heads}
    detector = Detector(keras.Model(image, {name: [layer(features)] for name, layer in heads.items()}), card)
    heads["heatmap"].set_weights([np.ones((1, 1, 3, 2)) * [0.4, -0.4], np.array([1, -2])])  # bright: person
    scores = evaluate(detector, open_dataset(tmp_path))
    assert 0 <= scores.main["OKS AP"] < 0.5 and scores.scores[0].images == 3
    drawn = draw_figures(0, (96, 128)).image
    found = detector(drawn, threshold=0)
    assert found.properties[0].skeleton == known.skeleton and found.fields["keypoints"].shape == (len(found), 13, 2)
    assert not found.fields["keypoint_scores"][found.classes == 1].any()
    assert (found.draw(drawn, 0) != drawn).any()
    assert 0 < (found.classes == 0).sum() < len(found)
    assert sum("keypoints" in row for row in found.to_coco(0)) == (found.classes == 0).sum()


def film(draw_spots, name, frames=6, size=(128, 128)):
    """A video of a red spot that crosses it, and of one green spot that stands still for half of it."""
    for time in range(frames):
        there = [(24 + 8 * time, 40, 0), *([(90, 100, 1)] if time < frames // 2 else [])]
        boxes = np.array([[x - 14, y - 10, x + 18, y + 14] for x, y, _ in there], np.float32)
        yield Item(
            key=f"{name}{time:02d}",
            image_id=1000 * ord(name[0]) + time,
            source=draw_spots(*size, *there),
            filename=f"{name}/{time}.png",
            boxes=boxes,
            classes=[kind for *_, kind in there],
            rows={"track_ids": np.arange(len(there))},
            video=name,
            frame=time + 1,
        )


@pytest.fixture(scope="module")
def spot_tracker():
    """Finds red and green spots, which it believes to have stood where they stand."""
    card = ModelCard(
        tasks={"track": {"prior": False}},
        backbone="none",
        classes=("red", "green"),
        max_objects=20,
        input=InputCard(height=128, width=128, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb"),
    )
    inputs = {name: keras.Input((None, None, 3), name=name) for name in ("image", "previous")}
    mean = keras.layers.AveragePooling2D(4)(inputs["image"])
    unused = keras.layers.AveragePooling2D(4)(inputs["previous"])
    layers = {head.name: keras.layers.Conv2D(head.channels, 1) for head in card.task_set().heads}
    maps = {name: [layer(mean)] for name, layer in layers.items()}
    maps["displacement"] = [layers["displacement"](unused)]
    network = keras.Model(inputs, maps)
    color = np.array([[16, -16], [-16, 16], [-16, -16]], np.float32)
    values = {"heatmap": (-6, -6), "offset": (0.5, 0.5), "size": (8, 6), "displacement": (0, 0)}
    for name, value in values.items():
        kernel = color if name == "heatmap" else np.zeros((3, 2))
        layers[name].set_weights([kernel[None, None], np.float32(value)])
    return Detector(network, card)


def write_films(folder, items):
    tracks = PROPERTIES["tracks"]()
    write_records(items, directory=folder, name="a", split="val", classes=("red", "green"), properties=(tracks,))
    return open_dataset(folder)


def test_videos_are_followed_and_identities_scored(spot_tracker, draw_spots, tmp_path):
    records = write_films(tmp_path, [*film(draw_spots, "one"), *film(draw_spots, "two")])
    done = []
    scores = evaluate(spot_tracker, records, advance=done.append)
    assert sum(done) == 12 and set(scores.main) == {"AP", "HOTA"}
    told = scores.as_dict()["tracks"]
    assert told["videos"] == 2 and [one["name"] for one in told["classes"]] == ["red", "green"]
    assert told["summary"]["switches"] == told["summary"]["false"] == told["summary"]["misses"] == 0
    assert told["summary"]["MOTA"] == told["summary"]["IDF1"] == 1
    # A box is scored where it was found, whether someone or not.
    again = list(detect_records(spot_tracker, records))
    assert all("track_ids" not in found.fields for _, found in again)
    assert score(again, records.classes, ()).coco.summary == pytest.approx(scores.coco.summary, nan_ok=True)


def test_single_images_have_no_identities_to_score(spot_tracker, draw_spots, tmp_path):
    items = [dataclasses.replace(item, video="", frame=0) for item in film(draw_spots, "one")]
    scores = evaluate(spot_tracker, write_films(tmp_path, items))
    assert set(scores.main) == {"AP"}


def test_a_video_of_two_sizes_is_refused(spot_tracker, draw_spots, tmp_path):
    small, large = film(draw_spots, "one", 2), film(draw_spots, "one", 4, (160, 128))
    items = [*small, *list(large)[2:]]
    with pytest.raises(DataError, match=r"one/2.png: 160x128 pixels, but one/0.png of the same video one has 128x128"):
        evaluate(spot_tracker, write_films(tmp_path, items))
