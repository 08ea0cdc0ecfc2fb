"""KITTI's metric against an implementation that follows the definition object by object."""

import math

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.properties.boxes3d.kitti import DIFFICULTIES, IOUS, Difficulty, KittiBoxes3d
from centernet_tf.properties.boxes3d.kitti_match import thresholds
from centernet_tf.properties.boxes3d.records import columns, from_columns
from centernet_tf.properties.boxes3d.rotated_iou import boxes3d_iou
from centernet_tf.properties.metric import ImageKey

NAMES = ("Pedestrian", "Car", "Cyclist")
NEIGHBOURS = ("Person_sitting", "Van", "nothing")
SIZES = np.array([[1.7, 0.6, 0.8], [1.5, 1.6, 3.9], [1.7, 0.6, 1.8]])


def make_image(random, crowded=False, objects=10, twins=3, digits=2):
    """Objects before a camera of focal length 700, and detections near them, of them twice, and out of nowhere."""
    count = int(random.integers(0, objects))
    classes = random.integers(0, 3, count)
    place = np.stack(
        [random.uniform(-10, 10, count), random.uniform(1, 2, count), random.uniform(6, 20 if crowded else 60, count)]
    )
    boxes3d = np.concatenate(
        [random.uniform(-3, 3, (1, count)), SIZES[classes].T * random.uniform(0.8, 1.2, count), place], axis=0
    )
    boxes3d = np.concatenate([boxes3d, random.uniform(-3.1, 3.1, (1, count))]).T
    names = [NAMES[label] for label in classes]
    ignored = random.random(count) < 0.15
    for index in np.flatnonzero(ignored):
        names[index] = (
            NEIGHBOURS[classes[index]] if random.random() < 0.7 else ("DontCare", "Truck")[classes[index] % 2]
        )
    nobody = np.array([name in ("DontCare", "nothing") for name in names], bool)
    names = ["DontCare" if lost else name for lost, name in zip(nobody, names)]
    boxes3d[nobody] = np.nan
    boxes = flat(random, place.T, SIZES[classes])
    truth = {
        "boxes": boxes,
        "classes": np.where(nobody, -1, classes),
        "ignored": ignored | nobody,
        "names": names,
        **from_columns(boxes3d),
        "truncated": random.choice([0, 0.1, 0.2, 0.4, 0.6], count),
        "occluded": random.integers(0, 4, count),
    }
    source = np.repeat(np.arange(count), random.integers(0, twins, count))
    found = boxes3d[source] + random.normal(0, 0.15, (len(source), 8))
    found = np.where(np.isnan(found), random.uniform(1, 9, found.shape), found)
    strange = int(random.integers(0, 3))
    far = np.concatenate([random.uniform(0.5, 5, (strange, 4)), random.uniform(-9, 9, (strange, 4))], axis=1)
    label = np.where(random.random(len(source)) < 0.9, classes[source], 1)
    detections = {
        "boxes": np.concatenate(
            [boxes[source] + random.normal(0, 3, (len(source), 4)), random.uniform(0, 300, (strange, 4)).cumsum(axis=1)]
        ),
        "classes": np.concatenate([label, random.integers(0, 3, strange)]),
        "scores": np.concatenate([random.random(len(source)) ** 0.5, random.random(strange)]).round(digits),
        **from_columns(np.concatenate([found, far])),
    }
    return detections, truth


def flat(random, place, size):
    middle = place[:, :2] / place[:, 2:] * 700 + [600, 180]
    extent = np.stack([size[:, 2], size[:, 0]], axis=1) / place[:, 2:] * 700
    return np.concatenate([middle - extent * [0.5, 1], middle + extent * [0.5, 0]], axis=1)


def iou(first, second, share=False):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (first[2] - first[0]) * (first[3] - first[1])
    other = (second[2] - second[0]) * (second[3] - second[1])
    return width * height / (area if share else area + other - width * height)


class Slow:
    """The definition, one object after the other."""

    def __init__(self, images, label, difficulty, sense, iou, known):
        self.known = known
        self.images, self.label, self.difficulty, self.sense, self.iou = images, label, difficulty, sense, iou

    def object_kinds(self, truth):
        kinds = []
        for row, name in enumerate(truth["names"]):
            box = truth["boxes"][row]
            hard = (
                truth["occluded"][row] > self.difficulty.occluded
                or truth["truncated"][row] > self.difficulty.truncated
                or box[3] - box[1] < self.difficulty.height
            )
            own = name == NAMES[self.label]
            kinds.append("counts" if own and not hard else "ignored" if own or name == NEIGHBOURS[self.label] else "")
        return kinds

    def detection_kinds(self, found):
        kinds = []
        for box, label in zip(found["boxes"], found["classes"]):
            small = abs(box[3] - box[1]) < self.difficulty.height
            kinds.append("ignored" if small else "counts" if label == self.label else "")
        return kinds

    def common(self, found, j, truth, i):
        key = (id(found), j, i, self.sense)
        if key not in self.known:
            pair = columns(found)[j : j + 1, 1:], columns(truth)[i : i + 1, 1:]
            boxes = found["boxes"][j], truth["boxes"][i]
            self.known[key] = boxes3d_iou(*pair)[self.sense - 1][0] if self.sense else iou(*boxes)
        return self.known[key]

    def go_through(self, found, truth, least=None):
        """Scores of hits, misses, false alarms, similarity. Without `least`, an object takes the best score."""
        objects, detections = self.object_kinds(truth), self.detection_kinds(found)
        taken = [least is not None and score < least for score in found["scores"]]
        late = list(taken)
        hits, missed, alike = [], 0, 0.0
        for i, kind in enumerate(objects):
            if not kind:
                continue
            best = None
            for j, other in enumerate(detections):
                if not other or taken[j] or self.common(found, j, truth, i) <= self.iou:
                    continue
                if least is None:
                    rank = (found["scores"][j],)
                else:
                    rank = (1, self.common(found, j, truth, i)) if other == "counts" else (0, 0)
                if best is None or rank > best[0]:
                    best = (rank, j)
            if best is None:
                missed += kind == "counts"
                continue
            taken[best[1]] = True
            if kind == "counts" and detections[best[1]] == "counts":
                hits.append(found["scores"][best[1]])
                alike += (1 + math.cos(columns(truth)[i][0] - columns(found)[best[1]][0])) / 2
        false = 0
        for j, kind in enumerate(detections):
            if kind == "counts" and not taken[j] and not late[j]:
                regions = [box for box, name in zip(truth["boxes"], truth["names"]) if name == "DontCare"]
                excused = any(iou(found["boxes"][j], box, share=True) > self.iou for box in regions)
                false += not (excused and self.sense == 0)
        return hits, missed, false, alike

    def curve(self, devkit):
        count = sum(self.object_kinds(truth).count("counts") for _, truth in self.images)
        if not count:
            return [math.nan] * 41, [math.nan] * 41
        scores = sorted((score for pair in self.images for score in self.go_through(*pair)[0]), reverse=True)
        precision, similarity = [], []
        for least in slow_thresholds(scores, count, devkit):
            right = wrong = alike = 0
            for pair in self.images:
                hits, _, false, similar = self.go_through(*pair, least)
                right, wrong, alike = right + len(hits), wrong + false, alike + similar
            precision.append(right / (right + wrong))
            similarity.append(alike / (right + wrong))
        return [[max(values[level:], default=0.0) for level in range(41)] for values in (precision, similarity)]


def slow_thresholds(scores, count, devkit):
    """Of each level the first score after which recall would go further from it; the last score ends it."""
    kept, index, level = [], 0, 0.0
    while index < len(scores) and len(kept) < 41:
        here = (index + 1) / count
        last = index == len(scores) - 1
        after = here if last else (index + 2) / count
        nearest = not after - level < level - here - (1e-9 if kept and kept[-1][1] == index else 0)
        if nearest or (last and (devkit or not kept or kept[-1][1] != index)):
            kept.append((scores[index], index))
            level += 1 / 40
            index += devkit
        else:
            index += 1
    return [score for score, _ in kept]


def score(images, **options):
    metric = KittiBoxes3d(NAMES, **options)
    for image_id, pair in enumerate(images):
        metric.update(ImageKey(image_id), *pair)
    return metric.result()


@pytest.mark.parametrize("devkit", [False, True])
@pytest.mark.parametrize(("seed", "count", "protocol"), [(0, 30, "original"), (1, 30, "kitti"), (2, 4, "original")])
def test_against_the_definition(seed, count, protocol, devkit):
    random = np.random.default_rng(seed)
    images = [make_image(random, crowded=index % 2) for index in range(count)]
    scores = score(images, iou=protocol, devkit=devkit)
    known = {}
    for label, name in enumerate(NAMES):
        for place, difficulty in enumerate(DIFFICULTIES):
            for sense, rows in enumerate(((0, 1), (2,), (3,))):
                slow = Slow(images, label, difficulty, sense, IOUS[protocol][name][sense], known)
                for row, expected in zip(rows, slow.curve(devkit)):
                    message = f"{name} {difficulty.name} {row}"
                    found = scores.precision[row, label, place]
                    np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=message)
    assert 0 < np.nanmean(scores.precision) < 1


@pytest.mark.parametrize("count", [61, 62, 80, 100, 119, 120, 1000])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.77, 1.0])
def test_many_objects_need_no_score_twice(count, part):
    scores = np.random.default_rng(count).random(math.ceil(part * count))
    ours, devkit = thresholds(scores, count), thresholds(scores, count, devkit=True)
    np.testing.assert_array_equal(ours, devkit)
    assert len(ours) == 41 or part < 1


@pytest.mark.parametrize("count", [1, 2, 7, 40, 41, 60, 61, 500])
def test_all_found_reaches_every_level(count):
    assert len(thresholds(np.arange(count) / count, count)) == 41


def perfect(truth):
    own = ~truth["ignored"]
    names = ("boxes", "classes", "alphas", "dimensions", "locations", "rotations")
    detections = {name: truth[name][own] for name in names}
    return {**detections, "scores": np.ones(own.sum())}


@pytest.mark.parametrize(("count", "protocol"), [(1, "kitti"), (3, "original"), (40, "kitti")])
def test_truth_as_detections_is_perfect(count, protocol):
    random = np.random.default_rng(count)
    images = [make_image(random, objects=4 * 9 // (count + 3) + 9)[1] for _ in range(count)]
    scores = score([(perfect(truth), truth) for truth in images], iou=protocol)
    for points in (11, 40):
        ap = scores.ap(points)
        assert (np.isnan(ap) == (scores.truth == 0)).all()
        np.testing.assert_allclose(ap[:, scores.truth > 0], 1)


def test_the_devkit_gives_few_objects_less():
    truth = next(
        truth
        for _, truth in (make_image(np.random.default_rng(seed)) for seed in range(99))
        if list(truth["names"]).count("Car") == 1 and not truth["ignored"].any()
    )
    scores = score([(perfect(truth), truth)], devkit=True)
    assert scores.ap(11)[3, 1, 3] == pytest.approx(1 / 11) and scores.ap(40)[3, 1, 3] == 0


@pytest.mark.parametrize("measure", ["BEV", "3D", "AOS", "2D"])
def test_worse_detections_score_less(measure):
    random = np.random.default_rng(5)
    images = [make_image(random, objects=12)[1] for _ in range(40)]
    means = []
    for noise in (0, 0.3, 1.0):
        pairs = []
        for truth in images:
            found = perfect(truth)
            shape = len(found["scores"])
            moved = columns(found) + noise * random.normal(0, 1, (shape, 8)) * [1, 0, 0, 0, 1, 0, 1, 1]
            found |= from_columns(moved)
            found["boxes"] = found["boxes"] + noise * random.normal(0, 20, (shape, 4)) * [1, 0, 1, 0]
            pairs.append((found, truth))
        means.append(score(pairs).mean(measure))
    assert means[0] == 1 and means[0] > means[1] > means[2]


def test_moving_in_depth_by_hand():
    """A car 4 m long, moved along its length: 1 m off is an IoU of 3/5, 2 m off of 1/3."""
    car = np.array([[0.0, 1.5, 2, 4, 0, 1.5, 20, -np.pi / 2]])
    truth = {"boxes": np.array([[0, 0, 90, 90]]), "classes": [1], "ignored": [False], "names": ["Car"]}
    truth |= {"truncated": [0], "occluded": [0], **from_columns(car)}
    behind = np.array([0, 0, 0, 0, 0, 0, 1, 0])
    for off, ground in ((1.0, 3 / 5), (2.0, 1 / 3)):
        found = {"boxes": truth["boxes"], "classes": [1], "scores": [0.9], **from_columns(car + off * behind)}
        for iou in (ground - 0.01, ground + 0.01):
            ap = score([(found, truth)], iou=f"{iou}").ap()[:, 1, 0]
            np.testing.assert_array_equal(ap, [1, 1, iou < ground, iou < ground])


def test_half_found_is_half_the_precision():
    random = np.random.default_rng(1)
    images = [make_image(random, objects=9)[1] for _ in range(100)]
    pairs = []
    for truth in images:
        found = perfect(truth)
        half = np.arange(len(found["scores"])) % 2 == 0
        pairs.append(({name: values[half] for name, values in found.items()}, truth))
    scores = score(pairs, difficulties=[Difficulty("all", 0, 3, 1)])
    assert 0.45 < scores.mean("3D", "all") < 0.65


def test_merged_parts_give_the_whole():
    random = np.random.default_rng(4)
    images = [make_image(random) for _ in range(12)]
    parts = [KittiBoxes3d(NAMES), KittiBoxes3d(NAMES)]
    for image_id, pair in enumerate(images):
        parts[image_id % 2].update(ImageKey(image_id), *pair)
    parts[0].merge(parts[1])
    np.testing.assert_array_equal(parts[0].result().precision, score(images).precision)


def test_nothing_found_scores_nothing():
    _, truth = make_image(np.random.default_rng(0), objects=12)
    empty = {"boxes": np.zeros((0, 4)), "classes": [], "scores": [], **from_columns(np.zeros((0, 8)))}
    scores = score([(empty, truth)])
    assert (scores.precision[:, scores.truth > 0] == 0).all() and scores.truth.any()
    with pytest.raises(UsageError, match="12 recalls"):
        scores.ap(12)


def test_nothing_there_has_no_score():
    found, truth = make_image(np.random.default_rng(0), objects=12)
    assert score([]) is None
    ignored = {**truth, "ignored": np.ones(len(truth["classes"]), bool)}
    nothing = {name: values[:0] for name, values in truth.items()}
    assert score([(found, ignored), (found, nothing)]) is None


def test_only_classes_without_truth_have_no_score():
    _, truth = make_image(np.random.default_rng(0), objects=12)
    scores = score([(perfect(truth), {**truth, "ignored": truth["ignored"] | (truth["classes"] != 1)})])
    assert scores.truth[1].any() and (np.isnan(scores.precision).all(axis=(0, 2, 3)) == [True, False, True]).all()


def test_rounding_comes_before_the_comparison():
    """Of two cars, 4 m long, one is 0.4 m off along its length, which rounds to 0: an IoU of 0.82 to 1."""
    images = []
    for place in (20.0, 30.0):
        car = np.array([[0.0, 1.0, 2, 4, 0, 1.0, place, -2.0]])
        truth = {"boxes": np.array([[0, 0, 90, 90]]), "classes": [1], "ignored": [False], "names": ["Car"]}
        truth |= {"truncated": [0], "occluded": [0], **from_columns(car)}
        off = np.array([[0, 0, 0, 0, 0, 0, 0.4 * (place == 20), 0]])
        images.append(({"boxes": truth["boxes"], "classes": [1], "scores": [0.9], **from_columns(car + off)}, truth))
    exact, rounded = (score(images, iou="0.9", digits=digits) for digits in (None, 0))
    assert exact.main["3D AP"] < 1 and rounded.main["3D AP"] == 1


@pytest.mark.parametrize(
    ("iou", "message"),
    [
        ("kiti", "IoU 'kiti' of 3D boxes is unknown. Did you mean 'kitti'. Expected original, kitti, or a number"),
        ("1.5", "IoU 1.5 of 3D boxes is out of range. Expected original"),
        ("nan", "IoU nan of 3D boxes is out of range"),
    ],
)
def test_impossible_settings(iou, message):
    with pytest.raises(UsageError, match=message):
        KittiBoxes3d(NAMES, iou)
