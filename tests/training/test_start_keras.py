import keras
import numpy as np
import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.training.start_keras import start_from_keras


def test_the_trunk_is_loaded_and_the_rest_left_alone(tmp_path):
    name = "keras_application:MobileNet"
    original = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(None, None, 3))
    original.save_weights(tmp_path / "trunk.weights.h5")
    network = build_network(name, Centers(3).heads())
    before = {weight.path: np.array(weight) for weight in network.weights}
    said = start_from_keras(network, name, tmp_path / "trunk.weights.h5")
    assert said == f"{tmp_path}/trunk.weights.h5: 135 of 197 weights loaded; the rest starts from scratch."
    wanted = {weight.path: np.array(weight) for weight in original.weights}
    assert len(wanted) == 135
    for weight in network.weights:
        np.testing.assert_array_equal(np.array(weight), wanted.get(weight.path, before[weight.path]))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_fpn:0.5"])
def test_nothing_for_others(name):
    assert find_backbone(name).weights is None
    with pytest.raises(UsageError) as error:
        start_from_keras(keras.Model(*[keras.Input((1,))] * 2), name, "imagenet")
    assert str(error.value) == (
        f"weights: imagenet: Keras has none for {name}. Give a PyTorch file of its trunk, such as torchvision's "
        "resnet18-*.pth for resnet18, or choose keras_application:NAME."
    )
