import math

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import losses

CROSS = np.array([[0, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 0]])
LOGITS = np.array([[-2, -1, -2], [-1, 0.5, -1], [-2, 0, -2.0]])


def maps(values) -> np.ndarray:
    """[3, 3] or a number to [1, h, w, 1] float32."""
    return np.atleast_2d(np.float32(values))[None, ..., None]


def focal(logits, heatmap, **more) -> float:
    target = {"heatmap": np.float32(heatmap), **more}
    return float(ops.convert_to_numpy(losses.focal(ops.convert_to_tensor(logits), target)))


def slow_focal(logits, heatmap, ignore=None, high=1.0, class_weights=(1, 1, 1)):
    """Cell by cell in float64."""
    total, centers = 0.0, 0
    for place in np.ndindex(heatmap.shape):
        score = min(max(1 / (1 + math.exp(-float(logits[place]))), 1e-4), 1 - 1e-4)
        truth, weight = float(heatmap[place]), class_weights[place[-1]]
        if truth == 1:
            centers += 1
            total += weight * (1 - score) ** 2 * math.log(score)
        elif (ignore is None or not ignore[place]) and score < high:
            total += weight * (1 - truth) ** 4 * score**2 * math.log(1 - score)
    return -total / centers if centers else -total


class Parameter(keras.Model):
    """One array that is trained by a loss of its own, to get at gradients on any backend."""

    def __init__(self, start, function):
        super().__init__()
        self.array = self.add_weight(shape=start.shape, initializer="zeros")
        self.array.assign(start)
        self.function = function

    def call(self, inputs):
        return inputs + 0 * ops.sum(self.array)

    def compute_loss(self, *arguments, **settings):
        return self.function(ops.convert_to_tensor(self.array))


def gradient(function, start) -> np.ndarray:
    """One step of SGD at rate 1 walks the gradient."""
    start = np.float32(start)
    model = Parameter(start, function)
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return start - ops.convert_to_numpy(model.array)


@pytest.mark.parametrize(
    "heatmap, expected", [(CROSS, 0.0898665), (CROSS * 0.9, 0.0293289)], ids=["one centre", "no centre"]
)
def test_focal_as_published(heatmap, expected):
    assert focal(maps(LOGITS), maps(heatmap)) == pytest.approx(expected, rel=2e-6)
    assert slow_focal(maps(LOGITS), maps(heatmap)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize(
    "logit, truth, expected",
    [
        # p = 0.5 everywhere: 0.25 log 2, by hand.
        (0.0, 1.0, 0.25 * math.log(2)),
        (0.0, 0.0, 0.25 * math.log(2)),
        (0.0, 0.5, 0.25 * math.log(2) / 16),
        # Almost a centre: the neighbour costs next to nothing.
        (0.0, 0.9999, 0.0),
        # Clipped at 1e-4 and 1 - 1e-4.
        (-1000.0, 1.0, -((1 - 1e-4) ** 2) * math.log(1e-4)),
        (1000.0, 0.0, -((1 - 1e-4) ** 2) * math.log(1e-4)),
        (1000.0, 1.0, 0.0),
        (-1000.0, 0.0, 0.0),
    ],
)
def test_focal_of_one_cell(logit, truth, expected):
    assert focal(maps(logit), maps(truth)) == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_focal_counts_centers_of_the_whole_batch():
    """Two centres in one image, none in the other: one division by two, not a mean of images."""
    heatmap = np.zeros((2, 1, 2, 1), np.float32)
    heatmap[0] = 1
    assert focal(np.zeros_like(heatmap), heatmap) == pytest.approx(4 * 0.25 * math.log(2) / 2)


def test_focal_of_a_batch_without_objects_is_not_divided():
    heatmap = np.zeros((3, 4, 5, 2), np.float32)
    assert focal(np.zeros_like(heatmap), heatmap) == pytest.approx(120 * 0.25 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("objects", [True, False])
@pytest.mark.parametrize("option", ["", "ignore", "high", "class_weights"])
def test_focal_equals_the_slow_twin(option, objects):
    random = np.random.default_rng(0)
    logits = random.normal(-2, 3, (2, 5, 6, 3)).astype(np.float32)
    heatmap = random.choice(np.float32([0, 0.3, 0.9, 1 if objects else 0.99]), logits.shape)
    ignore = (random.random(logits.shape) < 0.3).astype(np.float32)
    options = {"ignore": ignore, "high": np.float32(0.85), "class_weights": np.float32([0.2, 3, 1])}
    more = {option: options[option]} if option else {}
    assert focal(logits, heatmap, **more) == pytest.approx(slow_focal(logits, heatmap, **more), rel=1e-5)


@pytest.mark.parametrize("logit, free", [(1.5, False), (2.0, True)])
def test_cells_that_score_high_without_a_center_are_free_of_cost_and_gradient(logit, free):
    logits, heatmap, high = maps([[logit, logit]]), maps([[0, 1.0]]), np.float32(0.85)
    steps = gradient(lambda values: losses.focal(values, {"heatmap": heatmap, "high": high}), logits)
    assert (steps[0, 0, 0, 0] == 0) == free and steps[0, 0, 1, 0] < 0


def test_classes_of_listed_centers_have_their_weights():
    heatmap, logits = np.zeros((1, 2, 2, 2), np.float32), np.zeros((1, 2, 2, 2), np.float32)
    heatmap[0, 0, 1] = heatmap[0, 1, 0, 1] = 1
    listed = {"index": np.int32([[1, 1, 2, 0]]), "classes": np.int32([[0, 1, 1, -1]])}
    listed["mask"] = np.float32([[1, 1, 1, 0]])
    weights = np.float32([4, 0.5])
    found = focal(logits, heatmap, **listed, class_weights=weights)
    assert found == pytest.approx(slow_focal(logits, heatmap, class_weights=weights), rel=1e-5)


def test_focal_ignores_cells_but_never_centers():
    everywhere = {"ignore": maps(np.ones((3, 3)))}
    assert focal(maps(LOGITS), maps(CROSS * 0.9), **everywhere) == 0
    alone = focal(maps(0.5), maps(1.0))
    assert focal(maps(LOGITS), maps(CROSS), **everywhere) == pytest.approx(alone)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_focal_of_half_precision_is_computed_in_float32(dtype):
    logits = ops.cast(maps([[8.0, -8.0]]), dtype)
    assert focal(logits, maps([[0, 1]])) == pytest.approx(slow_focal(maps([[8.0, -8.0]]), maps([[0, 1]])), rel=1e-3)


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("logit", [-1e4, -100, -9.3, 0, 9.3, 100, 1e4])
def test_focal_gradient_is_finite(logit, truth):
    start = maps([[logit, 0.0]])
    steps = gradient(lambda logits: losses.focal(logits, {"heatmap": maps([[truth, 0]])}), start)
    assert np.isfinite(steps).all()


def test_focal_gradient_is_that_of_the_slow_twin():
    steps = gradient(lambda logits: losses.focal(logits, {"heatmap": maps(CROSS)}), maps(LOGITS))
    for place in np.ndindex(steps.shape):
        step = np.zeros(steps.shape)
        step[place] = 1e-5
        rise = slow_focal(maps(LOGITS) + step, maps(CROSS)) - slow_focal(maps(LOGITS) - step, maps(CROSS))
        assert steps[place] == pytest.approx(rise / 2e-5, abs=1e-5)


def l1(values, **target) -> float:
    target = {"index": np.int32(target["index"]), **{key: np.float32(target[key]) for key in ("mask", "value")}}
    return float(ops.convert_to_numpy(losses.masked_l1(ops.convert_to_tensor(np.float32(values)), target)))


def slow_smooth_l1(values, index, mask, value) -> float:
    """Section 1.2, RegLoss: summed over coordinates, divided by objects."""
    total, batch = 0.0, len(values)
    for image, row in np.argwhere(np.ones((batch, len(index[0])))):
        for part in range(values.shape[-1]):
            y, x = divmod(index[image][row], values.shape[2])
            error = abs(values[image, y, x, part] - value[image][row][part]) * mask[image][row][0]
            total += error**2 / 2 if error < 1 else error - 0.5
    return total / (np.sum(mask) + 1e-4)


@pytest.mark.parametrize("rows", [None, 50])
def test_smooth_l1_equals_the_slow_twin(rows):
    random = np.random.default_rng(0)
    values = random.normal(0, 2, (2, 3, 4, 2)).astype(np.float32)
    index = np.int32([[0, 5, 11], [7, 7, 0]])
    mask, value = np.float32([[[1], [1], [0]], [[1], [0], [0]]]), random.normal(0, 2, (2, 3, 2)).astype(np.float32)
    target = {"index": index, "mask": mask, "value": value, **({"rows": np.float32(rows)} if rows else {})}
    expected = slow_smooth_l1(values, index, mask, value) * (3.0001 / (2 * rows) if rows else 1)
    found = losses.masked_smooth_l1(ops.convert_to_tensor(values), target)
    assert float(ops.convert_to_numpy(found)) == pytest.approx(expected, rel=1e-5)


def test_l1_over_rows_that_are_not_filled():
    target = {
        "index": np.int32([[0]]),
        "mask": np.float32([[[1]]]),
        "value": np.float32([[[2, 2, 2]]]),
        "rows": np.float32(50),
    }
    values = ops.convert_to_tensor(np.zeros((1, 1, 1, 3), np.float32))
    assert float(ops.convert_to_numpy(losses.masked_l1(values, target))) == pytest.approx(2 / 50)


def ramp(batch=2, height=3, width=4, depth=2) -> np.ndarray:
    return np.arange(batch * height * width * depth, dtype=np.float32).reshape(batch, height, width, depth)


def test_gather_cells():
    values = ramp()
    index = np.int32([[0, 5, 11], [11, 11, 2]])
    expected = [[values[image, cell // 4, cell % 4] for cell in cells] for image, cells in enumerate(index)]
    np.testing.assert_array_equal(ops.convert_to_numpy(losses.gather_cells(values, index)), expected)


def test_gather_cells_of_no_objects():
    gathered = losses.gather_cells(ramp(), np.zeros((2, 0), np.int32))
    assert ops.convert_to_numpy(gathered).shape == (2, 0, 2)


def last_layer(depth=4, channels=3, seed=0) -> dict[str, np.ndarray]:
    """Features of a head whose map is never made, and its last layer."""
    random = np.random.default_rng(seed)
    shapes = {"features": (2, 3, 4, depth), "kernel": (depth, channels), "bias": (channels,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("cells", [0, 5])
def test_gather_cells_of_a_map_that_is_never_made(cells):
    parts, index = last_layer(), np.random.default_rng(1).integers(0, 12, (2, cells)).astype(np.int32)
    whole = parts["features"] @ parts["kernel"] + parts["bias"]
    np.testing.assert_allclose(ops.convert_to_numpy(losses.whole_map(parts)), whole, atol=1e-6)
    found = ops.convert_to_numpy(losses.gather_cells(parts, index))
    assert found.shape == (2, cells, 3)
    np.testing.assert_allclose(found, ops.convert_to_numpy(losses.gather_cells(whole, index)), atol=1e-6)


def test_gather_cells_of_sixteen_bits_is_multiplied_in_thirty_two():
    parts, index = last_layer(), np.int32([[0, 5], [11, 3]])
    rounded = {**parts, "features": ops.cast(parts["features"], "bfloat16")}
    exact = {**parts, "features": ops.cast(rounded["features"], "float32")}
    found, expected = (ops.convert_to_numpy(losses.gather_cells(given, index)) for given in (rounded, exact))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["features", "kernel", "bias"])
def test_gradients_of_a_map_that_is_never_made_are_those_of_the_map(name):
    parts, random = last_layer(), np.random.default_rng(2)
    target = {
        "index": np.int32([[0, 5], [5, 5]]),
        "mask": np.float32([[[1], [1]], [[1], [0]]]),
        "value": random.normal(size=(2, 2, 3)).astype(np.float32),
    }

    def whole(values):
        given = {**parts, name: values}
        return losses.masked_l1(ops.matmul(given["features"], given["kernel"]) + given["bias"], target)

    expected = gradient(whole, parts[name])
    found = gradient(lambda values: losses.masked_l1({**parts, name: values}, target), parts[name])
    assert abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("loss", [losses.masked_l1, losses.masked_smooth_l1])
def test_errors_of_all_cells_are_weighted(loss):
    random = np.random.default_rng(3)
    values, wanted = random.normal(0, 2, (2, 2, 3, 4, 2))
    mask = random.random((2, 12, 1)) * (random.random((2, 12, 1)) < 0.5)
    target = {"mask": np.float32(mask), "value": np.float32(wanted.reshape(2, 12, 2))}
    error = np.abs(values - wanted).reshape(2, 12, 2)
    smooth = np.where(error < 1, error**2 / 2, error - 0.5)
    expected = (error * mask).sum() / 2 if loss is losses.masked_l1 else (smooth * mask).sum()
    found = loss(ops.convert_to_tensor(np.float32(values)), target)
    assert float(ops.convert_to_numpy(found)) == pytest.approx(expected / mask.sum(), rel=1e-4)


def test_l1_without_objects():
    nothing = {"index": np.zeros((2, 3)), "mask": np.zeros((2, 3, 1)), "value": np.ones((2, 3, 2))}
    assert l1(ramp(), **nothing) == 0
    target = {name: np.asarray(array, "int32" if name == "index" else "float32") for name, array in nothing.items()}
    assert not gradient(lambda values: losses.masked_l1(values, target), ramp()).any()


def test_l1_counts_coordinates_of_the_whole_batch():
    """Cells 0 of both images and cell 5 of the first: [0, 1], [10, 11] and [24, 25]; the last row is padding."""
    index, mask = [[0, 5], [0, 0]], [[[1], [1]], [[1], [0]]]
    value = [[[1, 1], [10, 14]], [[24, 23], [999, 999]]]
    assert l1(ramp(), index=index, mask=mask, value=value) == pytest.approx((1 + 3 + 2) / (6 + 1e-4))


def test_l1_with_a_mask_per_coordinate():
    """As a size per class is trained: only the two channels of the object's class count."""
    values = ramp(1, 1, 2, 6)
    mask = [[[0, 0, 1, 1, 0, 0]]]
    assert l1(values, index=[[1]], mask=mask, value=[[[50] * 6]]) == pytest.approx((42 + 41) / (2 + 1e-4))


def test_l1_gradient_is_the_sign_over_the_count():
    target = {"index": np.int32([[1]]), "mask": np.float32([[[1]]]), "value": np.float32([[[100, -100]]])}
    steps = gradient(lambda values: losses.masked_l1(values, target), ramp(1, 1, 3, 2))
    np.testing.assert_allclose(steps[0, 0], [[0, 0], [-0.5, 0.5], [0, 0]], atol=1e-4)


def test_sums_over_devices_end_with_their_context():
    assert float(losses.batch_sum(np.ones((2, 3), np.float32))) == 6
    with losses.summed_over_devices(lambda total: 10 * total):
        assert float(losses.batch_sum(np.ones((2, 3), np.float32))) == 60
    assert float(losses.batch_sum(np.ones((2, 3), np.float32))) == 6
