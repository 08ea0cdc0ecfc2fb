import keras
import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.training.start import start_from


def network(channels=3, head="heatmap", stem="stem"):
    image = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, name=stem)(image)
    return keras.Model(image, keras.layers.Conv2D(channels, 1, name=head)(features))


def weights(model, layer):
    return model.get_layer(layer).get_weights()


def test_everything_fits(spot_card):
    new, old = network(), network()
    assert start_from(new, old, spot_card, "old.keras") == "old.keras: 4 of 4 weights loaded."
    for one, other in zip(new.get_weights(), old.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_other_classes_start_from_scratch(spot_card):
    new, old = network(5), network(3)
    start = weights(new, "heatmap")
    assert start_from(new, old, spot_card, "old.keras") == (
        "old.keras: 2 of 4 weights loaded. Start from scratch: heatmap/kernel, heatmap/bias. "
        "Left out: heatmap/kernel, heatmap/bias."
    )
    np.testing.assert_array_equal(weights(new, "stem")[0], weights(old, "stem")[0])
    np.testing.assert_array_equal(weights(new, "heatmap")[0], start[0])


def test_new_and_dropped_heads(spot_card):
    said = start_from(network(head="depth"), network(), spot_card, "old.keras")
    assert "Start from scratch: depth/kernel, depth/bias." in said
    assert "Left out: heatmap/kernel, heatmap/bias." in said


def test_nothing_fits(spot_card):
    new = network(stem="trunk", head="depth")
    before = new.get_weights()
    with pytest.raises(UsageError) as error:
        start_from(new, network(), spot_card, "old.keras")
    assert str(error.value) == (
        "old.keras: none of its weights fit this network; it is a mobilenetv2_fpn. Set backbone: mobilenetv2_fpn."
    )
    for one, other in zip(before, new.get_weights()):
        np.testing.assert_array_equal(one, other)
