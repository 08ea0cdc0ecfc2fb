import builtins
import json

import numpy as np
import pytest

from centernet_tf.errors import DataError
from centernet_tf.media import draw
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.fields import Field
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.property import Property
from centernet_tf.properties.tracks import Tracks
from centernet_tf.results import Detections, Pairs

NAMES = ("person", "dog", "traffic light")
BOXES = [[10, 20, 60.5, 80], [0, 0, 30, 40], [90.125, 5, 100, 7.335]]


def detections(**changes) -> Detections:
    values = {
        "boxes": BOXES,
        "scores": [0.9, 0.456, 0.1],
        "classes": [1, 0, 1],
        "names": NAMES,
        "image_size": (160, 100),
        "fields": {"depth": np.array([1.5, 2, 3], np.float32), "points": np.arange(12).reshape(3, 2, 2)},
    }
    return Detections(**{**values, **changes})


def assert_same(one: Detections, other: Detections):
    for name in ("boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.names, one.image_size, list(one.fields)) == (other.names, other.image_size, list(other.fields))
    for name, values in one.fields.items():
        np.testing.assert_array_equal(values, other.fields[name])
        assert values.dtype == other.fields[name].dtype


def test_empty():
    empty = Detections.empty(NAMES, (160, 100))
    assert len(empty) == 0 and not empty and list(empty) == [] and empty.class_names == []
    assert (empty.boxes.shape, empty.scores.shape, empty.classes.dtype) == ((0, 4), (0,), np.int64)
    assert repr(empty) == "Detections(0 objects in 160x100 pixels)"
    assert empty.to_coco(1) == []
    assert_same(Detections.from_dict(json.loads(json.dumps(empty.to_dict()))), empty)
    assert len(empty.above(0.0)) == len(empty[:3]) == len(empty[[]]) == 0
    image = np.full((100, 160, 3), 7, np.uint8)
    np.testing.assert_array_equal(empty.draw(image), image)


def test_types_and_copies():
    boxes = np.array(BOXES)
    found = detections(boxes=boxes, classes=np.array([1.0, 0.0, 1.0]))
    boxes[:] = 0
    assert found.boxes.dtype == found.scores.dtype == np.float32 and found.classes.dtype == np.int64
    np.testing.assert_array_equal(found.boxes, np.float32(BOXES))
    for array in (found.boxes, found.scores, found.classes, found.fields["depth"], found[:2].boxes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"boxes": np.zeros((3, 5))}, r"boxes have shape \(3, 5\), expected \(3, 4\)"),
        ({"boxes": np.zeros(4)}, r"boxes have shape \(4,\), expected \(4, 4\)"),
        ({"boxes": 1.0}, r"boxes have shape \(\)"),
        ({"scores": [0.5]}, r"scores have shape \(1,\), expected \(3,\)"),
        ({"classes": [0, 1]}, r"classes have shape \(2,\), expected \(3,\)"),
        ({"classes": [0, 1, 0.5]}, "integers"),
        ({"classes": [0, 1, np.nan]}, "integers"),
        ({"classes": [0, 1, 3]}, "classes run from 0 to 3, but 3 names are known"),
        ({"classes": [0, 1, -1]}, "classes run from -1 to 1"),
        ({"scores": [0.5, np.nan, 0.1]}, r"scores are NaN or infinite in rows \[1\]"),
        ({"boxes": [BOXES[0], BOXES[1], [0, 0, np.inf, 1]]}, r"boxes are NaN or infinite in rows \[2\]"),
        ({"fields": {"depth": np.zeros(2)}}, r"field 'depth' has shape \(2,\), expected 3 rows"),
        ({"fields": {"depth": np.full(3, np.nan)}}, r"depth are NaN or infinite in rows \[0, 1, 2\]"),
        ({"image_size": (0, 100)}, r"image_size is \(0, 100\)"),
        ({"image_size": (1, 2, 3)}, r"image_size is \(1, 2, 3\)"),
    ],
)
def test_wrong_values(changes, message):
    with pytest.raises(ValueError, match=message):
        detections(**changes)


@pytest.mark.parametrize(
    "index, rows",
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([True, False, True]), [0, 2]),
        (np.array([2, 0, 0]), [2, 0, 0]),
        ([1], [1]),
        ([], []),
        ([False, True, False], [1]),
    ],
)
def test_selection(index, rows):
    found, part = detections(), detections()[index]
    np.testing.assert_array_equal(part.boxes, found.boxes[rows])
    np.testing.assert_array_equal(part.scores, found.scores[rows])
    np.testing.assert_array_equal(part.classes, found.classes[rows])
    np.testing.assert_array_equal(part.fields["points"], found.fields["points"][rows])
    assert part.names == NAMES and part.image_size == (160, 100)


def test_one_object():
    found = detections()
    assert [one.name for one in found] == found.class_names == ["dog", "person", "dog"]
    last = found[-1]
    assert (last.class_index, last.name, last.fields["depth"]) == (1, "dog", 3)
    assert last.score == pytest.approx(0.1) and last.box.tolist() == found.boxes[2].tolist()
    with pytest.raises(IndexError):
        found[3]


@pytest.mark.parametrize("threshold, count", [(0.0, 3), (0.456, 2), (0.5, 1), (1.0, 0)])
def test_above(threshold, count):
    assert len(detections(scores=np.float32([0.9, 0.456, 0.1])).above(np.float32(threshold))) == count


def test_repr():
    assert repr(detections()) == (
        "Detections(3 objects in 160x100 pixels: 2 dog, 1 person; scores 0.10 to 0.90; fields depth, points)"
    )
    assert repr(detections(fields={})[:1]) == "Detections(1 object in 160x100 pixels: 1 dog; scores 0.90 to 0.90)"


def test_to_coco():
    rows = detections().to_coco(np.int64(42))
    assert [row["category_id"] for row in rows] == [2, 1, 2]
    assert rows[0] == {"image_id": 42, "category_id": 2, "bbox": [10, 20, 50.5, 60], "score": float(np.float32(0.9))}
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize("category_ids", [(3, 18, 90), {0: 3, 1: 18, 2: 90}, np.array([3, 18, 90])])
def test_to_coco_with_category_ids(category_ids):
    assert [row["category_id"] for row in detections().to_coco(1, category_ids)] == [18, 3, 18]


def test_to_coco_rounds_as_published_results():
    row = detections().to_coco(1, digits=2)[2]
    assert row["bbox"] == [90.12, 5.0, 9.88, 2.34]
    assert detections().to_coco(1, digits=2)[1]["score"] == 0.46


def test_results_of_the_originals_api():
    """{class from 1: [left, top, right, bottom, score]}, every class, whether found or not."""
    found = detections()
    results = found.to_centernet()
    assert list(results) == [1, 2, 3][: len(found.names)]
    for category, rows in results.items():
        assert (rows.dtype, rows.shape[1]) == (np.float32, 5)
        chosen = found[found.classes == category - 1]
        np.testing.assert_array_equal(rows, np.column_stack([chosen.boxes, chosen.scores]))
    assert sum(map(len, results.values())) == len(found)
    assert {key: rows.shape for key, rows in Detections.empty(("a", "b"), (8, 6)).to_centernet().items()} == {
        1: (0, 5),
        2: (0, 5),
    }


def test_to_dict_is_json_and_comes_back():
    found = detections()
    text = json.dumps(found.to_dict())
    assert '"scores": [0.9, 0.456, 0.1]' in text
    assert_same(Detections.from_dict(json.loads(text)), found)
    noise = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(Detections.from_dict(detections(boxes=noise).to_dict()).boxes, noise)


def test_empty_fields_keep_their_shape():
    back = Detections.from_dict(detections()[:0].to_dict())
    assert back.fields["points"].shape == (0, 2, 2) and back.fields["depth"].dtype == np.float32


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda values: values.pop("scores"), "missing scores. Expected what Detections.to_dict"),
        (lambda values: values.update(boxs=1), "unknown key 'boxs'. Did you mean 'boxes'?"),
        (lambda values: values.update(properties={"keypoint": {}}), "unknown property 'keypoint'. Did you mean"),
    ],
)
def test_from_wrong_dict(change, message):
    values = detections().to_dict()
    change(values)
    with pytest.raises(DataError, match=message):
        Detections.from_dict(values)


def test_draw():
    image = np.full((100, 160, 3), 127, np.uint8)
    found = detections()
    drawn = found.draw(image, threshold=0.4)
    expected = draw.draw_boxes(image, found.boxes[[1, 0]], ["person 0.46", "dog 0.90"], draw.class_colors([0, 1]))
    np.testing.assert_array_equal(drawn, expected)
    with pytest.raises(ValueError, match=r"the image is \(100, 160\), the boxes are of one of \(160, 100\)"):
        found.draw(image.transpose(1, 0, 2))


def test_the_way_of_identities_is_drawn():
    image = np.full((100, 160, 3), 127, np.uint8)
    one = {"boxes": [[60, 40, 80, 60]], "scores": [0.9], "classes": [0]}
    found = detections(**one, fields={"track_ids": np.array([4])}, properties=(Tracks(),))
    before = [{**found.rows, "boxes": found.boxes - (40, 0, 40, 0)}]
    changed = (found.draw(image, before=before) != found.draw(image)).any(axis=(1, 2))
    assert changed[50] and changed.sum() < 4  # a line between the middles


def test_to_supervision():
    supervision = pytest.importorskip("supervision")
    found = detections()
    converted = found.to_supervision()
    assert isinstance(converted, supervision.Detections) and len(converted[converted.confidence > 0.4]) == 2
    np.testing.assert_array_equal(converted.xyxy, found.boxes)
    np.testing.assert_array_equal(converted.class_id, found.classes)
    assert converted.data["class_name"].tolist() == found.class_names
    np.testing.assert_array_equal(converted.data["depth"], found.fields["depth"])
    assert len(Detections.empty(NAMES, (2, 2)).to_supervision()) == 0


def test_to_supervision_names_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "supervision":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install centernet_tf\[supervision\]"):
        detections().to_supervision()


class Hue(Property):
    """A property that the tables do not know."""

    name = "hue"

    @property
    def fields(self):
        return (Field("hues", "float32", (), "fixed", 0.0, "in degrees"),)

    def outlined(self, rows):
        return rows["hues"] > 100

    def labels(self, labels, rows):
        return [f"{label} {hue:.0f}" for label, hue in zip(labels, rows["hues"])]

    def draw(self, canvas, rows, look):
        drawn = canvas.copy()
        for hue, label in zip(rows["hues"], look.labels):
            assert label.endswith(f"{hue:.0f}")
            drawn[0, int(hue)] = 255
        return drawn

    def panel(self, rows, look, side):
        return np.full((side, side, 3), 9 if look.truth is None else 11, np.uint8)

    def to_json(self, rows, digits):
        return [{"hue": round(float(hue), digits)} for hue in rows["hues"]]


def with_hues(**changes):
    return detections(**{"fields": {"hues": np.float32([10.25, 120, 30])}, "properties": (Hue(),), **changes})


def test_properties_draw_and_tell():
    image = np.full((100, 160, 3), 127, np.uint8)
    found = with_hues()
    drawn = found.draw(image, threshold=0.0)
    expected = draw.draw_boxes(image, found.boxes[[2, 0]], ["dog 0.10 30", "dog 0.90 10"], draw.class_colors([1, 1]))
    expected[0, [10, 30, 120]] = 255
    np.testing.assert_array_equal(drawn, expected)  # the outlined one has no box
    both = found.draw(image, threshold=0.0, panels=True)
    np.testing.assert_array_equal(both[:, :160], drawn)
    assert both.shape == (100, 260, 3) and (both[:, 160:] == 9).all()
    assert (found.draw(image, panels=True, truth={})[:, 160:] == 11).all()
    assert [row["hue"] for row in found.to_coco(1, digits=1)] == [10.2, 120, 30]


def test_properties_without_rows_do_nothing():
    image = np.full((100, 160, 3), 127, np.uint8)
    found = with_hues(fields={})
    np.testing.assert_array_equal(found.draw(image, panels=True), detections().draw(image))
    assert found.to_coco(1) == detections().to_coco(1)
    nothing = with_hues()[:0]
    assert nothing.draw(image, panels=True).shape == (100, 260, 3) and nothing.to_coco(1) == []


def test_rows_hold_everything():
    found = with_hues(extras={"lens": [1.5, 2.0]}, pairs=Pairs([[0, 2]], [1], [0.5]))
    assert list(found.rows) == ["boxes", "scores", "classes", "hues", "lens", "pairs", "verbs", "pair_scores"]
    np.testing.assert_array_equal(found.rows["hues"], found.fields["hues"])
    assert found.rows["lens"].tolist() == [1.5, 2] and found.rows["pairs"].tolist() == [[0, 2]]


PAIRS = Pairs([[0, 1], [1, 2], [2, 2]], [4, 5, 6], [0.9, 0.8, 0.7])


@pytest.mark.parametrize(
    ("index", "rows", "verbs"),
    [
        (slice(None), [[0, 1], [1, 2], [2, 2]], [4, 5, 6]),
        (slice(None, None, -1), [[2, 1], [1, 0], [0, 0]], [4, 5, 6]),
        (slice(1, None), [[0, 1], [1, 1]], [5, 6]),
        (np.array([True, False, True]), [[1, 1]], [6]),
        (np.array([2, 0, 0, 1]), [[1, 3], [3, 0], [0, 0]], [4, 5, 6]),
        ([], [], []),
    ],
)
def test_pairs_are_renumbered(index, rows, verbs):
    part = detections(pairs=PAIRS)[index].pairs
    assert part.rows.tolist() == rows and part.verbs.tolist() == verbs and len(part) == len(part.scores)
    assert part.rows.shape == (len(verbs), 2)


def test_pairs_without_an_object_go_with_their_subject():
    found = detections(pairs=Pairs([[0, -1], [2, -1], [1, 0]], [1, 2, 3], [0.9, 0.8, 0.7]))
    assert found[[2, 1]].pairs.rows.tolist() == [[0, -1]] and found[[2, 1]].pairs.verbs.tolist() == [2]
    assert found[::-1].pairs.rows.tolist() == [[2, -1], [0, -1], [1, 2]]
    assert len(found[:0].pairs) == 0


def test_pairs_come_back_from_json():
    for pairs in (PAIRS, Pairs([], [], [])):
        back = Detections.from_dict(json.loads(json.dumps(detections(pairs=pairs).to_dict()))).pairs
        for one, other in zip(vars(back).values(), vars(pairs).values()):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert "pairs" not in detections().to_dict() and detections()[:1].pairs is None


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (lambda: Pairs([[0, 3]], [0], [1]), "pairs name rows 0 to 3 of 3 objects"),
        (lambda: Pairs([[-1, 0]], [0], [1]), "pairs name rows -1 to 0"),
        (lambda: Pairs([[0, -2]], [0], [1]), "pairs name rows -2 to 0"),
        (lambda: Pairs([[0, 1]], [0, 1], [1]), r"1 pairs with verbs \(2,\)"),
        (lambda: Pairs([[0, 1]], [0], [np.nan]), "a finite score for each"),
        (lambda: Pairs([[0, 0.5]], [0], [1]), "pairs must be integers"),
    ],
)
def test_wrong_pairs(pairs, words):
    with pytest.raises(ValueError, match=words):
        detections(pairs=pairs())


ARMS = Keypoints(skeleton=Skeleton(keypoints=("head", "left", "right"), flip_pairs=((1, 2),), limbs=((0, 1), (0, 2))))


def with_keypoints(**changes):
    keypoints = np.array([[[50, 20], [80, 60], [20.25, 60]], [[0, 0]] * 3], np.float32)
    fields = {"keypoints": keypoints, "keypoint_scores": np.array([[0.9, 0.1, 0.5], [0, 0, 0]], np.float32)}
    values = {"boxes": [[10, 10, 90, 70], [0, 0, 5, 5]], "scores": [0.9, 0.8], "classes": [0, 1]}
    values |= {"names": ("person", "ball"), "image_size": (120, 100), "fields": fields, "properties": (ARMS,)}
    return Detections(**{**values, **changes})


def test_keypoints_reach_every_form():
    found = with_keypoints()
    person, ball = found.to_coco(3, digits=1)
    assert person["keypoints"] == [50, 20, 1, 80, 60, 1, 20.2, 60, 1] and "keypoints" not in ball
    assert person["keypoint_scores"] == [0.9, 0.1, 0.5]
    again = Detections.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.properties == (ARMS,) and found[:1].properties == (ARMS,)
    np.testing.assert_array_equal(again.fields["keypoints"], found.fields["keypoints"])
    assert found[0].fields["keypoint_scores"].tolist() == pytest.approx([0.9, 0.1, 0.5])


def test_keypoints_in_results_of_the_originals_api():
    found = with_keypoints()
    rows = found.to_centernet()[1]
    chosen = found[found.classes == 0]
    assert rows.shape == (len(chosen), 5 + 2 * found.fields["keypoints"].shape[1])
    np.testing.assert_array_equal(rows[:, :4], chosen.boxes)
    np.testing.assert_array_equal(rows[:, 4], chosen.scores)
    np.testing.assert_array_equal(rows[:, 5:7], chosen.fields["keypoints"][:, 0])


def test_skeletons_are_drawn_over_boxes():
    image = np.full((100, 120, 3), 127, np.uint8)
    plain = with_keypoints(fields={}).draw(image)
    drawn = with_keypoints().draw(image)
    assert (plain[60, 20] == 127).all() and (drawn[60, 20] != 127).any()
    np.testing.assert_array_equal(with_keypoints().draw(image, threshold=0.95), image)


@pytest.mark.parametrize(
    ("keypoints", "words"),
    [
        (np.zeros((2, 4, 2)), r"'keypoints' has shape \(2, 4, 2\), expected \(2, 3, 2\): x, y in pixels"),
        (np.zeros((2, 6)), r"shape \(2, 6\)"),
    ],
)
def test_keypoints_must_fit_the_skeleton(keypoints, words):
    with pytest.raises(ValueError, match=words):
        with_keypoints(fields={"keypoints": keypoints})


CAMERA = np.array([[100, 0, 80, 0], [0, 100, 50, 0], [0, 0, 1, 0]], np.float32)


def boxes3d_detections(**changes) -> Detections:
    fields = {
        "locations": np.array([[0, 1.5, 8], [3, 1.5, 12], [-4, 1.5, 20]], np.float32),
        "dimensions": np.array([[1.5, 1.7, 4]] * 3, np.float32),
        "alphas": np.array([0.1, 0.2, 0.3], np.float32),
        "rotations": np.array([0.1, 0.4, 0.1], np.float32),
    }
    return detections(**{"fields": fields, "properties": (Boxes3d(),), "extras": {"camera": CAMERA}, **changes})


def test_extras_survive():
    found = boxes3d_detections(extras={"camera": CAMERA.tolist()})
    again = Detections.from_dict(json.loads(json.dumps(found.to_dict())))
    assert_same(again, found)
    np.testing.assert_array_equal(again.extras["camera"], CAMERA)
    np.testing.assert_array_equal(found[:1].extras["camera"], CAMERA)
    assert "extras" not in detections().to_dict()
    with pytest.raises(ValueError, match="read-only"):
        found.extras["camera"][0] = 0
    with pytest.raises(ValueError, match=r"'camera' has shape \(3, 3\), expected \(3, 4\)"):
        boxes3d_detections(extras={"camera": CAMERA[:, :3]})
    with pytest.raises(ValueError, match="camera of the image is NaN or infinite"):
        boxes3d_detections(extras={"camera": CAMERA * np.nan})


def test_boxes3d_are_told_in_metres():
    row = boxes3d_detections().to_coco(1, digits=2)[1]
    assert (row["location"], row["dimensions"]) == ([3, 1.5, 12], [1.5, 1.7, 4])
    assert (row["rotation_y"], row["alpha"]) == (0.4, 0.2)


def test_boxes3d_in_results_of_the_originals_api():
    """alpha, box, height, width, length, x, y, z, rotation_y, score."""
    found = boxes3d_detections()
    one = found[1]
    (row,) = (row for row in found.to_centernet()[one.class_index + 1] if row[-1] == np.float32(one.score))
    assert row.shape == (13,)
    parts = [one.fields["dimensions"], one.fields["locations"], [one.fields["rotations"], one.score]]
    np.testing.assert_array_equal(row, np.float32(np.concatenate([[one.fields["alphas"]], one.box, *parts])))


def test_boxes3d_are_drawn_instead_of_boxes():
    image = np.full((100, 160, 3), 127, np.uint8)
    drawn = boxes3d_detections().draw(image)
    flat = boxes3d_detections(extras={}).draw(image)
    assert drawn.shape == image.shape and (drawn != flat).any()
    np.testing.assert_array_equal(flat, detections().draw(image))
    for found in (boxes3d_detections(), boxes3d_detections()[:0]):
        assert found.draw(image, panels=True).shape == (100, 260, 3)
    np.testing.assert_array_equal(boxes3d_detections(extras={}).draw(image, panels=True), flat)
