"""What happens beside the steps: average precision, the best model, the CSV log, and warnings that name a remedy."""

import contextlib
import csv
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import keras

from centernet_tf.config import Settings
from centernet_tf.data.dataset import Dataset
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.evaluation import evaluate
from centernet_tf.host.files import whole_file
from centernet_tf.model.file import save_model
from centernet_tf.training.checkpoint import Progress

BEST, LAST = "best.keras", "last.keras"
STUCK_SCORE = 0.1  # The prior that every heatmap starts with.


def out_of_patience(settings: Settings, progress: Progress, epoch: int) -> bool:
    """Whether a run ends before its last epoch, for no score has been better than that of train.patience epochs ago.

    Asked of any epoch, from 1, it speaks of the last one until then that was scored, so that a run that goes on after a
    kill ends where it would have ended.
    """
    train = settings.train
    scored = epoch if epoch == train.epochs else epoch - epoch % settings.evaluate.every
    return bool(train.patience and progress.best_epoch and scored - progress.best_epoch >= train.patience)


class AveragePrecision(keras.callbacks.Callback):
    """Scores the validation set every few epochs, and keeps the last model and the best.

    It ends the run where `out_of_patience` says so, and writes each of `evaluate.Scores.main` and AP50 into the epoch's
    logs, such as val_AP, so it comes before the callbacks that show them. The best model has the highest mean of
    `Scores.main`: all that is measured counts alike.

    Args:
        detector: Makes a detector of the weights as they are now, the EMA where there is one.
        validation: Records; None keeps the last model only.
        settings: Of the run. The last epoch is always scored.
        out: Folder of best.keras and last.keras.
        progress: Shared with the run; holds the best score.
        show: Called with (epoch, detector) after each score, to draw images.
        alone: A context in which one device works by itself, where several train.
    """

    def __init__(
        self,
        detector: Callable[[], Detector],
        validation: Dataset | None,
        settings: Settings,
        out: Path,
        progress: Progress,
        show: Callable[[int, Detector], None] = lambda epoch, detector: None,
        alone: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ):
        super().__init__()
        self.alone = alone
        self.detector, self.validation, self.out, self.progress, self.show = detector, validation, out, progress, show
        self.settings = settings

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.settings.evaluate.every and epoch + 1 != self.settings.train.epochs:
            return
        _ = self.model  # Reading it brings the weights up to date on JAX.
        with self.alone():
            self._score(epoch, logs)
        if out_of_patience(self.settings, self.progress, epoch + 1):
            self.model.stop_training = True

    def _score(self, epoch: int, logs: dict | None) -> None:
        detector = self.detector()
        about = {"epoch": epoch + 1}
        if self.validation is not None:
            found = evaluate(detector, self.validation, self.settings.evaluate.batch_size)
            # Without an object of any class AP is not a number; every model is as good as the first then.
            main = {name: 0.0 if math.isnan(value) else value for name, value in found.main.items()}
            scores = {**main, "AP50": found.coco.summary["AP50"]}
            about |= scores
            if logs is not None:
                logs |= {f"val_{name.replace(' ', '_')}": value for name, value in scores.items()}
            mean = sum(main.values()) / len(main)
            if mean > self.progress.best:
                self.progress.best, self.progress.best_epoch = mean, epoch + 1
                self._save(BEST, detector, about)
        self._save(LAST, detector, about)
        self.show(epoch + 1, detector)

    def _save(self, name: str, detector: Detector, about: dict) -> None:
        card = detector.card.model_copy(update={"about": {**detector.card.about, **about}})
        save_model(self.out / name, detector.network, card)


class Agree(keras.callbacks.Callback):
    """Tells all processes what the first one found at the end of an epoch: the best score, and whether the run ends.

    Args:
        agreed: `Devices.agreed` of the run.
        progress: Shared with the run.
    """

    def __init__(self, agreed: Callable[[list[float]], list[float]], progress: Progress):
        super().__init__()
        self.agreed, self.progress = agreed, progress

    def on_epoch_end(self, epoch, logs=None):
        found = self.agreed([self.progress.best, self.progress.best_epoch, self.model.stop_training])
        self.progress.best, self.progress.best_epoch = found[0], int(found[1])
        self.model.stop_training = bool(found[2])


class CsvLog(keras.callbacks.Callback):
    """One row an epoch. Rows of epochs that a resumed run does again are replaced."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epoch]
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        rows.append({"epoch": epoch + 1, "learning_rate": rate, **(logs or {})})
        names = list(dict.fromkeys(name for row in rows for name in row))
        with whole_file(self.path) as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)


class Watch(keras.callbacks.Callback):
    """Stops a run whose loss is no longer a number, and warns of one that does not take off.

    A network whose heatmap stays near zero everywhere has a low loss and finds nothing; the score at the true centres
    tells it apart from one that learns.

    Args:
        patience: Steps after which the centres should score above the prior that training started from.
        progress: Shared with the run.
    """

    def __init__(self, patience: int, progress: Progress):
        super().__init__()
        self.patience, self.progress, self.warned = patience, progress, False

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        loss, score = logs.get("loss", 0.0), logs.get("center_score", 1.0)
        if not abs(loss) < float("inf"):
            raise DataError(
                f"The loss became {loss} in epoch {epoch + 1}. Lower train.learning_rate, set train.clip_norm=10 or "
                "train.warmup_steps=500, and check the records with `centernet inspect`."
            )
        if self.progress.step >= self.patience and score < STUCK_SCORE and not self.warned:
            self.warned = True
            warnings.warn(
                f"After {self.progress.step} steps the heatmap scores {score:.3f} at the true centres, below the "
                f"{STUCK_SCORE} it started from: it has collapsed to zero and nothing is detected. Train longer, set "
                "train.warmup_steps=200 and another train.learning_rate (5e-4 for batches of 8 to 32), start from a "
                "trained model with weights=, or see with `centernet inspect` whether the labels fit the images.",
                stacklevel=2,
            )
