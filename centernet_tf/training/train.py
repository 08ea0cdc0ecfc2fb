"""Trains a network: settings, data, network, fit, in that order."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from centernet_tf.backbones import find_backbone, own_name
from centernet_tf.checkpoints.trunks import trunk_file, trunk_of
from centernet_tf.config import Settings
from centernet_tf.data import choices
from centernet_tf.data.dataset import Dataset, open_dataset
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model, read_card
from centernet_tf.training import loggers
from centernet_tf.training.claim import check_place, claimed
from centernet_tf.training.devices import open_devices
from centernet_tf.training.run import Run
from centernet_tf.training.start import start_from, start_from_checkpoint
from centernet_tf.training.start_keras import start_from_keras
from centernet_tf.version import VERSION

PIXELS = {"mean", "std", "order", "fill", "resample"}  # Of the card's input: what settings, weights or backbone say.
CHECKPOINTS = (".pth", ".pt", ".tar", ".pkl")  # Endings of PyTorch's files.


def train(settings: Settings, out: str | Path, say: Callable[[str], None] = print, extra: Sequence[Any] = ()) -> Path:
    """Runs a training to its end, or goes on with one that was stopped or killed.

    Args:
        settings: Of the run.
        out: Folder of everything it writes: best.keras and last.keras, log.csv, board/ for TensorBoard, settings.yaml,
            and the state it resumes from. The same call goes on where it was stopped; with more epochs, also where it
            was finished. No other program may be at work in it. Of several processes, which must all see this folder,
            the first one writes.
        say: Takes lines for people, of the first process.
        extra: Further Keras callbacks, of every process.

    Returns:
        The model file to use: the best on the validation set, or the last where nothing is validated.

    Raises:
        UsageError: A setting does not fit the data or the devices, the folder holds a run with other settings, or a
            logger is not installed or cannot begin.
        DataError: Records are damaged, the loss is no longer a number, or another process no longer answers.
    """
    loggers.check_loggers(settings.train.loggers)
    out = Path(out)
    check_place(out)
    devices = open_devices(settings)
    say = say if devices.first else _silent
    records, validation = _open_data(settings)
    settings = _chosen(settings, records, devices.count, say)
    _check_batch(settings, records)
    card = _card(settings, records)
    records, validation = _with_properties(settings, card, records, validation)
    keras.utils.set_random_seed(settings.train.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.train.precision)
    try:
        return _train(Run(settings, out, card, records, validation, devices, say), extra)
    finally:
        keras.config.set_dtype_policy(policy)


def _train(run: Run, extra: Sequence[Any]) -> Path:
    """`train`, once data and settings are known to fit."""
    run.check()
    network = run.network()
    if run.settings.weights:
        run.say(_start(network, run.card.backbone, run.settings.weights))
    first = run.devices.first
    with claimed(run.out, run.settings, first) as before, loggers.opened(run.settings, run.out, first) as logging:
        return run.train(network, before, [*logging, *extra])


def _silent(line: str) -> None:
    """What processes other than the first one say."""


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
    return records, validation


def _check_batch(settings: Settings, records: Dataset) -> None:
    """Raises UsageError where an epoch has no step."""
    if records.images < settings.train.batch_size:
        raise UsageError(
            f"{records.directory}: {records.images} images do not fill one batch of {settings.train.batch_size}. "
            "Set train.batch_size lower, or add images."
        )


def _chosen(settings: Settings, records: Dataset, devices: int, say: Callable[[str], None]) -> Settings:
    """The settings with numbers for what is "auto", which is told."""
    data, train = settings.data, settings.train
    if data.size == "auto":
        size, why = choices.input_size(
            choices.look(records.files, records.classes), find_backbone(settings.backbone).stride
        )
        say(f"data.size: {list(size)}, for {why}.")
        settings = settings.model_copy(update={"data": data.model_copy(update={"size": size})})
    if train.batch_size == "auto":
        count, why = choices.batch(records.images, devices)
        say(f"train.batch_size: {count}, for {why}.")
        train = train.model_copy(update={"batch_size": count})
    if train.epochs == "auto":
        count, why = choices.epochs(records.images, train.batch_size)
        say(f"train.epochs: {count}, for {why}.")
        train = train.model_copy(update={"epochs": count})
    return settings if train is settings.train else settings.model_copy(update={"train": train})


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
    if isinstance(settings.weights, Path) and settings.weights.suffix not in (".h5", *CHECKPOINTS):
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
