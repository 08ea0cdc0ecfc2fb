"""Loggers tell every epoch under the run they began, and say before any work what they lack."""

import importlib.util
import json

import keras
import numpy as np
import pytest

from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.training import loggers
from centernet_tf.training.train import train


def settings_of(*names):
    return parse_settings({"data": {"train": "records"}, "train": {"loggers": list(names)}}, "the test")


@pytest.fixture
def fit():
    """Function (callbacks, first epoch, last epoch): trains one weight towards 0, whose loss is told."""

    def run(callbacks, first, last):
        model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        model.compile(keras.optimizers.SGD(0.25), "mse", jit_compile=False)
        ones = np.ones((2, 1))
        model.fit(ones, 0 * ones, initial_epoch=first, epochs=last, verbose=0, callbacks=callbacks, batch_size=2)

    return run


class Heard(loggers.Logger):
    """Keeps what it is told; called "wandb"."""

    told: list = []  # noqa: RUF012 it outlives the runs on purpose

    def begin(self, out, settings, run_id):
        self.told.append(("begin", run_id))
        return run_id or "first"

    def log(self, values, epoch):
        self.told.append((epoch, values))

    def finish(self, done):
        self.told.append(("finish", done))


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setitem(loggers.LOGGERS, "wandb", Heard)
    monkeypatch.setattr(Heard, "told", [])
    return Heard.told


def test_nobody_is_told(tmp_path):
    with loggers.opened(settings_of(), tmp_path) as made:
        assert made == []
    assert list(tmp_path.iterdir()) == []


def test_every_epoch_is_told_and_a_resumed_run_goes_on(fit, told, tmp_path):
    for first, last in ((0, 2), (2, 3)):
        with loggers.opened(settings_of("wandb", "wandb"), tmp_path) as made:
            fit(made, first, last)
    kinds = [one for one, _ in told]
    assert kinds == ["begin", 1, 2, "finish", "begin", 3, "finish"]
    assert [values for one, values in told if one == "begin"] == [None, "first"]
    assert told[1][1] == {"learning_rate": 0.25, "loss": 1.0}
    assert told[2][1]["loss"] == pytest.approx(0.25)  # the weight was 1 and then 0.5
    assert told[-1] == ("finish", True)


def test_a_run_that_fails_is_told_as_such(told, tmp_path):
    with pytest.raises(KeyboardInterrupt), loggers.opened(settings_of("wandb"), tmp_path):
        raise KeyboardInterrupt
    assert told == [("begin", None), ("finish", False)]


def test_the_settings_know_every_logger():
    assert settings_of(*loggers.LOGGERS).train.loggers == tuple(loggers.LOGGERS)
    with pytest.raises(UsageError, match="train: loggers: value 1 is 'tensorboard'"):
        settings_of("tensorboard")


@pytest.mark.parametrize("name", loggers.LOGGERS)
def test_what_is_not_installed_is_said_before_any_work(name, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *more: None if one == name else found(one, *more))
    with pytest.raises(UsageError, match=rf"{name} is not installed\. pip install 'centernet_tf\[{name}\]'"):
        train(settings_of(name), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nested_settings_are_told_by_their_names():
    assert list(loggers.flat({})) == []
    assert dict(loggers.flat({"a": 1, "b": {"c": [2], "d": {}}})) == {"a": 1, "b.c": [2]}


@pytest.mark.long
def test_weights_and_biases_without_its_server(fit, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    out = tmp_path / "mine"
    out.mkdir()
    for first, last in ((0, 2), (2, 3)):
        with loggers.opened(settings_of("wandb"), out) as made:
            fit(made, first, last)
            assert (wandb.run.name, wandb.run.project) == ("mine", "centernet_tf")
            assert wandb.run.config["train"]["epochs"] == 140
    files = list(out.glob("wandb/offline-run-*/*.wandb"))
    assert [path.stem for path in files] == [f"run-{json.loads((out / 'loggers.json').read_text())['wandb']}"] * 2
    assert all(b"learning_rate" in path.read_bytes() for path in files)


@pytest.mark.long
def test_mlflow_in_a_database(fit, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    out = tmp_path / "mine"
    out.mkdir()
    for first, last in ((0, 2), (2, 3)):
        with loggers.opened(settings_of("mlflow"), out) as made:
            fit(made, first, last)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("centernet_tf").experiment_id])
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert run.data.params["train.epochs"] == "140"
    assert [one.step for one in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3]
    with pytest.raises(KeyboardInterrupt), loggers.opened(settings_of("mlflow"), out):
        raise KeyboardInterrupt
    assert client.get_run(run.info.run_id).info.status == "FAILED"


@pytest.mark.long
def test_mlflow_that_cannot_begin_or_breaks_off(fit, tmp_path, monkeypatch):
    """The second costs a warning and no training."""
    exceptions = pytest.importorskip("mlflow.exceptions", reason="needs the extra mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://")
    with pytest.raises(UsageError, match=r"mlflow cannot begin \(.*Set MLFLOW_TRACKING_URI"):
        loggers.MlflowLogger(tmp_path, settings_of(), None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with (
        pytest.warns(UserWarning, match="MLflow lacks some of this run, which goes on: gone") as warned,
        loggers.opened(settings_of("mlflow"), tmp_path) as made,
    ):
        (logger,) = made
        monkeypatch.setattr(type(logger._client), "log_batch", lambda *_, **__: broken(exceptions))
        fit(made, 0, 3)
    assert len([one for one in warned if "MLflow lacks" in str(one.message)]) == 1


def broken(exceptions):
    raise exceptions.MlflowException("gone")
