import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.layers.upsampling import DepthwiseUpsample, NearestUpsample, bilinear_kernel

every_factor = pytest.mark.parametrize("factor", [2, 4])


def filled(factor, channels, seed=0, **options):
    """A layer with random weights."""
    layer = DepthwiseUpsample(factor, **options)
    layer.build((None, None, None, channels))
    layer.set_weights([np.random.default_rng(seed).normal(size=layer.kernel.shape)])
    return layer


def run(layer, image):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(np.asarray(image, np.float32))))


def slow(image, kernel):
    """Each pixel of [B, H, W, C] adds all of the kernel [2f, 2f, 1, C], scaled; then every side loses half a factor."""
    batch, height, width, channels = image.shape
    factor = len(kernel) // 2
    output = np.zeros((batch, (height + 1) * factor, (width + 1) * factor, channels))
    for y, x in np.ndindex(height, width):
        rows, columns = (slice(factor * place, factor * (place + 2)) for place in (y, x))
        output[:, rows, columns] += image[:, y, x, None, None].astype(np.float64) * kernel[:, :, 0]
    return output[:, factor // 2 : -(factor // 2), factor // 2 : -(factor // 2)]


@every_factor
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_slow_twin(factor, size, channels):
    layer = filled(factor, channels)
    image = np.random.default_rng(1).normal(size=(2, *size, channels)).astype("float32")
    result = run(layer, image)
    assert result.shape == layer.compute_output_shape(image.shape) == (2, factor * size[0], factor * size[1], channels)
    np.testing.assert_allclose(result, slow(image, layer.get_weights()[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "side"),
    [(2, [0.25, 0.75, 0.75, 0.25]), (4, [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])],
)
def test_starts_bilinear(factor, side):
    np.testing.assert_array_equal(bilinear_kernel(factor), np.outer(side, side))
    layer = DepthwiseUpsample(factor)
    ramp = np.add.outer(3.0 * np.arange(5), 2.0 * np.arange(6))[None, ..., None] * [1.0, -1.0]
    result = run(layer, ramp)
    np.testing.assert_array_equal(layer.get_weights()[0][..., 0, 1], np.outer(side, side))
    # Where four neighbours exist, a ramp stays one; its pixels lie at the centres of f x f blocks.
    y, x = ((np.arange(count * factor) - (factor - 1) / 2) / factor for count in (5, 6))
    inner = slice(factor // 2, -(factor // 2))
    expected = np.add.outer(3 * y, 2 * x)[inner, inner]
    np.testing.assert_allclose(result[0, inner, inner, 0], expected, atol=1e-5)
    np.testing.assert_allclose(result[0, inner, inner, 1], -expected, atol=1e-5)


class Cost(keras.Model):
    """Weighted sum of a layer's output over an image that may train like a weight, to get at gradients by a step."""

    def __init__(self, layer, image, factors, of):
        super().__init__()
        self.layer, self.factors = layer, factors
        self.image = self.add_weight(shape=image.shape, initializer="zeros", name="image", trainable=of == "image")
        self.image.assign(image)
        layer.trainable = of == "kernel"
        self.built = True

    def call(self, inputs):
        return ops.sum(self.layer(self.image) * self.factors) + 0 * ops.sum(inputs)


@every_factor
@pytest.mark.parametrize("of", ["image", "kernel"])
def test_gradients(factor, of):
    """The sum is linear in the image and in the kernel, so its slope along a unit is its value at that unit."""
    random = np.random.default_rng(2)
    layer, image = filled(factor, 2), random.normal(size=(1, 3, 2, 2)).astype("float32")
    weights = random.normal(size=(1, 3 * factor, 2 * factor, 2)).astype("float32")
    model = Cost(layer, image, weights, of)
    before = {"image": image, "kernel": layer.get_weights()[0].copy()}
    # One step of plain descent with rate 1 subtracts exactly the gradient.
    model.compile(keras.optimizers.SGD(1.0), loss=lambda truth, cost: ops.sum(cost), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    (after,) = model.trainable_weights
    found = before[of] - ops.convert_to_numpy(after)
    expected = np.zeros_like(found)
    for place in np.ndindex(found.shape):
        unit = np.zeros_like(found)
        unit[place] = 1
        expected[place] = (slow(**{**before, of: unit}) * weights).sum()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@every_factor
def test_saved_and_loaded_with_free_sizes(factor, tmp_path):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, DepthwiseUpsample(factor, name="up")(images))
    assert model.output_shape == (None, None, None, 3)
    assert DepthwiseUpsample(factor)(keras.Input((4, None, 3))).shape == (None, 4 * factor, None, 3)
    model.layers[-1].set_weights([np.random.default_rng(3).normal(size=(2 * factor, 2 * factor, 1, 3))])
    model.save(tmp_path / "layer.keras")
    again = keras.models.load_model(tmp_path / "layer.keras")
    image = np.random.default_rng(4).normal(size=(3, 5, 4, 3)).astype("float32")
    for part in (image, image[:1, :2, :3]):
        np.testing.assert_array_equal(run(again, part), run(model, part))
        np.testing.assert_array_equal(again.predict(part, verbose=0), model.predict(part, verbose=0))


def test_sixteen_bits():
    layer, low = filled(2, 3), filled(2, 3, dtype="mixed_bfloat16")
    image = np.random.default_rng(5).normal(size=(1, 4, 4, 3)).astype("float32")
    result = low(ops.convert_to_tensor(image, "bfloat16"))
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(low.kernel.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(result, "float32")), run(layer, image), atol=0.1)


@pytest.mark.parametrize("factor", [0, 1, 3, -2])
def test_odd_factors_are_refused(factor):
    with pytest.raises(UsageError, match=f"factor {factor} is not an even number from 2 on. Try 2 or 4."):
        DepthwiseUpsample(factor)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 4)])
def test_nearest_repeats_pixels(shape, tmp_path):
    image = np.random.default_rng(6).normal(size=shape).astype("float32")
    images = keras.Input((None, None, shape[-1]))
    model = keras.Model(images, NearestUpsample()(images))
    assert model.output_shape == (None, None, None, shape[-1])
    assert NearestUpsample()(keras.Input((4, None, 3))).shape == (None, 8, None, 3)
    np.testing.assert_array_equal(run(model, image), image.repeat(2, axis=1).repeat(2, axis=2))
    model.save(tmp_path / "layer.keras")
    again = keras.models.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(again.predict(image, verbose=0), run(model, image))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX knows every shape")
def test_nearest_of_sides_that_only_the_call_knows():
    import tensorflow as tf

    layer = tf.function(NearestUpsample(), input_signature=[tf.TensorSpec((None, None, None, 2))])
    image = np.random.default_rng(0).normal(size=(2, 3, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(layer(image), image.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="on the JAX backend XLA compiles everything")
def test_nearest_has_a_gradient_where_xla_compiles():
    """On a GPU training is compiled so; there is no such gradient of TensorFlow's own resize."""
    import tensorflow as tf

    layer = NearestUpsample()

    @tf.function(jit_compile=True)
    def gradient(image, weights):
        with tf.GradientTape() as tape:
            tape.watch(image)
            total = ops.sum(weights * layer(image, training=True))
        return tape.gradient(total, image)

    random = np.random.default_rng(0)
    image, weights = (random.normal(size=(2, *sides, 3)).astype(np.float32) for sides in ((3, 5), (6, 10)))
    expected = weights.reshape(2, 3, 2, 5, 2, 3).sum(axis=(2, 4))
    np.testing.assert_allclose(gradient(tf.constant(image), weights), expected, rtol=1e-5, atol=1e-5)
