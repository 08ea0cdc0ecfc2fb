"""A copy in float16 is a model as any other, with the weights of the model but for rounding."""

import io
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import DataError, UsageError
from centernet_tf.model.archive import WEIGHTS
from centernet_tf.model.file import load_model, read_card, save_model
from centernet_tf.model.half import save_half
from centernet_tf.model.network import build_network


@pytest.fixture
def model(spot_card, tmp_path):
    """An untrained network with normalisation and random weights; its statistics are no defaults."""
    network = build_network("tiny", spot_card.task_set().heads)
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(ops.convert_to_numpy(weight) + random.uniform(0, 0.1, weight.shape))
    path = tmp_path / "whole.keras"
    save_model(path, network, spot_card.model_copy(update={"backbone": "tiny"}))
    return path


def types_of(path):
    """The types of all arrays of weights."""
    found = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS))) as weights:
        weights.visititems(lambda name, item: found.update({name: item.dtype}) if hasattr(item, "dtype") else None)
    return found


def test_weights_are_rounded_and_cast_back(model, tmp_path):
    half = tmp_path / "half.keras"
    save_half(model, half)
    assert types_of(half) == dict.fromkeys(types_of(model), np.float16)
    (before, _), (after, card) = load_model(model), load_model(half)
    assert card == read_card(model)
    assert len(before.weights) == len(after.weights) > 10
    for one, other in zip(before.weights, after.weights):
        assert other.dtype == "float32"
        rounded = ops.convert_to_numpy(one).astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(ops.convert_to_numpy(other), rounded)
        assert not np.array_equal(rounded, ops.convert_to_numpy(one))
    assert half.stat().st_size < 0.5 * model.stat().st_size


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    save_half(model, tmp_path / "a.keras")
    time.sleep(1.1)  # The format can hold times, in seconds.
    save_half(model, tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_what_is_no_float32_stays(spot_card, tmp_path):
    image = keras.Input((None, None, 3))
    x = keras.layers.AveragePooling2D(4)(keras.layers.Normalization()(image))
    heads = {name: [keras.layers.Conv2D(2, 1, name=name)(x)] for name in ("heatmap", "offset", "size")}
    save_model(tmp_path / "counted.keras", keras.Model(image, heads), spot_card)
    save_half(tmp_path / "counted.keras", tmp_path / "half.keras")
    before, after = types_of(tmp_path / "counted.keras"), types_of(tmp_path / "half.keras")
    counts = {name: kind for name, kind in before.items() if kind != np.float32}
    assert counts and counts.items() <= after.items()
    assert set(after.values()) == {*counts.values(), np.dtype(np.float16)}
    load_model(tmp_path / "half.keras")


def test_what_does_not_fit_is_named(spot_network, spot_card, tmp_path):
    network = keras.models.clone_model(spot_network)
    network.get_layer("size").bias.assign([1e5, 0])
    save_model(tmp_path / "large.keras", network, spot_card)
    with pytest.raises(DataError, match=r"large\.keras: weights '.*' reach 1e\+05, which float16 does not hold"):
        save_half(tmp_path / "large.keras", tmp_path / "half.keras")
    assert not (tmp_path / "half.keras").exists()


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "none.keras").write_bytes(b"none")
    with pytest.raises(UsageError, match=r"none\.keras: not a \.keras file"):
        save_half(tmp_path / "none.keras", tmp_path / "half.keras")
