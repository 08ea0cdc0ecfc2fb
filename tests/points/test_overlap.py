import math

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points import overlap
from centernet_tf.points.overlap import APART, BOX_LOSSES, LEAST, positive

FASTEST = {"run_eagerly": True} if keras.backend.backend() == "tensorflow" else {"jit_compile": True}


def slow_iou(one, other):
    """IoU and the union of two boxes [4], left, top, right, bottom."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    union = sum(areas) - width * height
    return width * height / union, union


def slow_loss(kind, one, other):
    """As the papers write it, one box in float64."""
    iou, union = slow_iou(one, other)
    if kind == "iou":
        return -math.log((iou + APART) / (1 + APART))
    hull = [min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])]
    if kind == "giou":
        area = (hull[2] - hull[0]) * (hull[3] - hull[1])
        return 1 - (iou - (area - union) / area)
    middles = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (one, other)]
    apart = math.dist(*middles) ** 2 / ((hull[2] - hull[0]) ** 2 + (hull[3] - hull[1]) ** 2)
    if kind == "diou":
        return 1 - iou + apart
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (one, other)]
    differ = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return 1 - iou + apart + (differ**2 / (1 - iou + differ) if differ else 0.0)


def cases(count=300, edges=False):
    """Maps of boxes, and wanted ones in half of their cells: apart, overlapping, the same."""
    random = np.random.default_rng(0)
    shape = (2, count // 10, 5)
    maps = {"offset": random.normal(0, 2, (*shape, 2)), "size": random.uniform(LEAST, 9, (*shape, 4 if edges else 2))}
    shift = maps["offset"].reshape(2, -1, 2).copy()
    half = maps["size"].reshape(2, -1, maps["size"].shape[-1])
    wanted = half if edges else np.concatenate([half, half], axis=-1) / 2
    other = random.random((2, count // 2, 1)) < 0.8
    shift = np.where(other, shift + random.normal(0, 3, shift.shape), shift)
    wanted = np.where(other, random.uniform(0.1, 9, wanted.shape), wanted)
    mask = random.random((2, count // 2, 1)) * (random.random((2, count // 2, 1)) < 0.5)
    target = {"mask": mask, "shift": shift, "edges": wanted}
    return as_float32(maps), as_float32(target)


def as_float32(arrays):
    return {name: ops.convert_to_tensor(np.float32(values)) for name, values in arrays.items()}


def boxes_of(shift, sides):
    sides = sides if sides.shape[-1] == 4 else np.concatenate([sides, sides], axis=-1) / 2
    return np.concatenate([shift - sides[..., :2], shift + sides[..., 2:]], axis=-1).reshape(-1, 4)


def number(value):
    return float(ops.convert_to_numpy(value))


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("kind", BOX_LOSSES)
def test_losses_equal_the_slow_twin(kind, edges):
    maps, target = cases(edges=edges)
    arrays = {name: np.float64(ops.convert_to_numpy(values)) for name, values in (maps | target).items()}
    found, wanted = boxes_of(arrays["offset"], arrays["size"]), boxes_of(arrays["shift"], arrays["edges"])
    each = np.array([slow_loss(kind, *pair) for pair in zip(found, wanted)])
    weights = arrays["mask"].ravel()
    assert (each < 1e-6).any() and (each > 1).any()
    expected = (each * weights).sum() / (weights.sum() + 1e-4)
    assert number(BOX_LOSSES[kind](maps["offset"], maps["size"], target)) == pytest.approx(expected, rel=1e-4)


def test_cells_may_be_listed():
    maps, target = cases()
    index = ops.convert_to_tensor(np.int32([[3, 0, 77], [5, 5, 1]]))
    listed = {name: ops.take_along_axis(values, index[..., None], axis=1) for name, values in target.items()}
    listed["mask"] = ops.ones((2, 3, 1))
    dense = np.zeros((2, 150, 1), np.float32)
    np.add.at(dense, (np.repeat([0, 1], 3), ops.convert_to_numpy(index).ravel()), 1)
    expected = overlap.giou(maps["offset"], maps["size"], {**target, "mask": dense})
    found = overlap.giou(maps["offset"], maps["size"], {**listed, "index": index})
    assert number(found) == pytest.approx(number(expected), rel=1e-5)


def test_told_overlap_is_that_of_the_box_that_is_found():
    maps, target = cases()
    arrays = {name: np.float64(ops.convert_to_numpy(values)) for name, values in (maps | target).items()}
    pairs = zip(boxes_of(arrays["offset"], arrays["size"]), boxes_of(arrays["shift"], arrays["edges"]))
    truth = np.array([slow_iou(*pair)[0] for pair in pairs]).clip(1e-6, 1 - 1e-6)
    weights, logits = arrays["mask"].ravel(), np.random.default_rng(1).normal(0, 3, truth.shape)
    told = 1 / (1 + np.exp(-logits))
    each = -truth * np.log(told) - (1 - truth) * np.log(1 - told)
    iou = ops.convert_to_tensor(np.float32(logits.reshape(2, 30, 5, 1)))
    found = number(overlap.score(maps["offset"], maps["size"], iou, target))
    assert found == pytest.approx((each * weights).sum() / (weights.sum() + 1e-4), rel=1e-4)


def test_positive_bends_without_a_corner():
    sides = np.linspace(-50, 3, 2000, dtype=np.float32)
    found = ops.convert_to_numpy(positive(ops.convert_to_tensor(sides)))
    np.testing.assert_array_equal(found[sides > LEAST], sides[sides > LEAST])
    slopes = np.diff(found) / np.diff(sides)
    assert (found > 0).all() and (slopes > 0).all() and abs(np.diff(slopes)).max() < 0.2


class Boxes(keras.Model):
    """Two maps that a loss trains; a step of SGD at rate 1 walks their gradient."""

    def __init__(self, maps, function):
        super().__init__()
        self.maps = [self.add_weight(shape=one.shape, initializer="zeros") for one in maps]
        for weight, one in zip(self.maps, maps):
            weight.assign(one)
        self.function = function

    def call(self, inputs):
        return inputs + 0 * sum(ops.sum(one) for one in self.maps)

    def compute_loss(self, *arguments, **settings):
        return self.function(*(ops.convert_to_tensor(one) for one in self.maps))


def gradients(function, *maps):
    model = Boxes(maps, function)
    model.compile(optimizer=keras.optimizers.SGD(1.0), **FASTEST)
    model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return [one - ops.convert_to_numpy(weight) for one, weight in zip(maps, model.maps)]


@pytest.mark.parametrize("kind", BOX_LOSSES)
def test_gradients_are_finite_and_lead_out_of_boxes_without_area(kind):
    sides = np.float32([-1000, -3, 0, 1e-6, 4, 1e6])
    size = np.stack(np.meshgrid(sides, sides), axis=-1)[None]
    offset = np.zeros_like(size)
    offset[0, 1::2] = 1e4
    shape = (1, 36, 1)
    target = {"mask": np.ones(shape), "shift": np.zeros((1, 36, 2)), "edges": np.full((1, 36, 4), 2.0)}
    target = as_float32(target)
    moved, grown = gradients(lambda *maps: BOX_LOSSES[kind](*maps, target), offset, size)
    assert np.isfinite(moved).all() and np.isfinite(grown).all()
    # Widths of -3, 0 and 1e-6, of heights 0 and 4.
    assert (grown[0, [2, 4], 1:4, 0] < 0).all()
    nothing = {**target, "mask": ops.zeros(shape)}
    assert not any(one.any() for one in gradients(lambda *maps: BOX_LOSSES[kind](*maps, nothing), offset, size))
