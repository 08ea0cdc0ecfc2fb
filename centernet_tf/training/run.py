"""One run in its folder: trainer, callbacks, and `fit` from where it stands, on whatever devices it has."""

import dataclasses
import gc
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from centernet_tf.config import Settings
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.damage import reading
from centernet_tf.data.dataset import Dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.scales import sizes_around
from centernet_tf.errors import UsageError
from centernet_tf.model.card import ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.task_set import TaskSet
from centernet_tf.training.alone import ValidationLoss, detector_of
from centernet_tf.training.board import Board, Losses
from centernet_tf.training.callbacks import BEST, LAST, Agree, AveragePrecision, CsvLog, Watch, out_of_patience
from centernet_tf.training.checkpoint import STATE_FILE, KeepState, Progress, load_state, read_progress
from centernet_tf.training.devices import Devices
from centernet_tf.training.schedule import build_optimizer, continuation
from centernet_tf.training.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run is made of, once data and settings are known to fit.

    Attributes:
        settings: All of them, numbers in place of "auto".
        out: Its folder.
        card: Of the models it writes.
        records: To train on.
        validation: To score on; None scores nothing.
        devices: That train.
        say: Takes lines for people.
    """

    settings: Settings
    out: Path
    card: ModelCard
    records: Dataset
    validation: Dataset | None
    devices: Devices
    say: Callable[[str], None]

    def check(self) -> None:
        """Raises UsageError where the records do not fit how they are augmented, or processes differ.

        Processes with different settings, or with folders of their own, would wait for each other or train something
        that is neither's.
        """
        feed = self._feed(self._tasks())
        feed.check_augment(self._augment)
        self._steps(feed)
        if self.devices.share.processes > 1:
            self._check_same()

    def _check_same(self) -> None:
        path = self.out / STATE_FILE
        settings = self.settings.model_dump(mode="json", exclude={"train": {"devices"}})
        step = read_progress(path).step if path.exists() else 0
        here = [step, zlib.crc32(repr(settings).encode())]
        first = self.devices.agreed(here)
        if here[1] != first[1]:
            raise UsageError(
                f"Process {self.devices.share.process} has other settings than process 0. Give all the same."
            )
        if step != first[0]:
            raise UsageError(
                f"{self.out}: process {self.devices.share.process} finds step {step} there, and process 0 step "
                f"{first[0]:.0f}. Give an --out in a folder that all processes share."
            )

    def network(self) -> keras.Model:
        """The network to train, with new weights."""
        with self.devices.building():
            return self._network(self._tasks())

    def train(self, network: keras.Model, before: Settings | None, extra: Sequence[Any]) -> Path:
        """Trains to the last epoch.

        Args:
            network: As of `network`.
            before: The settings that the run had until now, where it has more epochs now; else None.
            extra: Further Keras callbacks.

        Returns:
            The model file to use.
        """
        with self.devices.building():
            trainer = self._trainer(self.devices.trainer, network, self._tasks())
        if trainer.loss_layers:
            self.say(_of_losses(trainer))
        steps = self._steps(self._feed(trainer.tasks))
        keep = self._resumed(trainer, before, steps)
        progress = keep.progress
        callbacks = [Watch(max(300, 3 * steps), progress), *self._writers(trainer, progress)]
        began = time.monotonic()
        with reading(self.records.directory), self.devices.running():
            self._fit(trainer, steps, [*callbacks, Agree(self.devices.agreed, progress), *extra, keep], keep)
        # A stream of batches that is still alive when Python ends, in a cycle that nobody cleared, aborts the process.
        gc.collect()
        epochs, patience = self.settings.train.epochs, self.settings.train.patience
        if out_of_patience(self.settings, progress, progress.step // steps):
            self.say(
                f"No better score since epoch {progress.best_epoch}, so the run ends after {progress.step // steps} of "
                f"{epochs} (train.patience: {patience})."
            )
        self.say(f"Trained to step {progress.step} in {(time.monotonic() - began) / 60:.1f} minutes.")
        return self.out / (BEST if progress.best_epoch else LAST)

    def _resumed(self, trainer: Trainer, before: Settings | None, steps: int) -> KeepState:
        """Brings the trainer to where the run stands."""
        train, progress = self.settings.train, Progress()
        keep = KeepState(self.out / STATE_FILE, progress, train.checkpoint_steps, self.devices.first)
        if keep.path.exists():
            vars(progress).update(vars(load_state(keep.path, trainer)))
            self.say(f"Resuming after step {progress.step}, epoch {progress.step / steps:.2f} of {train.epochs}.")
        if before:
            self.say(continuation(before, self.settings, steps, progress.step))
        return keep

    def _writers(self, trainer: Trainer, progress: Progress) -> list[Any]:
        """The callbacks that score, and that write what people look at: those of the first process."""
        if not self.devices.first:
            return []
        settings, validation, out = self.settings, self.validation, self.out
        shown = settings.evaluate.images
        show = [Board(out / "board", validation or self.records, shown)] if shown else []
        losses = []
        if validation and self.devices.count > 1:
            losses.append(ValidationLoss(self._twin, self._validated(trainer), settings.evaluate.every, self.devices))
        return [
            *losses,
            AveragePrecision(
                lambda: detector_of(trainer, self.card),
                validation,
                settings,
                out,
                progress,
                *show,
                alone=self.devices.alone,
            ),
            CsvLog(out / "log.csv"),
            Losses(out / "board"),
        ]

    def _fit(self, trainer: Trainer, steps: int, callbacks: Sequence[Any], keep: KeepState) -> None:
        """Runs `fit` from where the run stands; an epoch that was broken off is finished first, on its own."""
        train, evaluate, first = self.settings.train, self.settings.evaluate, self.devices.first
        feed = dataclasses.replace(self._feed(trainer.tasks), share=self.devices.share)
        epoch, within = divmod(keep.progress.step, steps)
        parts = [(epoch, train.epochs, steps)]
        if within:
            keep.resume_within_epoch(trainer)
            parts = [(epoch, epoch + 1, steps - within), (epoch + 1, train.epochs, steps)]
        for start, last, count in parts:
            if start >= last or out_of_patience(self.settings, keep.progress, start):
                continue
            batches = feed.training(self.records, train.batch_size, self._augment, keep.progress.step, train.epochs)
            trainer.fit(
                self.devices.batches(batches),
                initial_epoch=start,
                epochs=last,
                steps_per_epoch=count,
                validation_data=self._validated(trainer) if self.validation and self.devices.count == 1 else None,
                validation_freq=evaluate.every,
                callbacks=list(callbacks),
                shuffle=False,
                verbose=(1 if sys.stdout.isatty() else 2) if first else 0,
            )

    def _validated(self, trainer: Trainer) -> Any:
        return self._feed(trainer.tasks).validation(self.validation, self.settings.evaluate.batch_size)

    def _twin(self) -> Trainer:
        """Another trainer of another network, for one device."""
        tasks = self._tasks()
        return self._trainer(Trainer, self._network(tasks), tasks)

    def _trainer(self, kind: type[Trainer], network: keras.Model, tasks: TaskSet) -> Trainer:
        """Compiled and built."""
        train, feed = self.settings.train, self._feed(tasks)
        trainer = kind(network, tasks, self.card.input.normalization, feed.size, train.ema, feed.sizes)
        optimizer = build_optimizer(self.settings, self._steps(feed))
        trainer.compile(optimizer, loss=None, jit_compile=kind is Trainer and _compiled(train.xla))
        trainer.optimizer.build(trainer.trainable_variables)
        return trainer

    def _network(self, tasks: TaskSet) -> keras.Model:
        return build_network(self.card.backbone, tasks.heads, tasks.inputs, self.card.head_channels)

    def _tasks(self) -> TaskSet:
        """The tasks, with layers of the loss of their own."""
        return self.card.task_set(**self.settings.loss.options(self.records.objects_per_class))

    @property
    def _augment(self) -> Augmentation:
        return Augmentation(**self.settings.augment.model_dump())

    def _steps(self, feed: Feed) -> int:
        return feed.steps(self.records, self.settings.train.batch_size)

    def _feed(self, tasks: TaskSet) -> Feed:
        data, pixels = self.settings.data, self.card.input
        return Feed(
            size=data.size,
            max_objects=self.settings.max_objects,
            window=tasks.window,
            fill=pixels.fill,
            resample=pixels.resample,
            fields=tasks.fields,
            properties=tasks.properties,
            device_warp=data.device_warp,
            workers=data.workers,
            shuffle=data.shuffle,
            seed=self.settings.train.seed,
            inputs=tasks.inputs,
            frames=tasks.frames,
            clip=tasks.clip,
            canvas=tuple(255 * one for one in (pixels.mean[::-1] if pixels.order == "bgr" else pixels.mean)),
            sizes=sizes_around(data.size, self.settings.augment.multi_scale, pixels.stride),
        )


def _of_losses(trainer: Trainer) -> str:
    """What the layers of the loss cost, for people: a classifier may be larger than the network."""
    parts = [f"{layer.name} {layer.count_params():,}" for layer in trainer.loss_layers]
    # The weights, their gradients, and the two moments that Adam keeps of each.
    memory = 4 * 4 * sum(layer.count_params() for layer in trainer.loss_layers) / 1e6
    return f"Weights of the loss, no part of the model: {', '.join(parts)}; {memory:.1f} MB to train them."


def _compiled(xla: str | bool) -> bool:
    """Whether the step is compiled by XLA; on a processor its convolutions are slower than TensorFlow's own."""
    if xla != "auto":
        return bool(xla)
    return keras.backend.backend() == "jax" or bool(keras.distribution.list_devices("gpu"))
