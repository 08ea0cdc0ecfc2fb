"""The program from Python, as README shows it, from settings to an export."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import yaml

import centernet_tf
from centernet_tf.api import _settings
from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.media.draw import save_image

CONTENT = {"task": "detect", "data": {"train": "records", "size": [64, 64]}, "train": {"epochs": 3}}


@pytest.fixture(params=["file", "recipe of a name", "mapping", "settings"])
def given(request, tmp_path, monkeypatch):
    """`CONTENT` in each form that it may have."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    monkeypatch.chdir(tmp_path)
    forms = {"file": path, "recipe of a name": "mine.yaml", "mapping": CONTENT}
    return forms.get(request.param) or parse_settings(dict(CONTENT), "test")


def test_settings_in_any_form_with_changes(given, tmp_path):
    found = _settings(given, {"train.epochs": 7, "data.validation": tmp_path, "train.learning_rate": 1e-4})
    assert (found.train.epochs, found.train.learning_rate, found.data.size) == (7, 1e-4, (64, 64))
    assert str(found.data.validation) == str(tmp_path)
    assert _settings(given, {}).train.epochs == 3
    assert CONTENT["train"] == {"epochs": 3}


def test_a_wrong_change_is_told(given):
    with pytest.raises(UsageError, match=r"epoch.*[Dd]id you mean 'epochs'"):
        _settings(given, {"train.epoch": 7})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are TensorFlow's")
def test_all_of_it(shapes_train, shapes_val, tmp_path):
    settings = {
        "backbone": "tiny",
        "data": {"train": shapes_train.directory, "validation": shapes_val.directory, "size": [64, 64], "shuffle": 24},
        "train": {"batch_size": 4, "learning_rate": 1e-3},
        "evaluate": {"every": 1, "batch_size": 4, "images": 0},
    }
    said = []
    model = centernet_tf.train(settings, tmp_path / "run", {"train.epochs": 1}, said.append)
    assert model == tmp_path / "run/best.keras" and said

    scores = centernet_tf.evaluate(model, shapes_val.directory, batch_size=4)
    assert scores.main.keys() == {"AP"}
    again = centernet_tf.evaluate(centernet_tf.load(model), shapes_val.directory, digits=2)
    assert again.as_dict().keys() == scores.as_dict().keys()

    save_image(tmp_path / "images/one.png", np.zeros((48, 64, 3), np.uint8))
    summary = centernet_tf.detect(model, tmp_path / "images", tmp_path / "found", threshold=0.01, draw=False)
    assert summary.images == 1
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["detections.json"]

    served = centernet_tf.export(model, tmp_path / "served")
    assert (served / "saved_model.pb").exists() and (tmp_path / "served/parity.json").exists()
    with pytest.raises(UsageError, match="--quantize is for --format tflite"):
        centernet_tf.export(model, tmp_path / "other", quantize="int8")


def test_names_are_functions_whatever_was_imported_before():
    """A module of the name of a function would take its place in the package when it is imported."""
    look = "import centernet_tf.cli.train, centernet_tf.training.train, centernet_tf.exports.check, centernet_tf as c; "
    look += "print(all(callable(getattr(c, name)) for name in ('train', 'evaluate', 'detect', 'export')))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
