"""Retrieval: rankings, their average precision, what chance would give, and pictures of it."""

import numpy as np
import pytest

from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks import Tracks
from centernet_tf.properties.tracks.looks import (
    MOST,
    LooksMetric,
    average_precision,
    by_chance,
    nearest,
)
from centernet_tf.results import Detections

BOXES = np.float32([[0, 0, 10, 10], [20, 20, 40, 40], [50, 0, 60, 30]])


def unit(values):
    values = np.asarray(values, np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def frame(metric, image, ids, embeddings, classes=None, boxes=None, video="a"):
    count = len(ids)
    boxes = BOXES[:count] if boxes is None else boxes
    classes = np.zeros(count, int) if classes is None else np.array(classes)
    found = {"boxes": boxes, "scores": np.ones(count), "classes": classes, "embeddings": unit(embeddings)}
    none = np.zeros(count, bool)
    truth = {"boxes": BOXES[:count], "classes": classes, "track_ids": np.array(ids), "crowd": none, "ignored": none}
    metric.update(ImageKey(image, video, image), found, truth)


def test_nothing_found_and_nothing_annotated():
    metric = LooksMetric()
    assert metric.result() is None
    frame(metric, 0, [], np.zeros((0, 4)))
    score = metric.result()
    assert len(score.queries) == 0 and score.shown == [] and score.pictures({}) == {}
    assert score.as_dict() == {
        "looks": {"queries": 0, "identities": 0, "mAP": None, "rank-1": None, "mAP by chance": None}
    }
    assert score.tables()


def test_the_most_alike_come_first():
    rows, alike = nearest(unit([[1, 0], [0, 1]]), unit([[0, 1], [1, 1], [1, 0.1]]), count=2)
    assert rows.tolist() == [[2, 1], [0, 1]]
    np.testing.assert_allclose(alike[:, 1], np.sqrt(0.5), atol=1e-6)
    assert nearest(unit([[1, 0]]), np.zeros((0, 2)))[0].shape == (1, 0)


def test_average_precision_of_rankings():
    assert average_precision(np.array([True, True, False])) == 1
    assert average_precision(np.array([False, True, False, True])) == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize(("right", "count"), [(1, 1), (1, 9), (3, 9), (9, 9)])
def test_chance_is_the_mean_of_all_rankings(right, count):
    random = np.random.default_rng(0)
    ranking = np.arange(count) < right
    mean = np.mean([average_precision(random.permutation(ranking)) for _ in range(20000)])
    assert by_chance(right, count) == pytest.approx(mean, abs=0.01)


def test_each_identity_is_found_again_where_looks_tell():
    metric = LooksMetric()
    for image in range(3):
        frame(metric, image, [4, 9, 7], np.eye(3) + 0.1 * image)
    score = metric.result()
    assert len(score.queries) == 9 and score.figures()["mAP"] == score.figures()["rank-1"] == 1
    assert 0.2 < score.figures()["mAP by chance"] < 0.6


def test_looks_that_tell_nothing_are_as_good_as_chance():
    random, metric = np.random.default_rng(0), LooksMetric()
    for image in range(200):
        frame(metric, image, [image % 2, 2 + image % 3, 9], random.normal(size=(3, 8)))
    figures = metric.result().figures()
    assert figures["mAP"] == pytest.approx(figures["mAP by chance"], abs=0.05)


def test_the_same_number_is_someone_else_in_another_video_and_of_another_class():
    metric = LooksMetric()
    frame(metric, 0, [1, 1], [[1, 0], [1, 0.1]], classes=[0, 1])
    frame(metric, 1, [1, 2], [[1, 0], [1, 0.1]], classes=[0, 1], video="b")
    score = metric.result()
    assert len(score.sights.identities) == 4 and len(score.queries) == 0


def test_who_is_not_found_or_not_known_is_left_out():
    metric = LooksMetric()
    frame(metric, 0, [1, 2, -1], np.eye(3), boxes=BOXES + np.float32([[0], [30], [0]]))
    assert metric.result().sights.identities.tolist() == [0]


def test_a_long_life_is_looked_at_evenly():
    metric = LooksMetric()
    for image in range(1000):
        frame(metric, image, [1], [[1, image]])
    images = metric.result().sights.images
    assert MOST / 2 <= len(images) <= MOST and images.max() > 900 and images[0] == 0
    assert len(set(np.diff(images))) == 1


def test_pictures_show_queries_and_what_is_alike():
    metric = LooksMetric()
    for image in range(4):
        frame(metric, image, [1, 2], np.eye(2) + 0.05 * image)
    score = metric.result()
    images = {number: np.full((50, 70, 3), 40 * number, np.uint8) for number in score.shown}
    picture = score.pictures(images)["looks"]
    assert picture.dtype == np.uint8 and picture.shape == (8 * 64, 8 * 64, 3)
    greens = (picture == (40, 170, 60)).all(axis=-1)
    assert greens[:, 64:256].any(axis=0).sum() > 64 and not greens[:, :64].any()


def test_an_image_whose_objects_nobody_associated_is_drawn_and_told():
    fields = {"embeddings": np.eye(3)}
    found = Detections(BOXES, np.ones(3), np.zeros(3, int), ("a",), (70, 50), fields, (Tracks(),))
    assert found.draw(np.zeros((50, 70, 3), np.uint8)).any()
    assert all("track_id" not in row for row in found.to_coco(1))
