"""Masks by convolutions of each centre's own weights, compared with loops over objects and cells."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry import patches
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.mask import Mask, dynamic

GRID = (10, 12)


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def slow_mask(vector, features, x, y):
    """A mask's probability where these features [8] are, so many cells from the object's own."""
    kernels = np.split(np.asarray(vector, float), np.cumsum([80, 64, 8, 8, 8]))
    first, second, third, bias1, bias2, bias3 = kernels
    seen = np.concatenate([features, [x / 128, y / 128]])
    hidden = np.maximum(first.reshape(8, 10) @ seen + bias1, 0)
    hidden = np.maximum(second.reshape(8, 8) @ hidden + bias2, 0)
    return 1 / (1 + np.exp(-(third @ hidden + bias3[0])))


def maps_of(seed, batch=2):
    random = np.random.default_rng(seed)
    return {
        "seg_feat": random.normal(size=(batch, *GRID, 8)).astype(np.float32),
        "conv_weight": random.normal(size=(batch, *GRID, dynamic.WEIGHTS)).astype(np.float32),
    }


def test_the_loss_equals_the_slow_one(gradients):
    maps, random = maps_of(0), np.random.default_rng(1)
    cells = np.array([[[3, 2], [11, 9]], [[0, 0], [5, 5]]])
    target = {
        "index": (cells[..., 1] * GRID[1] + cells[..., 0]).astype(np.int32),
        "cell": cells.astype(np.float32),
        "mask": np.float32([[1, 1], [0, 1]]),
        "value": random.random((2, 2, *GRID)).astype(np.float32),
    }
    errors = []
    for image, number in np.argwhere(target["mask"]):
        x, y = cells[image, number]
        vector, found = maps["conv_weight"][image, y, x], np.zeros(GRID)
        for row, column in np.ndindex(GRID):
            found[row, column] = slow_mask(vector, maps["seg_feat"][image, row, column], column - x, row - y)
        wanted = target["value"][image, number]
        errors.append(1 - 2 * (found * wanted).sum() / ((found**2).sum() + (wanted**2).sum() + 1e-5))
    loss = dynamic.dice(*(ops.convert_to_tensor(one) for one in maps.values()), target)
    assert float(numpy_of(loss)) == pytest.approx(np.mean(errors), rel=1e-5)
    moved = gradients(lambda one: dynamic.dice(one["seg_feat"][0], one["conv_weight"][0], target), maps)
    weights = np.abs(moved["conv_weight"]).sum(axis=-1)
    assert np.argwhere(weights).tolist() == [[0, 2, 3], [0, 9, 11], [1, 5, 5]]


def test_without_masks_nothing_is_lost_and_nothing_moves(gradients):
    target = {
        "index": np.zeros((2, 3), np.int32),
        "cell": np.zeros((2, 3, 2), np.float32),
        "mask": np.zeros((2, 3), np.float32),
        "value": np.zeros((2, 3, *GRID), np.float32),
    }
    moved = gradients(lambda one: dynamic.dice(one["seg_feat"][0], one["conv_weight"][0], target), maps_of(0))
    assert not any(np.any(one) for one in moved.values())
    none = {name: values[:, :0] for name, values in target.items()}
    assert float(numpy_of(dynamic.dice(*map(ops.convert_to_tensor, maps_of(0).values()), none))) == 0


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_masks_equal_the_slow_ones(margin):
    maps = maps_of(3, batch=1)
    boxes = np.float32([[[2, 1, 6, 7], [-2, 5, 5, 12]]])
    peaks = {"index": np.int32([[3 * GRID[1] + 4, 8 * GRID[1] + 1]]), "cell": np.float32([[[4, 3], [1, 8]]])}
    tensors = {name: ops.convert_to_tensor(one) for name, one in maps.items()}
    found = numpy_of(dynamic.decode(tensors, peaks, ops.convert_to_tensor(boxes), (6, 4), margin)["masks"])
    assert found.shape == (1, 2, 6, 4)
    for number, box in enumerate(boxes[0].astype(float)):
        sides = box[2:] - box[:2]
        (left, top), (right, bottom) = box[:2] - margin * sides, box[2:] + margin * sides
        center = peaks["cell"][0, number].astype(int)
        vector = maps["conv_weight"][0, center[1], center[0]]
        for row, column in np.ndindex(6, 4):
            x, y = left + (column + 0.5) / 4 * (right - left), top + (row + 0.5) / 6 * (bottom - top)
            inner = np.clip([y, x], 0, np.array(GRID) - 1)
            low = np.floor(inner).astype(int)
            high, part = np.minimum(low + 1, np.array(GRID) - 1), inner - low
            corners = maps["seg_feat"][0][np.ix_([low[0], high[0]], [low[1], high[1]])]
            share = np.outer([1 - part[0], part[0]], [1 - part[1], part[1]])
            wanted = slow_mask(vector, (corners * share[..., None]).sum(axis=(0, 1)), x - center[0], y - center[1])
            assert found[0, number, row, column] == pytest.approx(wanted, abs=2e-4)


def test_a_mask_may_leave_its_box():
    """Weights that say yes wherever the first feature is above a half."""
    vector = np.zeros(dynamic.WEIGHTS, np.float32)
    vector[0] = vector[80] = 1  # the first feature, handed on
    vector[144], vector[168] = 20, -10
    maps = {"seg_feat": np.zeros((1, 16, 16, 8), np.float32), "conv_weight": np.tile(vector, (1, 16, 16, 1))}
    maps["seg_feat"][0, 4:12, 2:14, 0] = 1
    tensors = {name: ops.convert_to_tensor(one) for name, one in maps.items()}
    box = np.float32([[[4, 4, 11, 12]]])
    peaks = {"index": np.int32([[8 * 16 + 8]]), "cell": np.float32([[[8, 8]]])}
    found = numpy_of(dynamic.decode(tensors, peaks, ops.convert_to_tensor(box), (64, 64), 0.5)["masks"])[0]
    steps = np.arange(16, dtype=np.float32)
    inside = patches.paste(found, patches.widened(box[0], 0.5), steps, steps)[0] > 0.5
    y, x = np.nonzero(inside)
    assert (x.min(), x.max(), y.min(), y.max()) == (2, 13, 4, 11)


def test_targets_are_masks_on_the_grid(rows):
    tasks = build_tasks({"mask": Mask(head="dynamic")}, Centers(3))
    truth = rows(tasks.fields, (64, 96), objects=2)
    truth["masks"][0, 1] = 0
    target = numpy_of(tasks.encode(truth, (16, 24)))["mask"]
    assert target["mask"][0].tolist() == [1, 0, 0, 0, 0] and target["value"].shape == (2, 5, 16, 24)
    left, top, right, bottom = truth["boxes"][0, 0] / STRIDE
    y, x = np.nonzero(target["value"][0, 0] >= 0.5)
    assert left <= x.min() and x.max() <= right and top <= y.min() and y.max() <= bottom
    assert (len(y) / ((right - left) * (bottom - top))) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("head", ["product", "dynamic"])
def test_heads_and_what_is_found(head):
    tasks = build_tasks({"mask": Mask(head=head)}, Centers(3))
    (masks,) = tasks.properties
    told = {
        "product": (("shape", 1024), ("saliency", 3), 0.4, 0.0),
        "dynamic": (("seg_feat", 8), ("conv_weight", 169), 0.5, 0.5),
    }
    assert (*((one.name, one.channels) for one in tasks.heads[3:]), masks.threshold, masks.margin) == told[head]
    assert [term.weight for term in tasks.terms if term.name == "mask"] == [{"product": 1, "dynamic": 3}[head]]
