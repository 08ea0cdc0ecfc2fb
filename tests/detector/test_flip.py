"""The flip test: by hand, against activations spelled out, and through a detector."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.detector.detector import Detector
from centernet_tf.losses import gather_cells, whole_map
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Head, unmirrored


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def swap_pairs(values):
    return values[..., ::-1] * -1.0


def test_by_hand():
    """A row of three cells; the network says of the mirror image something else in each."""
    heads = (
        Head("heatmap", 1, heatmap=True, mirror=unmirrored),
        Head("size", 1, mirror=unmirrored),
        Head("offset", 1),
        Head("vectors", 2, mirror=swap_pairs),
    )
    outputs = {
        "heatmap": [[[0], [2], [-3]], [[1], [-1], [4]]],
        "size": [[[10], [20], [30]], [[1], [2], [3]]],
        "offset": [[[0.1], [0.2], [0.3]], [[7], [8], [9]]],
        "vectors": [[[1, 10], [2, 20], [3, 30]], [[100, 200], [300, 400], [500, 600]]],
    }
    joined = flip.join_sides({name: np.array(map_, np.float32)[:, None] for name, map_ in outputs.items()}, heads)
    joined = {name: ops.convert_to_numpy(map_)[0, 0] for name, map_ in joined.items()}
    scores = (sigmoid([0, 2, -3]) + sigmoid([4, -1, 1])) / 2
    np.testing.assert_allclose(sigmoid(joined["heatmap"][:, 0]), scores, rtol=1e-6)
    np.testing.assert_allclose(joined["size"][:, 0], [6.5, 11, 15.5])
    np.testing.assert_allclose(joined["offset"][:, 0], [0.1, 0.2, 0.3])
    # Columns back, the two channels swapped and negated, then the mean with 1, 10 and so on.
    np.testing.assert_allclose(joined["vectors"][0], [(1 - 600) / 2, (10 - 500) / 2])
    np.testing.assert_allclose(joined["vectors"][2], [(3 - 200) / 2, (30 - 100) / 2])


@pytest.mark.parametrize("mirror", [None, unmirrored, swap_pairs])
def test_a_head_at_centers_is_joined_as_its_map(mirror):
    random = np.random.default_rng(0)
    features = random.normal(size=(4, 3, 5, 6)).astype(np.float32)
    kernel, bias = random.normal(size=(6, 2)).astype(np.float32), random.normal(size=2).astype(np.float32)
    parts = {name: ops.convert_to_tensor(one) for name, one in (("features", features), ("kernel", kernel))}
    parts["bias"] = ops.convert_to_tensor(bias)
    joined = flip.join_sides({"head": parts}, [Head("head", 2, mirror=mirror, at_centers=True)])["head"]
    whole = flip.join_sides({"head": ops.convert_to_tensor(features @ kernel + bias)}, [Head("head", 2, mirror=mirror)])
    expected = ops.convert_to_numpy(whole["head"])
    np.testing.assert_allclose(ops.convert_to_numpy(whole_map(joined)), expected, atol=1e-5)
    index = np.int32([[0, 7, 14], [1, 2, 3]])
    found = ops.convert_to_numpy(gather_cells(joined, index))
    np.testing.assert_allclose(found[0, 1], expected[0, 1, 2], atol=1e-5)
    np.testing.assert_allclose(found[1, 2], expected[1, 0, 3], atol=1e-5)


@pytest.mark.parametrize("second", [-60.0, -15.0, -1.0, 0.0, 3.0, 15.0, 60.0])
@pytest.mark.parametrize("first", [-60.0, -9.5, 0.0, 0.25, 8.0, 30.0])
def test_mean_of_scores_is_precise_at_both_ends(first, second):
    logits = float(ops.convert_to_numpy(flip.mean_score(np.float32(first), np.float32(second))))
    mean = (sigmoid(first) + sigmoid(second)) / 2
    assert sigmoid(logits) == pytest.approx(mean, rel=1e-5)
    assert sigmoid(-logits) == pytest.approx((sigmoid(-first) + sigmoid(-second)) / 2, rel=1e-5)


def test_equal_sides_change_nothing():
    logits = np.linspace(-20, 20, 41, dtype=np.float32)
    np.testing.assert_allclose(flip.mean_score(logits, logits), logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("specific", [False, True])
def test_what_the_original_ema_weights(specific):
    heads = {head.name: head.mirror for head in Centers(3, class_specific_size=specific).heads()}
    assert heads == {"heatmap": unmirrored, "size": unmirrored, "offset": None}


class Lopsided(keras.Model):
    """Scores cells by their mean red, and more so in the left half; sizes grow to the right."""

    def call(self, images, training=False):
        cells = ops.average_pool(images, 4, 4)
        width = ops.shape(cells)[2]
        right = ops.cast(ops.arange(width), "float32")[None, None, :, None] / width + cells[..., :1] * 0
        heatmap = ops.concatenate([cells[..., :1] * 16 - 8 - 4 * right, right * 0 - 9], axis=-1)
        size = ops.concatenate([4 + 8 * right, 4 + right], axis=-1)
        return {"heatmap": [heatmap], "offset": [cells[..., :2] * 0 + 0.25], "size": [size]}


@pytest.mark.parametrize("input_size", [(64, 64), None])
def test_a_detector_sees_both_sides(spot_card, draw_spots, input_size):
    image = draw_spots(96, 64, (30, 40, 0), (70, 20, 0))
    detector = Detector(Lopsided(), spot_card).with_input(input_size)
    found = detector.with_options(flip=True)(image, threshold=0.1)
    plain, mirrored = detector(image, threshold=0.1), detector(image[:, ::-1].copy(), threshold=0.1)
    assert len(found) == len(plain) == 2
    # Both spots are 4 + 8 right wide here, 4 + 8 (1 - right) there.
    widths = found.boxes[:, 2] - found.boxes[:, 0]
    scale = 1 if input_size is None else 96 / 64
    np.testing.assert_allclose(widths, 4 * 8 * scale, atol=4 * scale)
    assert np.ptp(widths) < 0.01 < np.ptp(plain.boxes[:, 2] - plain.boxes[:, 0])
    assert found.scores.min() > min(plain.scores.min(), mirrored.scores.min())


def test_symmetric_networks_gain_nothing(spot_network, spot_card, draw_spots):
    detector = Detector(spot_network, spot_card)
    image = draw_spots(100, 80, (30, 40, 0), (70, 20, 1))
    once, twice = detector(image, 0.1), detector.with_options(flip=True)(image, 0.1)
    np.testing.assert_allclose(once.boxes, twice.boxes, atol=1e-4)
    np.testing.assert_allclose(once.scores, twice.scores, rtol=1e-5)
