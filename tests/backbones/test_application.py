"""Keras applications as trunks: the same numbers as Keras' own, from pixels to maps."""

import sys

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.backbones import find_backbone
from centernet_tf.backbones.application import REFUSED, USABLE, application_weights, keras_application
from centernet_tf.errors import UsageError
from centernet_tf.preprocess import normalize


def quick(names, *slow, last=()):
    """The names, those that follow for the long tests, and the last of these for a release."""
    return [
        *names,
        *(pytest.param(name, marks=pytest.mark.long) for name in slow),
        *(pytest.param(name, marks=[pytest.mark.long, pytest.mark.release]) for name in last),
    ]


# One of each family, the smallest.
FAMILIES = quick(
    ["MobileNetV3Small"],
    *("MobileNet", "VGG16", "EfficientNetB0", "MobileNetV2", "ResNet50"),
    last=("EfficientNetV2B0", "ResNet50V2", "DenseNet121", "ConvNeXtTiny"),
)


def preprocess_of(name):
    return sys.modules[getattr(keras.applications, name).__module__].preprocess_input


def disturbed(name, seed=0):
    """A Keras application with weights that are nowhere at their start."""
    model = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(None, None, 3))
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype.startswith("float"):
            value = ops.convert_to_numpy(weight)
            weight.assign(value * random.uniform(0.8, 1.2, value.shape) + random.uniform(0, 0.02, value.shape))
    return model


@pytest.fixture(scope="module", params=quick(["MobileNet"], "EfficientNetB0", "ResNet50", last=("ConvNeXtTiny",)))
def saved(request, tmp_path_factory):
    """(name, file of its weights)."""
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.weights.h5"
    disturbed(request.param).save_weights(path)
    return request.param, path


def offer(monkeypatch, name, path):
    """Lets Keras find this file where it would download one."""
    files = sys.modules[getattr(keras.applications, name).__module__].file_utils
    monkeypatch.setattr(files, "get_file", lambda *arguments, **options: str(path))


@pytest.mark.parametrize("name", USABLE)
def test_pixels_as_in_training(name):
    images = np.random.default_rng(3).integers(0, 256, (2, 5, 4, 3), np.uint8)
    expected = preprocess_of(name)(images.astype(np.float32), data_format="channels_last")
    normalization = find_backbone(f"keras_application:{name}").normalization
    found = ops.convert_to_numpy(normalize(images / np.float32(255), normalization))
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.filterwarnings("ignore")
def test_maps_as_in_training(saved, monkeypatch):
    """From bytes to the deepest map, the same numbers as Keras' own network gives with its ImageNet weights."""
    name, path = saved
    offer(monkeypatch, name, path)
    original = getattr(keras.applications, name)(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    images = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3), np.uint8)
    pixels = preprocess_of(name)(images.astype(np.float32), data_format="channels_last")
    expected = ops.convert_to_numpy(original(pixels, training=False))

    backbone = find_backbone(f"keras_application:{name}")
    network = backbone.build({"image": 3})
    values = backbone.weights("imagenet")
    weights = {weight.path: weight for weight in network.weights}
    assert set(values) <= set(weights)
    assert all(key.startswith("pyramid") for key in weights.keys() - values.keys())
    for key, value in values.items():
        weights[key].assign(value)
    found = network.get_layer(name)(normalize(images / np.float32(255), backbone.normalization), training=False)[-1]
    assert np.abs(ops.convert_to_numpy(found) - expected).max() < 1e-4 * np.abs(expected).max()
    assert [value.tolist() for value in backbone.weights(path).values()] == [
        value.tolist() for value in values.values()
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_four_maps_and_lasting_names(name):
    """A model file and a run that goes on find their weights by name, whatever was built before them."""
    first, second = (keras_application({"image": 3}, name) for _ in range(2))
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]
    assert len({weight.path for weight in first.weights}) == len(first.weights)
    trunk = first.get_layer(name)
    assert [layer.name for layer in trunk.layers] == [layer.name for layer in second.get_layer(name).layers]
    probes = trunk.compute_output_spec(keras.KerasTensor((2, 64, 96, 3)))
    assert [probe.shape[:3] for probe in probes] == [(2, 64 // n, 96 // n) for n in (4, 8, 16, 32)]


@pytest.mark.parametrize("name", quick(["Xception"], "InceptionV3", "NASNetMobile"))
def test_refused_for_a_reason(name):
    assert name in REFUSED
    with pytest.raises(UsageError, match=f"^{name} has no map at 1/4 of the input. Usable: ConvNeXtBase, "):
        keras_application({"image": 3}, name)


def test_further_inputs_change_nothing_at_first():
    network = keras_application({"image": 3, "prior": 1}, "MobileNet")
    random = np.random.default_rng(0)
    image, prior = random.normal(size=(1, 32, 32, 3)), random.normal(size=(1, 32, 32, 1))
    maps = [network({"image": image, "prior": factor * prior}, training=False)["stack1"] for factor in (0, 1)]
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, maps))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "expected the name of a Keras application after a colon, such as :ResNet50. Usable: "),
        (":", "expected the name of a Keras application after a colon, such as :ResNet50. Usable: "),
        (":ResNet5O", "Keras has no application 'ResNet5O'. Did you mean 'ResNet50'? Usable: "),
        (":imagenet_utils", "Keras has no application 'imagenet_utils'. Usable: "),
        (":Xception", "Xception crops the image's border, so its feature maps do not align. Usable: "),
    ],
)
def test_wrong_names(name, text):
    with pytest.raises(UsageError) as error:
        find_backbone(f"keras_application{name}")
    assert str(error.value).startswith(f"keras_application{name}: {text}ConvNeXtBase, ")


def test_a_download_that_fails(monkeypatch):
    def fail(*arguments, **options):
        raise Exception("URL fetch failure on https://somewhere: None -- [Errno -3]")

    monkeypatch.setattr(sys.modules[keras.applications.MobileNet.__module__].file_utils, "get_file", fail)
    with pytest.raises(UsageError) as error:
        application_weights("MobileNet", "imagenet")
    assert str(error.value) == (
        "weights: imagenet: Keras could not download those of MobileNet (URL fetch failure on https://somewhere: None "
        "-- [Errno -3]). Fetch the file for include_top=False on another machine and set weights to its path."
    )


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_files_of_something_else(tmp_path):
    with pytest.raises(UsageError) as error:
        application_weights("MobileNet", tmp_path / "none.h5")
    assert str(error.value) == f"{tmp_path}/none.h5: no such file of weights."
    other = tmp_path / "other.weights.h5"
    keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None).save_weights(other)
    (tmp_path / "text.weights.h5").write_text("weights")
    for path in (other, tmp_path / "text.weights.h5"):
        with pytest.raises(UsageError) as error:
            application_weights("MobileNet", path)
        assert str(error.value).startswith(f"{path}: no weights of a MobileNet without its top (")
        assert str(error.value).endswith("keras.applications.MobileNet(include_top=False).save_weights(...).")
