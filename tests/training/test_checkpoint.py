import json

import keras
import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.training.checkpoint import STATE_FILE, KeepState, Progress, load_state, save_state


def values_of(trainer):
    variables = [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def trained(make_trainer, make_batch, steps=3):
    trainer = make_trainer(ema=0.9)
    for seed in range(steps):
        trainer.train_on_batch(*make_batch(seed))
    return trainer


def test_a_step_after_loading_gives_the_same_numbers(make_trainer, make_batch, tmp_path):
    trainer = trained(make_trainer, make_batch)
    save_state(tmp_path / STATE_FILE, trainer, Progress(3, 0.25, 2))
    again = make_trainer(ema=0.9)
    assert load_state(tmp_path / STATE_FILE, again) == Progress(3, 0.25, 2)
    for one, other in zip(values_of(trainer), values_of(again)):
        np.testing.assert_array_equal(one, other)
    logs = [each.train_on_batch(*make_batch(7), return_dict=True) for each in (trainer, again)]
    logs = [{name: float(value) for name, value in each.items()} for each in logs]
    assert logs[0] == pytest.approx(logs[1], rel=1e-6), "the sums of the running epoch go on too"
    for one, other in zip(values_of(trainer), values_of(again)):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_no_other_file_is_left(make_trainer, tmp_path):
    for step in (1, 2):
        save_state(tmp_path / STATE_FILE, make_trainer(), Progress(step))
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_a_save_that_fails_keeps_the_old_file(make_trainer, tmp_path, monkeypatch):
    path, trainer = tmp_path / STATE_FILE, make_trainer()
    save_state(path, trainer, Progress(1))

    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(DataError, match=r"state\.npz: cannot be written \(No space"):
        save_state(path, trainer, Progress(2))
    assert load_state(path, trainer) == Progress(1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not numbers")


def no_progress(path):
    np.savez(path, v00000=np.zeros(3))


def other_progress(path):
    np.savez(path, progress=json.dumps({"steps": 3}))


@pytest.mark.parametrize("damage", [cut, flip, empty, text, no_progress, other_progress])
def test_a_damaged_file(make_trainer, make_batch, tmp_path, damage):
    path, trainer = tmp_path / STATE_FILE, make_trainer()
    save_state(path, trainer, Progress(1))
    damage(path)
    with pytest.raises(DataError) as error:
        load_state(path, trainer)
    assert str(error.value).startswith(f"{path}: the saved state is damaged (")
    assert str(error.value).endswith("Remove it to start again.")


@pytest.mark.parametrize("change", [{"ema": 0.9}, {"classes": 4}, {"optimizer": keras.optimizers.SGD}])
def test_a_file_of_other_settings(make_trainer, tmp_path, change):
    path = tmp_path / STATE_FILE
    save_state(path, make_trainer(), Progress(1))
    if "optimizer" in change:
        change = {"optimizer": change["optimizer"](0.1)}
    other = make_trainer(**change)
    before = values_of(other)
    with pytest.raises(UsageError) as error:
        load_state(path, other)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith("Use the settings saved beside it, or another --out.")
    for one, two in zip(before, values_of(other)):
        np.testing.assert_array_equal(one, two)


class KilledError(Exception):
    """Stands for the end of a process."""


class Kill(keras.callbacks.Callback):
    """Ends a run after a batch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            raise KilledError


def fit(trainer, make_batch, *callbacks, start=0, steps=4):
    """An epoch of batches that never repeat; `start` is the first."""
    batches = (make_batch(number) for number in range(start, start + steps))
    return trainer.fit(batches, steps_per_epoch=steps, callbacks=list(callbacks), shuffle=False, verbose=0).history


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (None, [None, None, None, None, 4, 4, 4, 4, 4, 8]),
        (3, [None, None, 3, 3, 4, 4, 6, 6, 6, 8]),
        # The last batch of an epoch is left to the epoch's end: what follows it in the epoch must not be lost.
        (2, [None, 2, 2, 2, 4, 4, 6, 6, 6, 8]),
        (1, [1, 2, 3, 3, 4, 5, 6, 7, 7, 8]),
    ],
)
def test_when_the_state_is_saved(make_trainer, tmp_path, every, expected):
    """Called as `fit` calls it, for two epochs of four batches; what matters of the trainer is its variables."""
    progress, path, steps = Progress(), tmp_path / STATE_FILE, []
    keep = KeepState(path, progress, every)
    keep.set_model(make_trainer())
    keep.set_params({"steps": 4})

    def note():
        saved = None
        if path.exists():
            with np.load(path) as archive:
                saved = json.loads(str(archive["progress"]))["step"]
        steps.append(saved)

    for epoch in range(2):
        keep.on_epoch_begin(epoch)
        for batch in range(4):
            keep.on_train_batch_end(batch)
            note()
        keep.on_epoch_end(epoch)
        note()
    assert steps == expected
    assert progress == Progress(8)


def test_a_broken_epoch_goes_on_with_its_sums(make_trainer, make_batch, tmp_path):
    whole, path = fit(make_trainer(), make_batch), tmp_path / STATE_FILE
    with pytest.raises(KilledError):
        fit(make_trainer(), make_batch, KeepState(path, Progress(), 3), Kill(2))

    again = make_trainer()
    keep = KeepState(path, load_state(path, again), None)
    assert keep.progress.step == 3
    keep.resume_within_epoch(again)
    rest = fit(again, make_batch, keep, start=3, steps=1)
    assert rest == {name: pytest.approx(value, rel=1e-5) for name, value in whole.items()}
    assert keep.progress.step == 4
