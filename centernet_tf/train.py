"""Trains a network: settings, data, network, fit, in that order."""

import dataclasses
import gc
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from centernet_tf.backbones import find_backbone, own_name
from centernet_tf.checkpoints.trunks import trunk_file, trunk_of
from centernet_tf.config import Settings
from centernet_tf.data import choices
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.damage import reading
from centernet_tf.data.dataset import Dataset, open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.scales import sizes_around
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model, read_card
from centernet_tf.model.network import build_network
from centernet_tf.points.task_set import TaskSet
from centernet_tf.training import loggers
from centernet_tf.training.board import Board, Losses
from centernet_tf.training.callbacks import BEST, LAST, AveragePrecision, CsvLog, Watch, out_of_patience
from centernet_tf.training.checkpoint import STATE_FILE, KeepState, Progress, load_state
from centernet_tf.training.claim import claimed
from centernet_tf.training.schedule import build_optimizer, continuation
from centernet_tf.training.start import start_from, start_from_checkpoint
from centernet_tf.training.start_keras import start_from_keras
from centernet_tf.training.trainer import Trainer
from centernet_tf.version import VERSION

PIXELS = {"mean", "std", "order", "fill", "resample"}  # Of the card's input: what settings, weights or backbone say.
CHECKPOINTS = (".pth", ".pt", ".tar", ".pkl")  # Endings of PyTorch's files.


def train(settings: Settings, out: str | Path, say: Callable[[str], None] = print, extra: Sequence[Any] = ()) -> Path:
    """Runs a training to its end, or goes on with one that was stopped or killed.

    Args:
        settings: Of the run.
        out: Folder of everything it writes: best.keras and last.keras, log.csv, board/ for TensorBoard, settings.yaml,
            and the state it resumes from. The same call goes on where it was stopped; with more epochs, also where it
            was finished. No other program may be at work in it.
        say: Takes lines for people.
        extra: Further Keras callbacks.

    Returns:
        The model file to use: the best on the validation set, or the last where nothing is validated.

    Raises:
        UsageError: A setting does not fit the data, the folder holds a run with other settings, or a logger is not
            installed or cannot begin.
        DataError: Records are damaged, or the loss is no longer a number.
    """
    out = Path(out)
    loggers.check_loggers(settings.train.loggers)
    records, validation = _open_data(settings)
    settings = _chosen(settings, records, say)
    card = _card(settings, records)
    records, validation = _with_properties(settings, card, records, validation)
    keras.utils.set_random_seed(settings.train.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.train.precision)
    try:
        return _train(settings, out, card, records, validation, say, extra)
    finally:
        keras.config.set_dtype_policy(policy)


def _train(
    settings: Settings,
    out: Path,
    card: ModelCard,
    records: Dataset,
    validation: Dataset | None,
    say: Callable[[str], None],
    extra: Sequence[Any],
) -> Path:
    """`train`, once data and settings are known to fit."""
    tasks = card.task_set(**settings.loss.options(records.objects_per_class))
    feed = _feed(settings, card, tasks)
    feed.check_augment(Augmentation(**settings.augment.model_dump()))
    feed.steps(records, settings.train.batch_size)
    network = build_network(card.backbone, tasks.heads, tasks.inputs, card.head_channels)
    if settings.weights:
        say(_start(network, card.backbone, settings.weights))
    with claimed(out, settings) as before, loggers.opened(settings, out) as logging:
        return _run(settings, before, out, card, network, tasks, records, validation, say, [*logging, *extra])


def _run(
    settings: Settings,
    before: Settings | None,
    out: Path,
    card: ModelCard,
    network: keras.Model,
    tasks: TaskSet,
    records: Dataset,
    validation: Dataset | None,
    say: Callable[[str], None],
    extra: Sequence[Any],
) -> Path:
    """`train`, once the folder is this run's; `before` has its settings where there were fewer epochs."""
    feed = _feed(settings, card, tasks)
    trainer = Trainer(network, tasks, card.input.normalization, feed.size, settings.train.ema, feed.sizes)
    steps = feed.steps(records, settings.train.batch_size)
    trainer.compile(build_optimizer(settings, steps), loss=None, jit_compile=_compiled(settings.train.xla))
    trainer.optimizer.build(trainer.trainable_variables)
    if trainer.loss_layers:
        say(_of_losses(trainer))

    progress = Progress()
    keep = KeepState(out / STATE_FILE, progress, settings.train.checkpoint_steps)
    if keep.path.exists():
        vars(progress).update(vars(load_state(keep.path, trainer)))
        say(f"Resuming after step {progress.step}, epoch {progress.step / steps:.2f} of {settings.train.epochs}.")
    if before:
        say(continuation(before, settings, steps, progress.step))

    def detector() -> Detector:
        return _detector(trainer, card)

    shown = settings.evaluate.images
    show = [Board(out / "board", validation or records, shown)] if shown else []
    callbacks = [
        Watch(max(300, 3 * steps), progress),
        AveragePrecision(detector, validation, settings, out, progress, *show),
        CsvLog(out / "log.csv"),
        Losses(out / "board"),
        *extra,
        keep,
    ]
    began = time.monotonic()
    with reading(records.directory):
        _fit(trainer, settings, card, records, validation, callbacks, keep)
    # A stream of batches that is still alive when Python ends, in a cycle that nobody cleared, aborts the process.
    gc.collect()
    if out_of_patience(settings, progress, progress.step // steps):
        say(
            f"No better score since epoch {progress.best_epoch}, so the run ends after {progress.step // steps} of "
            f"{settings.train.epochs} (train.patience: {settings.train.patience})."
        )
    say(f"Trained to step {progress.step} in {(time.monotonic() - began) / 60:.1f} minutes.")
    return out / (BEST if progress.best_epoch else LAST)


def _fit(
    trainer: Trainer,
    settings: Settings,
    card: ModelCard,
    records: Dataset,
    validation: Dataset | None,
    callbacks: Sequence[Any],
    keep: KeepState,
) -> None:
    """Runs `fit` from where the run stands; an epoch that was broken off is finished first, on its own."""
    feed, augment = _feed(settings, card, trainer.tasks), Augmentation(**settings.augment.model_dump())
    steps = feed.steps(records, settings.train.batch_size)
    epoch, within = divmod(keep.progress.step, steps)
    parts = [(epoch, settings.train.epochs, steps)]
    if within:
        keep.resume_within_epoch(trainer)
        parts = [(epoch, epoch + 1, steps - within), (epoch + 1, settings.train.epochs, steps)]
    for first, last, count in parts:
        if first >= last or out_of_patience(settings, keep.progress, first):
            continue
        trainer.fit(
            feed.training(records, settings.train.batch_size, augment, keep.progress.step, settings.train.epochs),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=count,
            validation_data=feed.validation(validation, settings.evaluate.batch_size) if validation else None,
            validation_freq=settings.evaluate.every,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,
        )


def _feed(settings: Settings, card: ModelCard, tasks: TaskSet) -> Feed:
    return Feed(
        size=settings.data.size,
        max_objects=settings.max_objects,
        window=tasks.window,
        fill=card.input.fill,
        resample=card.input.resample,
        fields=tasks.fields,
        properties=tasks.properties,
        device_warp=settings.data.device_warp,
        workers=settings.data.workers,
        shuffle=settings.data.shuffle,
        seed=settings.train.seed,
        inputs=tasks.inputs,
        frames=tasks.frames,
        clip=tasks.clip,
        canvas=tuple(255 * one for one in _in_rgb(card.input.mean, card.input.order)),
        sizes=sizes_around(settings.data.size, settings.augment.multi_scale, card.input.stride),
    )


def _in_rgb(mean: Sequence[float], order: str) -> Sequence[float]:
    return mean[::-1] if order == "bgr" else mean


def _open_data(settings: Settings) -> tuple[Dataset, Dataset | None]:
    """Opens the records and checks that they fit the settings and each other."""
    records = open_dataset(settings.data.train)
    validation = open_dataset(settings.data.validation) if settings.data.validation else None
    if settings.train.patience and validation is None:
        raise UsageError(
            "train.patience waits for a better score, and nothing is scored. Set data.validation, or leave it out."
        )
    expected = settings.classes or records.classes
    for dataset in filter(None, (records, validation)):
        if dataset.classes != expected:
            raise UsageError(
                f"{dataset.directory}: classes {list(dataset.classes)}, expected {list(expected)}, in this order. "
                "Write the records again with --classes, or correct the setting 'classes'."
            )
    if records.images < settings.train.batch_size:
        raise UsageError(
            f"{records.directory}: {records.images} images do not fill one batch of {settings.train.batch_size}. "
            "Set train.batch_size lower, or add images."
        )
    return records, validation


def _chosen(settings: Settings, records: Dataset, say: Callable[[str], None]) -> Settings:
    """The settings with numbers for what is "auto", which is told."""
    data, batch = settings.data, settings.train.batch_size
    if data.size == "auto":
        size, why = choices.input_size(
            choices.look(records.files, records.classes), find_backbone(settings.backbone).stride
        )
        say(f"data.size: {list(size)}, for {why}.")
        settings = settings.model_copy(update={"data": data.model_copy(update={"size": size})})
    if settings.train.epochs == "auto":
        count, why = choices.epochs(records.images, batch)
        say(f"train.epochs: {count}, for {why}.")
        settings = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": count})})
    return settings


def _with_properties(
    settings: Settings, card: ModelCard, records: Dataset, validation: Dataset | None
) -> tuple[Dataset, Dataset | None]:
    """The records with the properties that the tasks learn, as the settings or the records themselves say them."""
    properties = card.task_set().properties
    if validation is None:
        return records.with_properties(properties), None
    completed = {}
    for name, one in settings.tasks.items():
        ours = {key: getattr(card.settings[name], key) for key in one.trained}
        completed[name] = one.model_copy(update=ours).complete(validation).model_dump(mode="json")
    theirs = card.model_copy(update={"tasks": completed}).task_set().properties
    for ours, other in zip(properties, theirs, strict=True):
        if difference := ours.difference(other):
            raise UsageError(
                f"{validation.directory}: its {ours.name} are not those of {records.directory}: {difference}. "
                "Write one of them again."
            )
    return records.with_properties(properties), validation.with_properties(properties)


def _card(settings: Settings, records: Dataset) -> ModelCard:
    """What the model file will say."""
    name, backbone = own_name(settings.backbone), find_backbone(settings.backbone)
    stride = backbone.stride
    height, width = settings.data.size
    if height % stride or width % stride:
        near = [max(stride, round(side / stride) * stride) for side in (height, width)]
        raise UsageError(f"data.size is [{height}, {width}], but {name} takes multiples of {stride}. Try {near}.")
    pixels = dataclasses.asdict(backbone.normalization)
    if isinstance(settings.weights, Path) and settings.weights.suffix == ".keras":
        # Weights go on as they were trained; official ones of other data than COCO have statistics of their own.
        pixels = read_card(settings.weights).input.model_dump(include=PIXELS)
    pixels |= settings.data.model_dump(include=PIXELS, exclude_none=True)
    return ModelCard(
        tasks={name: one.complete(records).model_dump(mode="json") for name, one in settings.tasks.items()},
        backbone=name,
        head_channels=settings.head_channels,
        classes=records.classes,
        max_objects=settings.max_objects,
        class_specific_size=settings.class_specific_size,
        ltrb=settings.ltrb,
        iou_aware=settings.iou_aware,
        input=InputCard(height=height, width=width, stride=stride, **pixels),
        about={"version": VERSION, "data": records.name, "settings": settings.model_dump(mode="json")},
    )


def _start(network: keras.Model, backbone: str, weights: str | Path) -> str:
    """Loads what the run starts from, and says what that is."""
    if weights == "imagenet" and (trunk := trunk_of(backbone)):
        return start_from_checkpoint(network, backbone, trunk_file(trunk))
    if weights == "imagenet" or weights.suffix == ".h5":
        return start_from_keras(network, backbone, weights)
    if weights.suffix in CHECKPOINTS:
        return start_from_checkpoint(network, backbone, weights)
    return start_from(network, *load_model(weights), str(weights))


def _detector(trainer: Trainer, card: ModelCard) -> Detector:
    """A float32 twin with the weights as they are now, the EMA where there is one."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    network = build_network(card.backbone, trainer.tasks.heads, trainer.tasks.inputs, card.head_channels)
    keras.config.set_dtype_policy(policy)
    network.set_weights(trainer.inference_weights())
    return Detector(network, card)


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
