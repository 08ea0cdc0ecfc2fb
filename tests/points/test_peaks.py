"""The best local maxima of heatmaps, and the boxes at them, without targets."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import Centers
from centernet_tf.points.peaks import best_of_each, cells_of, local_maxima

GRIDS = [(8, 8), (16, 11), (5, 24), (30, 32)]


def decode(outputs, centers: Centers):
    outputs = {name: ops.convert_to_tensor(np.float32(values)) for name, values in outputs.items()}
    return {name: ops.convert_to_numpy(v) for name, v in centers.decode(outputs, centers.peaks(outputs)).items()}


def slow_peaks(scores, count):
    """[(score, class, x, y)] of the largest cells of their neighbourhoods, best first."""
    height, width, classes = scores.shape
    found = []
    for y, x, label in np.ndindex(height, width, classes):
        around = scores[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2, label]
        if scores[y, x, label] == around.max():
            found.append((scores[y, x, label], label, x, y))
    return sorted(found, reverse=True)[:count]


@pytest.mark.parametrize("flat", [False, True], ids=["cells first", "one list"])
@pytest.mark.parametrize("grid", GRIDS)
def test_peaks_equal_the_slow_twin(grid, flat):
    random = np.random.default_rng(0)
    logits = random.normal(-1, 2, (4, *grid, 3)).astype(np.float32)
    offset = random.random((4, *grid, 2), np.float32)
    centers = Centers(num_classes=3, max_objects=10, flat=flat)
    peaks = centers.peaks({"heatmap": ops.convert_to_tensor(logits), "offset": ops.convert_to_tensor(offset)})
    peaks = {name: ops.convert_to_numpy(values) for name, values in peaks.items()}
    for image in range(4):
        expected = slow_peaks(1 / (1 + np.exp(-logits[image].astype(float))), 10)
        for number, (score, label, x, y) in enumerate(expected):
            assert peaks["scores"][image, number] == pytest.approx(score, abs=1e-6)
            assert peaks["classes"][image, number] == label
            assert peaks["cell"][image, number].tolist() == [x, y]
            assert peaks["index"][image, number] == y * grid[1] + x
            np.testing.assert_allclose(peaks["center"][image, number], offset[image, y, x] + [x, y], rtol=1e-6)


def test_scores_that_tell_the_overlap_equal_the_slow_twin():
    random = np.random.default_rng(1)
    maps = {"heatmap": random.normal(-1, 2, (2, 9, 8, 3)), "offset": random.random((2, 9, 8, 2))}
    maps["iou"] = random.normal(0, 2, (2, 9, 8, 1))
    outputs = {name: ops.convert_to_tensor(values.astype(np.float32)) for name, values in maps.items()}
    centers = Centers(num_classes=3, max_objects=100, iou_aware=0.6)  # more than there are peaks
    peaks = {name: ops.convert_to_numpy(values) for name, values in centers.peaks(outputs).items()}
    points = centers.peaks_at(outputs, ops.convert_to_tensor(peaks["index"]))
    points = {name: ops.convert_to_numpy(values) for name, values in points.items()}
    for image in range(2):
        found = slow_peaks(1 / (1 + np.exp(-maps["heatmap"][image])), 100)
        told = 1 / (1 + np.exp(-maps["iou"][image, ..., 0]))
        scored = [(score**0.4 * told[y, x] ** 0.6, label, x, y) for score, label, x, y in found]
        for number, (score, label, x, y) in enumerate(sorted(scored, reverse=True)):
            assert peaks["scores"][image, number] == pytest.approx(score, abs=1e-6)
            assert peaks["classes"][image, number] == label and peaks["index"][image, number] == 8 * y + x
            np.testing.assert_allclose(peaks["center"][image, number], maps["offset"][image, y, x] + [x, y], rtol=1e-6)
            assert points["class_scores"][image, number, label] == pytest.approx(score, abs=1e-6)
            assert points["scores"][image, number] >= score - 1e-6
        assert len(found) < 100 and not peaks["scores"][image, len(found) :].any()


def test_few_objects_are_the_best_of_many_where_scores_tell_the_overlap():
    random = np.random.default_rng(2)
    maps = {"heatmap": random.normal(-1, 2, (2, 12, 12, 2)), "iou": random.normal(0, 3, (2, 12, 12, 1))}
    outputs = {name: ops.convert_to_tensor(values.astype(np.float32)) for name, values in maps.items()}
    many, few = (Centers(2, max_objects=count, iou_aware=0.6).peaks(outputs) for count in (100, 3))
    for name, values in few.items():
        np.testing.assert_array_equal(ops.convert_to_numpy(values), ops.convert_to_numpy(many[name])[:, :3])


def test_equal_neighbours_are_both_peaks():
    logits = np.full((1, 4, 4, 1), -5, np.float32)
    logits[0, 1, 1:3] = 2
    outputs = {"heatmap": ops.convert_to_tensor(logits), "offset": ops.zeros((1, 4, 4, 2))}
    peaks = Centers(num_classes=1, max_objects=2).peaks(outputs)
    assert sorted(ops.convert_to_numpy(peaks["cell"])[0].tolist()) == [[1, 1], [2, 1]]


@pytest.mark.parametrize("shift", [0.25, 0.5], ids=["offset", "middle of the cell"])
def test_decode_as_published(shift):
    scores = np.zeros((1, 4, 4, 2), np.float32)
    scores[0, 1, 1, 0], scores[0, 1, 2, 0], scores[0, 3, 3, 1] = 0.9, 0.8, 0.6
    centers = Centers(num_classes=2, max_objects=3)
    offset, size = (ops.full((1, 4, 4, 2), value) for value in (shift, 2.0))
    found = centers.decode({"size": size}, centers.peaks_of_scores(ops.convert_to_tensor(scores), offset))
    found = {name: ops.convert_to_numpy(values)[0] for name, values in found.items()}
    np.testing.assert_allclose(found["scores"], [0.9, 0.6, 0], atol=1e-6)
    assert found["classes"][:2].tolist() == [0, 1]
    np.testing.assert_allclose(found["boxes"][:2] - shift, [[0, 0, 2, 2], [2, 2, 4, 4]], atol=1e-6)


@pytest.mark.parametrize("flat", [False, True], ids=["cells first", "one list"])
def test_grid_with_fewer_cells_than_detections(flat):
    centers = Centers(num_classes=2, max_objects=50, flat=flat)
    outputs = {"heatmap": np.full((3, 2, 3, 2), -9.0), "offset": np.zeros((3, 2, 3, 2)), "size": np.ones((3, 2, 3, 2))}
    outputs["heatmap"][:, 1, 2, 1] = 9
    found = decode(outputs, centers)
    assert {name: values.shape for name, values in found.items()} == {
        "boxes": (3, 50, 4),
        "scores": (3, 50),
        "classes": (3, 50),
    }
    np.testing.assert_allclose(found["boxes"][:, 0], [[1.5, 0.5, 2.5, 1.5]] * 3)
    assert (found["classes"][:, 0] == 1).all() and (found["scores"][:, 12:] == 0).all()
    assert found["classes"].min() >= 0 and found["classes"].max() <= 1


def test_compiled_decode_of_any_batch():
    """The same graph serves every batch size, and gives what eager arithmetic gives."""
    centers = Centers(num_classes=2, max_objects=5, class_specific_size=True)

    class Decoder(keras.Model):
        def call(self, outputs):
            return centers.decode(outputs, centers.peaks(outputs))

    random, model = np.random.default_rng(0), Decoder()
    for batch in (1, 3, 2):
        outputs = {
            name: random.normal(size=(batch, 6, 7, depth)).astype(np.float32)
            for name, depth in (("heatmap", 2), ("offset", 2), ("size", 4))
        }
        compiled = model.predict(outputs, verbose=0)
        # Image by image, so that JAX compiles the operations of one shape.
        alone = [decode({n: one[image, None] for n, one in outputs.items()}, centers) for image in range(batch)]
        eager = {name: np.concatenate([one[name] for one in alone]) for name in alone[0]}
        for name, values in eager.items():
            np.testing.assert_allclose(compiled[name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grid", [(16, 11), (2, 3)])
def test_the_best_of_each_channel_equal_the_slow_twin(grid):
    scores = np.random.default_rng(0).random((3, *grid, 2)).astype(np.float32)
    best, index = best_of_each(local_maxima(ops.convert_to_tensor(scores)), 10)
    best, cells = ops.convert_to_numpy(best), ops.convert_to_numpy(cells_of(index, grid[1]))
    assert best.shape == (3, 2, 10)
    for image, channel in np.ndindex(3, 2):
        expected = slow_peaks(scores[image, :, :, channel, None], 10)
        assert expected and not best[image, channel, len(expected) :].any()
        for number, (score, _, x, y) in enumerate(expected):
            assert best[image, channel, number] == score
            assert cells[image, channel, number].tolist() == [x, y]
