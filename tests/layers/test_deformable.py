import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.layers.deformable import TAPS, DeformableConv2D

# Input channels and filters: the layer samples first where channels are the fewer, multiplies first elsewhere.
WIDTHS = [(2, 5), (4, 4), (5, 2)]
# Channels, filters and groups; both orders without groups.
GROUPED = [(2, 3, 1), (3, 2, 1), (4, 3, 2), (8, 2, 4)]


def filled(channels, filters, groups=1, seed=0, spread=1.0):
    """A layer with random weights whose offsets reach `spread` pixels and further."""
    layer = DeformableConv2D(filters, groups)
    layer.build((None, None, None, channels))
    random = np.random.default_rng(seed)
    kernel, bias, offset_kernel, offset_bias = (random.normal(size=w.shape) for w in layer.weights)
    layer.set_weights([kernel, bias, spread * offset_kernel / channels, spread * offset_bias])
    return layer


def fixed(kernel, dy=0.0, dx=0.0, mask_logits=0.0, bias=0.0):
    """A layer whose taps move the same everywhere; each of dy, dx, mask_logits is a number or nine of them."""
    kernel = np.asarray(kernel, np.float32)
    layer = DeformableConv2D(kernel.shape[-1])
    layer.build((None, None, None, kernel.shape[2]))
    moves = np.stack([np.broadcast_to(dy, TAPS), np.broadcast_to(dx, TAPS)], axis=1)
    offset_bias = np.concatenate([moves.ravel(), np.broadcast_to(mask_logits, TAPS)])
    layer.set_weights(
        [kernel, np.full(kernel.shape[-1], bias), np.zeros((3, 3, kernel.shape[2], 3 * TAPS)), offset_bias]
    )
    return layer


def run(layer, image):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(np.asarray(image, np.float32))))


def plain(image, kernel):
    """3x3 convolution with a border of zeros, as nine shifted products."""
    height, width = image.shape[1:3]
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


def bilinear(plane, y, x):
    """[C] at a position between pixels of [H, W, C]; pixels outside are zero."""
    top, left = int(np.floor(y)), int(np.floor(x))
    total = np.zeros(plane.shape[-1])
    for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += weight_y * weight_x * plane[row, column]
    return total


def slow(image, weights, groups=1):
    """Modulated deformable convolution, sample by sample in float64."""
    kernel, bias, offset_kernel, offset_bias = (np.asarray(weight, np.float64) for weight in weights)
    image = np.asarray(image, np.float64)
    moves = plain(image, offset_kernel) + offset_bias
    output = np.zeros((*image.shape[:3], kernel.shape[-1]))
    for batch, y, x in np.ndindex(image.shape[:3]):
        value = bias.copy()
        for group, tap in np.ndindex(groups, TAPS):
            row, column = divmod(tap, 3)
            pair = 2 * (TAPS * group + tap)
            dy, dx, logit = moves[batch, y, x, [pair, pair + 1, 2 * TAPS * groups + TAPS * group + tap]]
            width = image.shape[-1] // groups
            own = slice(group * width, (group + 1) * width)
            sample = bilinear(image[batch, ..., own], y - 1 + row + dy, x - 1 + column + dx)
            value += sample / (1 + np.exp(-logit)) @ kernel[row, column, own]
        output[batch, y, x] = value
    return output


@pytest.mark.parametrize(("channels", "filters"), WIDTHS)
@pytest.mark.parametrize("spread", [0.3, 1.0, 6.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_equals_the_slow_twin(channels, filters, spread, size):
    layer = filled(channels, filters, spread=spread)
    image = np.random.default_rng(1).normal(size=(2, *size, channels)).astype("float32")
    expected = slow(image, layer.get_weights())
    np.testing.assert_allclose(run(layer, image), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("channels", "filters", "groups"), [*GROUPED, (4, 4, 4)])
@pytest.mark.parametrize("spread", [0.4, 4.0])
def test_groups_equal_the_slow_twin(channels, filters, groups, spread):
    layer = filled(channels, filters, groups, seed=8, spread=spread)
    image = np.random.default_rng(9).normal(size=(2, 4, 5, channels)).astype("float32")
    expected = slow(image, layer.get_weights(), groups)
    np.testing.assert_allclose(run(layer, image), expected, atol=1e-5 * np.abs(expected).max())


def test_groups_are_layers_side_by_side():
    """With offsets that do not depend on the image, two groups are two layers, each on its half of the channels."""
    random = np.random.default_rng(10)
    halves = [fixed(random.normal(size=(3, 3, 2, 3)), *random.normal(size=(3, TAPS))) for _ in range(2)]
    layer = DeformableConv2D(3, groups=2)
    layer.build((None, None, None, 4))
    kernels, _, _, moves = zip(*(half.get_weights() for half in halves))
    bias = np.concatenate([move[: 2 * TAPS] for move in moves] + [move[2 * TAPS :] for move in moves])
    kernel = np.concatenate(kernels, axis=2)
    layer.set_weights([kernel, np.zeros(3), np.zeros((3, 3, 4, 6 * TAPS)), bias])
    image = random.normal(size=(1, 5, 6, 4))
    expected = run(halves[0], image[..., :2]) + run(halves[1], image[..., 2:])
    np.testing.assert_allclose(run(layer, image), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("groups", [0, -1])
def test_groups_are_counted_from_one(groups):
    with pytest.raises(UsageError, match=f"groups is {groups}; it must be 1 or more"):
        DeformableConv2D(4, groups)


def test_groups_divide_the_channels():
    with pytest.raises(UsageError, match="6 input channels do not split into 4 equal groups"):
        DeformableConv2D(4, 4).build((None, None, None, 6))


def test_known_values():
    """Arithmetic of the original operator on numbers that fit on paper."""
    image = np.arange(16).reshape(1, 4, 4, 1)
    layer = fixed(np.ones((3, 3, 1, 1)), dy=0.25 * np.arange(9) - 1, dx=-0.5)
    expected = [
        [6.75, 11.5, 15.4375, 14.0625],
        [12.875, 21.6875, 27.8125, 24.4375],
        [9, 16.8125, 22.8125, 21.4375],
        [12.1875, 21.5625, 27.6875, 25.0625],
    ]
    np.testing.assert_allclose(run(layer, image)[0, ..., 0], expected, rtol=1e-6)


@pytest.mark.parametrize(("channels", "filters"), WIDTHS)
def test_starts_as_half_a_convolution(channels, filters):
    layer = DeformableConv2D(filters)
    image = np.random.default_rng(2).normal(size=(2, 6, 5, channels)).astype("float32")
    result = run(layer, image)
    np.testing.assert_allclose(result, plain(image, layer.get_weights()[0]) / 2, atol=1e-5)


@pytest.mark.parametrize(("channels", "filters"), WIDTHS)
def test_an_open_mask_makes_a_plain_convolution(channels, filters):
    kernel = np.random.default_rng(3).normal(size=(3, 3, channels, filters))
    image = np.random.default_rng(4).normal(size=(1, 4, 6, channels))
    result = run(fixed(kernel, mask_logits=50.0, bias=0.25), image)
    np.testing.assert_allclose(result, plain(image, kernel) + 0.25, atol=1e-5)


@pytest.mark.parametrize(
    ("move", "seen"),
    [
        ((0, 0), 1.0),
        ((-0.75, 0), 0.25),
        ((-1, 0), 0.0),
        ((0.75, 0), 0.25),
        ((1, 0), 0.0),
        ((0, -0.5), 0.5),
        ((0.5, 0.5), 0.25),
        ((1e4, 0), 0.0),
        ((-1e9, 1e9), 0.0),
    ],
)
def test_samples_fade_out_over_one_pixel(move, seen):
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 2.0  # twice, for the mask halves it
    layer = fixed(kernel, dy=move[0], dx=move[1])
    np.testing.assert_allclose(run(layer, np.ones((1, 1, 1, 1))), [[[[seen]]]], atol=1e-6)


class Cost(keras.Model):
    """Weighted sum of a layer's output over an image that trains like a weight, to get at every gradient by a step."""

    def __init__(self, layer, image, factors):
        super().__init__()
        self.layer, self.factors = layer, factors
        self.image = self.add_weight(shape=image.shape, initializer="zeros", name="image")
        self.image.assign(image)
        self.built = True

    def call(self, inputs):
        return ops.sum(self.layer(self.image) * self.factors) + 0 * ops.sum(inputs)


def gradients(layer, image, factors, jit=False):
    """{name: gradient}: one step of plain descent with rate 1 subtracts exactly the gradient."""
    model = Cost(layer, image, factors)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda truth, cost: ops.sum(cost), jit_compile=jit)
    weights = {"image": model.image} | {weight.name: weight for weight in layer.weights}
    before = {name: ops.convert_to_numpy(weight).astype(np.float64) for name, weight in weights.items()}
    model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return {name: before[name] - ops.convert_to_numpy(weight) for name, weight in weights.items()}


def slope(image, weights, groups, factors, array, place, step):
    """One-sided derivative of the slow twin's cost; the sign of the step chooses the side."""
    costs = []
    for shift in (0.0, step):
        old = array[place]
        array[place] = old + shift
        costs.append((slow(image, weights, groups) * factors).sum())
        array[place] = old
    return (costs[1] - costs[0]) / step


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "spread"),
    [
        (*GROUPED[0], 0.4),
        (*GROUPED[1], 0.0),
        pytest.param(*GROUPED[1], 2.0, marks=pytest.mark.slow),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in (
                (*GROUPED[0], 0.0),
                (*GROUPED[0], 2.0),
                (*GROUPED[1], 0.4),
                (*GROUPED[2], 0.4),
                (*GROUPED[3], 0.4),
            )
        ),
    ],
)
def test_gradients_equal_finite_differences(channels, filters, groups, spread):
    """At zero offsets every sample sits on a kink between two pixels; there the right-hand slope is the answer."""
    layer = filled(channels, filters, groups, seed=5, spread=spread)
    random = np.random.default_rng(6)
    image = random.normal(size=(1, 4, 5, channels))
    factors = random.normal(size=(1, 4, 5, filters)).astype("float32")
    weights = [weight.astype(np.float64) for weight in layer.get_weights()]
    found = gradients(layer, image, factors)
    arrays = {"image": image} | {weight.name: value for weight, value in zip(layer.weights, weights)}
    for name, array in arrays.items():
        scale = np.abs(found[name]).max()
        assert scale > 0, name
        if spread == 0 and name == "offset_kernel":
            continue  # it moves some pixels left and some right, so its slope has no side; its bias stands for it
        # Ten of each; of offset_bias the middle too, where offsets end and mask logits begin.
        middle = 2 * TAPS * groups + np.arange(-3, 3) if name == "offset_bias" else []
        for flat in [*random.permutation(array.size)[:10], *middle]:
            place = np.unravel_index(flat, array.shape)
            expected = slope(image, weights, groups, factors, array, place, 1e-6)
            np.testing.assert_allclose(found[name][place], expected, atol=2e-3 * scale, err_msg=f"{name} {place}")


def test_positions_stay_exact_in_sixteen_bits():
    """In bfloat16 a position above 256 would round to even pixels."""
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 2.0
    image = (np.arange(600) % 7).reshape(1, 1, 600, 1)
    layer = fixed(kernel, dx=1.0)
    low = DeformableConv2D(1, dtype="mixed_bfloat16")
    low.build((None, None, None, 1))
    low.set_weights(layer.get_weights())
    result = low(ops.convert_to_tensor(image, "bfloat16"))
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    expected = np.append(image[0, 0, 1:, 0], 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(result, "float32"))[0, 0, :, 0], expected)


@pytest.mark.long
@pytest.mark.parametrize(("channels", "filters", "groups"), GROUPED[2:3])
def test_xla_equals_graph(channels, filters, groups):
    layer = filled(channels, filters, groups, seed=11)
    image = np.random.default_rng(12).normal(size=(1, 6, 7, channels)).astype("float32")
    factors = np.random.default_rng(13).normal(size=(1, 6, 7, filters)).astype("float32")
    start = layer.get_weights()
    found = []
    for jit in (False, True):
        layer.set_weights(start)
        found.append(gradients(layer, image, factors, jit))
        layer.set_weights(start)
        inputs = keras.Input((None, None, channels))
        model = keras.Model(inputs, layer(inputs))
        model.compile(jit_compile=jit)
        found[-1]["output"] = model.predict(image, verbose=0)
    for name, graph in found[0].items():
        np.testing.assert_allclose(found[1][name], graph, atol=1e-5 * np.abs(graph).max(), err_msg=name)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the converter to TFLite is TensorFlow's")
@pytest.mark.parametrize(("channels", "filters", "groups"), GROUPED[1:3])
def test_runs_on_phones(channels, filters, groups, tmp_path):
    """Operators of TFLite's own only, in any size: none of TensorFlow's ("Flex"), which phones do not have."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    inputs = keras.Input((None, None, channels))
    model = keras.Model(inputs, filled(channels, filters, groups, seed=14)(inputs))
    model.export(tmp_path / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    place, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    for shape in ((1, 5, 7), (2, 8, 4)):
        image = np.random.default_rng(15).normal(size=(*shape, channels)).astype("float32")
        interpreter.resize_tensor_input(place, image.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, image)
        interpreter.invoke()
        expected = run(model, image)
        np.testing.assert_allclose(interpreter.get_tensor(result), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("groups", [1, 3])
def test_saved_and_loaded(groups, tmp_path):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, DeformableConv2D(4, groups, name="deformable")(images))
    model.layers[-1].set_weights([weight + 0.1 for weight in model.layers[-1].get_weights()])
    model.save(tmp_path / "layer.keras")
    again = keras.models.load_model(tmp_path / "layer.keras")
    assert again.output_shape == (None, None, None, 4)
    image = np.random.default_rng(7).normal(size=(1, 5, 4, 3)).astype("float32")
    np.testing.assert_array_equal(run(again, image), run(model, image))
