import numpy as np
import pytest

from centernet_tf.errors import DataError
from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.voc import VocBoxes

NOTHING = {"boxes": [], "scores": [], "classes": []}
BOX = {"boxes": [[1, 2, 3, 4]], "scores": [0.5], "classes": [0]}

METRICS = pytest.mark.parametrize("metric", [CocoBoxes, VocBoxes])


@METRICS
def test_no_images(metric):
    with pytest.raises(DataError, match="Nothing to evaluate: the data set has no images"):
        metric(["cat"]).result()


@METRICS
def test_no_names(metric):
    with pytest.raises(DataError, match="needs the names of the classes"):
        metric([])


@METRICS
def test_image_without_anything(metric):
    counter = metric(["cat"])
    counter.add(7, NOTHING, NOTHING)
    scores = counter.result()
    assert (scores.images, scores.detections, scores.truth.tolist()) == (1, 0, [0])
    assert np.isnan(scores.ap).all()


@METRICS
@pytest.mark.parametrize(
    "detections, truth, message",
    [
        ({**BOX, "scores": [0.5, 0.5]}, BOX, r"detections of image 3: scores have shape \(2,\), but there are 1 boxes"),
        ({**BOX, "scores": [np.nan]}, BOX, "detections of image 3: scores hold NaN"),
        ({**BOX, "boxes": [[0, 0, np.inf, 1]]}, BOX, "detections of image 3: boxes hold NaN or infinity"),
        ({**BOX, "classes": [2]}, BOX, "detections of image 3: classes run from 2 to 2, expected 0 to 1"),
        (BOX, {**BOX, "classes": [-1]}, "truth of image 3: classes run from -1 to -1"),
        (BOX, {**BOX, "crowd": [0, 1]}, r"truth of image 3: crowd have shape \(2,\)"),
        (BOX, {**BOX, "area": [np.nan]}, "truth of image 3: area hold NaN"),
        (BOX, {**BOX, "boxes": np.ones((2, 4))}, r"truth of image 3: classes have shape \(1,\), but there are 2"),
    ],
)
def test_wrong_rows(metric, detections, truth, message):
    with pytest.raises(DataError, match=message):
        metric(["cat", "dog"]).add(3, detections, truth)


@METRICS
def test_an_image_counts_once(metric):
    counter, other = metric(["cat"]), metric(["cat"])
    counter.add(3, BOX, BOX)
    with pytest.raises(DataError, match="Image 3 came twice"):
        counter.add(np.int64(3), BOX, BOX)
    other.add(3, BOX, BOX)
    with pytest.raises(DataError, match=r"Images \[3\] came twice"):
        counter.merge(other)
    with pytest.raises(DataError, match="different classes"):
        counter.merge(metric(["dog"]))


@METRICS
def test_order_and_workers_do_not_matter(metric, random_scene):
    images = random_scene(images=12, classes=3, ties=True)
    names = ["a", "b", "c"]
    one = metric(names)
    for image_id, found, truth in images:
        one.add(image_id, found, truth)
    workers = [metric(names) for _ in range(3)]
    for number, image in enumerate(reversed(images)):
        workers[number % 3].add(*image)
    merged = metric(names)
    for worker in reversed(workers):
        merged.merge(worker)
    np.testing.assert_array_equal(one.result().ap, merged.result().ap)
    for first, second in zip(one.result().precision, merged.result().precision):
        np.testing.assert_array_equal(first, second)


@METRICS
def test_arrays_are_not_changed_or_kept(metric):
    boxes = np.array([[1.0, 2, 3, 4]])
    counter = metric(["cat"])
    counter.add(1, {**BOX, "boxes": boxes}, BOX)
    boxes[:] = 100
    assert counter.images[1].found["boxes"].tolist() == [[1, 2, 3, 4]]
    assert counter.images[1].truth["area"].tolist() == [4]


@pytest.mark.parametrize("values, mean", [([], np.nan), ([np.nan], np.nan), ([np.nan, 0.5, 1.0], 0.75)])
def test_mean_where_known(values, mean):
    np.testing.assert_equal(mean_where_known(np.array(values)), mean)
