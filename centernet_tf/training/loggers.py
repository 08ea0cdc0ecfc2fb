"""Weights & Biases and MLflow: the settings of a run, and what every epoch's logs say.

Where their server is and what a run belongs to, their own variables of the environment and logins say: WANDB_PROJECT,
WANDB_MODE; MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME.
"""

import contextlib
import importlib.util
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from centernet_tf.config import Settings
from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_json

PROJECT = "centernet_tf"  # what runs belong to where nothing else is said
RUNS_FILE = "loggers.json"  # {logger: id of its run}, by which a run that is resumed goes on


class Logger(keras.callbacks.Callback):
    """Passes on each epoch's logs and the learning rate.

    Args:
        out: Folder of the run, which gives it its name.
        settings: Of the run.
        run_id: Of what is gone on with; None for a new run.

    Attributes:
        run_id: Of the run.
    """

    run_id: str

    def __init__(self, out: Path, settings: Settings, run_id: str | None):
        super().__init__()
        self.run_id = self.begin(out, settings, run_id)

    def begin(self, out: Path, settings: Settings, run_id: str | None) -> str:
        """Starts a run, or goes on with one; its id."""
        raise NotImplementedError

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Takes the numbers of an epoch, from 1."""
        raise NotImplementedError

    def finish(self, done: bool) -> None:
        """Ends the run, which is done, or was broken off."""
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.log({"learning_rate": rate, **values}, epoch + 1)


class WandbLogger(Logger):
    """A run of Weights & Biases, whose files are in the run's folder."""

    def begin(self, out: Path, settings: Settings, run_id: str | None) -> str:
        import wandb

        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=os.environ.get("WANDB_NAME", out.resolve().name),
                id=run_id,
                resume="allow",
                dir=str(out),
                config=settings.model_dump(mode="json"),
            )
        except wandb.Error as error:
            raise UsageError(
                f"train.loggers: wandb cannot begin ({_line(error)}). Log in with `wandb login`, set "
                "WANDB_MODE=offline, or leave it out."
            ) from error
        return self._run.id

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._run.log(dict(values), step=epoch)

    def finish(self, done: bool) -> None:
        self._run.finish(exit_code=0 if done else 1)


class MlflowLogger(Logger):
    """A run of MLflow."""

    def begin(self, out: Path, settings: Settings, run_id: str | None) -> str:
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        self._warned = False
        try:
            self._client = MlflowClient()
            if run_id is not None:
                self._client.update_run(run_id, status="RUNNING")
                return run_id
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            known = self._client.get_experiment_by_name(name)
            experiment = known.experiment_id if known else self._client.create_experiment(name)
            run_id = self._client.create_run(experiment, run_name=out.resolve().name).info.run_id
            params = [Param(name, str(value)) for name, value in flat(settings.model_dump(mode="json"))]
            for first in range(0, len(params), 100):  # so many at a time
                self._client.log_batch(run_id, params=params[first : first + 100])
        except MlflowException as error:
            raise UsageError(
                f"train.loggers: mlflow cannot begin ({_line(error)}). Set MLFLOW_TRACKING_URI to a server or a "
                "database, such as sqlite:///mlflow.db, or leave it out."
            ) from error
        return run_id

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, epoch) for name, value in values.items()]
        with self._going_on():
            self._client.log_batch(self.run_id, metrics=metrics)

    def finish(self, done: bool) -> None:
        with self._going_on():
            self._client.set_terminated(self.run_id, "FINISHED" if done else "FAILED")

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """Warns once where the server no longer answers: log.csv has it all, and days of training would be lost."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if not self._warned:
                warnings.warn(f"MLflow lacks some of this run, which goes on: {_line(error)}", stacklevel=2)
            self._warned = True


LOGGERS: dict[str, type[Logger]] = {"wandb": WandbLogger, "mlflow": MlflowLogger}


def check_loggers(names: Sequence[str]) -> None:
    """Raises UsageError where the package of a logger is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(
                f"train.loggers: {name} is not installed. pip install 'centernet_tf[{name}]', or leave it out."
            )


@contextlib.contextmanager
def opened(settings: Settings, out: Path, first: bool = True) -> Iterator[list[Logger]]:
    """The loggers of `train.loggers` as callbacks; what a run that is resumed had begun goes on.

    Args:
        settings: Of the run.
        out: Its folder.
        first: Whether this is the first of the processes that train; the others tell nobody.

    Raises:
        UsageError: One cannot begin, for want of a login, a server or a folder.
    """
    path, made, done = out / RUNS_FILE, [], False
    runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        for name in dict.fromkeys(settings.train.loggers if first else ()):
            made.append(LOGGERS[name](out, settings, runs.get(name)))
            runs[name] = made[-1].run_id
        if made:
            write_json(path, runs)
        yield made
        done = True
    finally:
        for logger in made:
            logger.finish(done)


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as (section.name, value)."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())[:300]
