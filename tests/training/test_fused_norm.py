"""One operation for batch normalisation gives what Keras' many give: values, gradients, statistics and saved files."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from centernet_tf.training.fused_norm import fuse

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the JAX backend keeps Keras' layers")


def network(**options):
    """Convolution, normalisation with statistics of its own, convolution; always the same weights."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3))
    norm = layers.BatchNormalization(name="norm", epsilon=1e-5, momentum=0.9, **options)
    x = layers.Conv2D(4, 3, use_bias=False, name="first")(image)  # The gradient of a bias would be rounding alone.
    model = keras.Model(image, layers.Conv2D(2, 1, name="last")(norm(x)))
    for weight in norm.weights:
        weight.assign(np.random.default_rng(5).uniform(0.5, 2, weight.shape))
    return model


def stepped(model, images, training=True):
    """What it answers, gradients of a loss and statistics after one pass."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        found = model(images, training=training)
        loss = ops.sum(found * ops.sin(found))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    return [np.asarray(value) for value in (found, *gradients, *(w.value for w in model.non_trainable_weights))]


def fused(model):
    fuse(model)
    return model


def is_changed(model):
    return "call" in vars(model.get_layer("norm"))


@pytest.mark.parametrize("shape", [(1, 3, 3), (2, 9, 7), (5, 16, 16)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_same_values_gradients_and_statistics(shape, training):
    """The smallest has one cell in a batch of one, whose variance is zero over nothing."""
    images = np.random.default_rng(0).normal(2, 3, (*shape, 3)).astype(np.float32)
    expected = stepped(network(), images, training)
    found = stepped(fused(network()), images, training)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4 * np.abs(other).max())


def test_frozen_layers_keep_their_statistics():
    model = fused(network())
    assert is_changed(model)
    norm = model.get_layer("norm")
    norm.trainable = False
    before = [np.asarray(weight) for weight in norm.weights]
    images = np.ones((2, 8, 8, 3), np.float32)
    found = np.asarray(model(images, training=True))
    np.testing.assert_array_equal(found, np.asarray(network()(images, training=False)))
    for weight, value in zip(norm.weights, before):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"axis": 1}, {"synchronized": True}], ids=str)
def test_other_normalisations_are_left_alone(options):
    if options.get("axis") == 1:
        model = keras.Sequential([keras.Input((6, 5, 3)), layers.BatchNormalization(axis=1, name="norm")])
    else:
        model = network(**options)
    assert not is_changed(fused(model))


def test_layers_that_know_no_renormalisation_are_changed():
    """As those of Keras 3.12, the last for Python 3.10."""
    model = network()
    vars(model.get_layer("norm")).pop("renorm", None)
    assert is_changed(fused(model))


def test_networks_within_networks_are_reached():
    inner = network()
    fuse(keras.Sequential([keras.Input((None, None, 3)), inner]))
    assert is_changed(inner)


def test_sixteen_bits_come_out_as_sixteen_bits():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        plain, one = network(), fused(network())
    finally:
        keras.config.set_dtype_policy("float32")
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    expected, found = plain(images, training=True), one(images, training=True)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(ops.cast(found, "float32"), ops.cast(expected, "float32"), atol=0.05)


def test_a_saved_network_knows_nothing_of_it(tmp_path):
    model = fused(network())
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    model(images, training=True)
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert not is_changed(loaded)
    np.testing.assert_array_equal(model(images), loaded(images))
