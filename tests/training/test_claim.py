"""The folder of a run is one program's at a time, and a run goes on with more epochs."""

import contextlib
import csv
import os

import keras
import pytest

from centernet_tf.config import parse_settings, read_settings
from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_text
from centernet_tf.host.lock import locked
from centernet_tf.training.claim import claimed
from centernet_tf.training.train import train


def settings_of(records, **changes):
    content = {
        "backbone": "tiny",
        "data": {"train": str(records.directory), "size": [64, 64], "shuffle": 24},
        "train": {"batch_size": 4, "learning_rate": 1e-3, "ema": 0.9, "checkpoint_steps": 2, **changes},
        "evaluate": {"images": 0},
    }
    return parse_settings(content, "the test")


def rows_of(out):
    with (out / "log.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(shapes_train, tmp_path_factory):
    """An unbroken run of three epochs."""
    out = tmp_path_factory.mktemp("whole")
    train(settings_of(shapes_train, epochs=3, drop_epochs=[2]), out, say=lambda line: None)
    return out


@pytest.mark.long
@pytest.mark.parametrize(("stop", "done"), [(None, 6), (5, 4)])
def test_a_run_goes_on_with_more_epochs(stop, done, whole, shapes_train, tmp_path):
    """Finished or stopped within an epoch, it ends where one of so many epochs from the start does."""

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == stop:
                raise KeyboardInterrupt

    first, second = (settings_of(shapes_train, epochs=epochs, drop_epochs=[2]) for epochs in (1, 3))
    quiet, said = [], []
    with contextlib.nullcontext() if stop is None else pytest.raises(KeyboardInterrupt):
        train(first, tmp_path / "run", quiet.append, extra=[Stop()])
    train(second, tmp_path / "run", said.append)
    assert said[0] == f"Resuming after step {done}, epoch {done / 6:.2f} of 3."
    assert said[1] == (
        "Epochs: 3, until now 1. The learning rate is that of a run of 3 epochs from the start: it drops to a tenth "
        "after epoch 2, and is 0.001 at this step."
    )
    assert read_settings(tmp_path / "run" / "settings.yaml") == second
    found, expected = rows_of(tmp_path / "run"), rows_of(whole)
    assert [row["learning_rate"] for row in found] == pytest.approx([1e-3, 1e-4, 1e-4])
    assert found == [pytest.approx(row, rel=1e-3, abs=1e-5) for row in expected]


def test_a_folder_is_one_runs_at_a_time(shapes_train, tmp_path):
    said = rf"another program is at work in this folder \(process {os.getpid()} on"
    with locked(tmp_path / "run"), pytest.raises(UsageError, match=said):
        train(settings_of(shapes_train, epochs=1), tmp_path / "run", say=lambda line: None)


def test_what_a_killed_run_left_behind_is_cleared(shapes_train, tmp_path):
    write_text(tmp_path / ".state.writing-1-0123.npz", "half")
    with claimed(tmp_path, settings_of(shapes_train)) as before:
        assert before is None
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


def test_a_run_goes_on_with_other_devices(shapes_train, tmp_path):
    for devices in (1, "all", 2, [0, 1]):
        with claimed(tmp_path, settings_of(shapes_train, devices=devices)) as before:
            assert before is None
    assert read_settings(tmp_path / "settings.yaml").train.devices == (0, 1)


def test_other_processes_of_a_run_write_nothing(shapes_train, tmp_path):
    with claimed(tmp_path, settings_of(shapes_train)):
        held = {path.name for path in tmp_path.iterdir()}
        with claimed(tmp_path, settings_of(shapes_train, devices=2), first=False) as before:
            assert before is None
        with pytest.raises(UsageError, match="a run with other settings"):
            claimed(tmp_path, settings_of(shapes_train, seed=2), first=False).__enter__()
        assert {path.name for path in tmp_path.iterdir()} == held
    assert read_settings(tmp_path / "settings.yaml").train.devices == 1
    with claimed(tmp_path / "missing", settings_of(shapes_train), first=False):
        assert not (tmp_path / "missing").exists()
