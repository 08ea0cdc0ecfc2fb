"""Which devices train, what is refused before any work, and that one device is as it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.model.file import load_model
from centernet_tf.training.cluster import ADDRESSES, COUNT, NUMBER
from centernet_tf.training.devices import Devices, chosen, open_devices

tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX can")


def settings(data=None, **train):
    return parse_settings({"data": {"train": "records", **(data or {})}, "train": train}, "the test")


def names_of(kind):
    return {"gpu": ["gpu:0", "gpu:1", "gpu:2"], "cpu": ["cpu:0"], None: ["gpu:0", "gpu:1", "gpu:2"]}.get(kind, [])


@pytest.mark.parametrize(
    ("wanted", "places"),
    [("all", [0, 1, 2]), (1, [0]), (2, [0, 1]), ((2, 0), [2, 0]), (("gpu:1",), [1]), (("cpu:0",), [0])],
)
def test_chosen(wanted, places):
    assert chosen(wanted, names_of) == places


@pytest.mark.parametrize(
    "wanted", [4, (3,), (), (0, 0), ("gpu:0", "gpu:0"), ("gpu:7",), ("gpu:0", "cpu:0"), ("tpu:0",)]
)
def test_devices_that_are_not_there(wanted):
    with pytest.raises(UsageError, match=r"train\.devices is .*, and there are: "):
        chosen(wanted, names_of)


@pytest.mark.parametrize("value", ["some", 0, -1, ["gpu"], [-1], 1.5])
def test_values_of_the_setting(value):
    with pytest.raises(UsageError, match=r"devices"):
        settings(devices=value)


def test_one_device_as_ever():
    devices = open_devices(settings())
    assert type(devices) is Devices and devices.first and devices.count == 1
    assert devices.agreed([1.5, 2]) == [1.5, 2]


def test_more_than_there_are():
    with pytest.raises(UsageError, match=r"train\.devices is 99"):
        open_devices(settings(devices=99))


@tensorflow_only
@pytest.mark.parametrize(
    ("train", "told"),
    [
        ({"xla": True}, "train.xla: true"),
        ({"accumulate": 2}, "train.accumulate: 2"),
        ({"precision": "mixed_float16"}, "train.precision: mixed_float16"),
    ],
)
def test_what_tensorflow_cannot_do_on_several(train, told):
    with pytest.raises(UsageError, match="with several devices on TensorFlow") as error:
        open_devices(settings(devices="all", **train))
    assert str(error.value).startswith(told)


@tensorflow_only
def test_tensorflow_needs_all_addresses(monkeypatch):
    for name, text in ((ADDRESSES, "127.0.0.1:1"), (COUNT, "2"), (NUMBER, "0")):
        monkeypatch.setenv(name, text)
    with pytest.raises(UsageError, match="addresses of all 2 processes"):
        open_devices(settings())


@pytest.mark.long
@pytest.mark.parametrize("batch", [3, 4])
def test_two_devices_of_one_process(tmp_path, shapes_train, batch):
    """They train what one does; a batch that they cannot share is refused."""
    content = {
        "backbone": "tiny",
        "head_channels": 8,
        "data": {"train": str(shapes_train.directory), "size": [64, 64], "workers": 1},
        "train": {"epochs": 1, "batch_size": batch, "learning_rate": 1e-4},
        "evaluate": {"images": 0},
    }
    weights, flags = [], {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    for folder, devices in (("two", ["cpu:0", "cpu:1"]), ("one", 1)):
        content["train"]["devices"] = devices
        asked = {"settings": content, "out": str(tmp_path / folder), "losses": str(tmp_path / "losses"), "halves": 2}
        ran = run(asked, flags)
        if batch == 3:
            assert ran.returncode and "2 devices cannot share evenly" in ran.stderr, ran.stderr
            return
        assert not ran.returncode, ran.stderr
        network, _ = load_model(tmp_path / folder / "last.keras")
        weights.append([keras.ops.convert_to_numpy(one) for one in network.weights])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def run(asked, environment):
    program = Path(__file__).with_name("one_of_several.py")
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, program, json.dumps(asked)], env=variables, capture_output=True, text=True, timeout=300
    )
