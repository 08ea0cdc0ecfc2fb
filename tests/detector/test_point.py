"""What is at chosen points equals what is found there; points that cannot be answered."""

import functools

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.usefixtures("eagerly")

SIZE = (64, 96)
NAMES = ("a", "b", "c")
TASKS_OF = {
    "mask": {"side": 8},
    "pose": {"skeleton": {"keypoints": ["nose", "tail"]}},
    "box3d": {"camera": [[60, 0, 40, 0], [0, 60, 30, 0], [0, 0, 1, 0]]},
    "reid": {"identities": [3, 3, 3], "embedding": 5, "associates": False},
}


@functools.cache
def detector_of(names, mode="fixed", **options):
    """A network that was never trained, around heads that say something else in every cell."""
    keras.utils.set_random_seed(1)
    card = ModelCard(
        tasks={name: TASKS_OF.get(name, {}) for name in names},
        backbone="tiny",
        classes=NAMES,
        max_objects=6,
        input=InputCard(height=SIZE[0], width=SIZE[1], stride=4, mode=mode),
    )
    tasks, random = card.task_set(), np.random.default_rng(0)
    network = build_network(card.backbone, tasks.heads, tasks.inputs)
    for weight in network.weights:
        if "_out/kernel" in weight.path:
            weight.assign(random.normal(size=weight.shape, scale=0.3))
        if weight.path.startswith("offset") and weight.path.endswith("_out/kernel"):
            weight.assign(np.zeros(weight.shape))
        if weight.path.startswith(("offset", "size")) and weight.path.endswith("_out/bias"):
            weight.assign(np.full(weight.shape, 0.5 if weight.path.startswith("offset") else 8.0))
    detector = Detector(network, card)
    return detector.with_options(**options) if options else detector


def image_of(height=60, width=90, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("names", "mode", "options"),
    [
        (("detect",), "fixed", {}),
        (("mask", "pose"), "keep", {"flip": True}),
        pytest.param(("mask", "box3d"), "fixed", {}, marks=pytest.mark.long),
        pytest.param(("reid",), "fixed", {}, marks=pytest.mark.long),
    ],
)
def test_points_at_centers_find_the_same(names, mode, options):
    detector, image = detector_of(names, mode, **options), image_of()
    found = detector(image, threshold=0.0)
    centers = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    inside = np.all((centers >= 0) & (centers <= (90, 60)), axis=1)
    found, centers = found[inside], centers[inside]
    assert len(found) >= 3
    there = detector.at_points(image, centers)
    # A cell may be the centre of objects of several classes, of which the best is told.
    best = np.isclose(there.scores, found.scores, atol=1e-5)
    assert best.sum() >= 3 and (there.scores >= found.scores - 1e-5).all()
    np.testing.assert_array_equal(there.classes[best], found.classes[best])
    for name, values in found[best].rows.items():
        if name not in found.extras:
            np.testing.assert_allclose(there[best].rows[name], values, rtol=1e-3, atol=1e-3, err_msg=name)
    scores = there.fields["class_scores"]
    assert scores.shape == (len(there), len(NAMES))
    np.testing.assert_allclose(scores.max(axis=1), there.scores)
    np.testing.assert_array_equal(scores.argmax(axis=1), there.classes)


def test_rows_are_in_the_order_of_the_points():
    detector, image = detector_of(("mask",)), image_of()
    points = np.random.default_rng(1).uniform(2, 58, (5, 2))
    there = detector.at_points(image, points)
    for number, point in enumerate(points[:1]):
        alone = detector.at_points(image, [point])
        np.testing.assert_allclose(alone.boxes[0], there.boxes[number], atol=1e-3)
        np.testing.assert_allclose(alone.fields["masks"][0], there.fields["masks"][number], atol=1e-4)
    swapped = detector.at_points(image, points[::-1])
    np.testing.assert_allclose(swapped.boxes[::-1], there.boxes, atol=1e-3)


def test_no_point_is_no_object():
    found = detector_of(("mask",)).at_points(image_of(), [])
    assert len(found) == 0 and found.fields["masks"].shape[1:] == (64, 64)
    assert found.image_size == (90, 60)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1, 2], r"shape \(2,\).*\[\[x, y\]"),
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        ([[1, 2], [91, 5]], r"point 1 is \(91, 5\), outside of the image of 90 x 60"),
        ([[-0.5, 2]], "point 0 is"),
        ([[np.nan, 2]], "point 0 is"),
        ([["a", "b"]], "points: "),
    ],
)
def test_points_that_are_none_of_the_image(points, message):
    with pytest.raises(UsageError, match=message):
        detector_of(("detect",)).at_points(image_of(), points)


def test_a_point_that_the_input_does_not_show():
    detector, tall = detector_of(("detect",)), image_of(90, 90)  # of which 96 x 64 pixels show the middle
    assert len(detector.at_points(tall, [[45, 45]])) == 1
    with pytest.raises(UsageError, match=r"\(45, 2\) lies in a part .* with_input"):
        detector.at_points(tall, [[45, 45], [45, 2]])
    assert len(detector.with_input(None).at_points(tall, [[45, 2]])) == 1


@pytest.mark.parametrize("options", [{"scales": (0.5, 1)}, {"nms": True}, {"tile": (64, 64)}])
def test_options_that_search_more_than_once(options):
    with pytest.raises(UsageError, match="Leave tile, scales and nms out"):
        detector_of(("detect",), **options).at_points(image_of(), [[3, 3]])
