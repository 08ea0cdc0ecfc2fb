"""The state of a run on disk, so that one killed at any moment resumes to the same numbers."""

import dataclasses
import json
import zipfile
from pathlib import Path

import keras
import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.files import whole_file
from centernet_tf.training.trainer import Trainer

STATE_FILE = "state.npz"


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: Batches done since the start.
        best: Highest score on the validation set so far, the mean of `evaluate.Scores.main`; -1 before the first.
        best_epoch: Epoch of it, from 1.
    """

    step: int = 0
    best: float = -1.0
    best_epoch: int = 0


def _variables(trainer: Trainer) -> list[keras.Variable]:
    """Everything a step reads and writes: weights, also of the loss, the EMA, the optimiser, sums of the epoch."""
    return [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]


def save_state(path: Path, trainer: Trainer, progress: Progress, write: bool = True) -> None:
    """Writes the state; a reader, or a run that resumes, sees the old file or the new one.

    Of several processes that train together each comes here and one writes, for sums of an epoch are read by all.
    """
    arrays = {f"v{index:05d}": keras.ops.convert_to_numpy(value) for index, value in enumerate(_variables(trainer))}
    if not write:
        return
    with whole_file(path, "wb") as file:
        np.savez(file, progress=json.dumps(dataclasses.asdict(progress)), **arrays)


def read_progress(path: Path) -> Progress:
    """How far the run of a state file is; errors as of `load_state`."""
    return _read(path)[0]


def load_state(path: Path, trainer: Trainer) -> Progress:
    """Puts a trainer, compiled and built, where the file says.

    Raises:
        DataError: The file is damaged.
        UsageError: It is of a run with other settings.
    """
    variables = _variables(trainer)
    progress, arrays = _read(path)
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise UsageError(
            f"{path}: {len(arrays)} saved arrays do not fit this run's {len(variables)} variables, so its settings "
            "were others. Use the settings saved beside it, or another --out."
        )
    for variable, array in zip(variables, arrays):
        variable.assign(array)
    return progress


def _read(path: Path) -> tuple[Progress, list[np.ndarray]]:
    try:
        with np.load(path) as archive:
            progress = Progress(**json.loads(str(archive["progress"])))
            return progress, [archive[name] for name in sorted(archive.files) if name != "progress"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: the saved state is damaged ({error}). Remove it to start again.") from error


class KeepState(keras.callbacks.Callback):
    """Saves the state after every epoch, and within one every so many steps.

    Args:
        path: Of the state file.
        progress: Shared with the run; its step is counted here.
        every: Steps between saves within an epoch; None saves after epochs only.
        write: Whether this process is the one that writes.
    """

    def __init__(self, path: Path, progress: Progress, every: int | None, write: bool = True):
        super().__init__()
        self.path, self.progress, self.every, self.write = path, progress, every, write
        self._running: list[np.ndarray] | None = None

    def resume_within_epoch(self, trainer: Trainer) -> None:
        """Remembers the sums of the broken epoch, which `fit` is about to reset."""
        self._running = [keras.ops.convert_to_numpy(value) for value in trainer.metrics_variables]

    def on_epoch_begin(self, epoch, logs=None):
        if self._running is not None:
            for variable, value in zip(self.model.metrics_variables, self._running):
                variable.assign(value)
            self._running = None

    def on_train_batch_end(self, batch, logs=None):
        self.progress.step += 1
        # After the last batch the epoch is not over: a run that goes on from there would leave out its score and row.
        last = batch + 1 == self.params["steps"]
        if self.every and self.progress.step % self.every == 0 and not last:
            save_state(self.path, self.model, self.progress, self.write)

    def on_epoch_end(self, epoch, logs=None):
        save_state(self.path, self.model, self.progress, self.write)
