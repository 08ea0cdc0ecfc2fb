"""What the commands `train`, `evaluate`, `detect` and `export` do, from Python."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from centernet_tf import recipes
from centernet_tf.config import Settings, parse_settings, read_settings
from centernet_tf.data.dataset import open_dataset
from centernet_tf.detector import detector as detectors
from centernet_tf.detector.detector import Detector
from centernet_tf.evaluation import Scores
from centernet_tf.evaluation import evaluate as score
from centernet_tf.exports.formats import write_export
from centernet_tf.media.sources import find_sources
from centernet_tf.outputs import Outputs
from centernet_tf.predict import Summary, predict
from centernet_tf.training.train import train as fit

Model = str | Path | Detector


def train(
    settings: str | Path | Mapping[str, Any] | Settings,
    out: str | Path,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
    callbacks: Sequence[Any] = (),
) -> Path:
    """Trains a network, or goes on with a training that was stopped.

    Args:
        settings: A recipe's name (`centernet init --list`), a YAML file, or what would stand in one.
        out: Folder of the run; see `training.train.train` for what it will hold.
        changes: {name: value}, names as in "train.epochs"; each replaces one setting.
        say: Takes lines for people.
        callbacks: Further callbacks of Keras.

    Returns:
        The model file to use.

    Raises:
        UsageError: A setting is unknown or wrong, or does not fit the records.
        DataError: Records are damaged, or the loss is no longer a number.
    """
    return fit(_settings(settings, changes or {}), out, say, callbacks)


def evaluate(model: Model, data: str | Path, batch_size: int = 8, **options: Any) -> Scores:
    """Scores a model on records.

    Args:
        model: A model file, or what `load` made of one.
        data: Directory of records with the model's classes.
        batch_size: In images.
        options: Of `evaluation.score`: digits=2 rounds as official scores do, iou="kitti" is of 3D boxes.

    Returns:
        The scores: `.main` is {"AP": ...} and the one number of each property, `.as_dict()` has all of them.

    Raises:
        UsageError: Model and records do not mean the same classes, or an option means nothing to them.
        DataError: A file is damaged.
    """
    return score(_detector(model), open_dataset(data), batch_size, **options)


def detect(
    model: Model,
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    threshold: float | Sequence[float] | None = None,
    **options: Any,
) -> Summary:
    """Finds objects in images, folders, videos or a webcam and writes what it finds; `load` keeps it in memory.

    Args:
        model: A model file, or what `load` made of one.
        inputs: One or more of what `centernet detect` takes.
        out: Folder for drawn images and videos, and for detections.json.
        threshold: Scores up to this are left out, or up to one for each class; None for what the model says.
        options: Fields of `outputs.Outputs`, such as heatmaps=True, draw=False, classes=("cat",), max_frames=100.

    Returns:
        How much was searched, what was found, and what could not be read.

    Raises:
        UsageError: There is no such input, or a result would replace one.
        DataError: An image cannot be read, unless skip_bad=True; a file is damaged.
    """
    inputs = [inputs] if isinstance(inputs, str | Path) else inputs
    sources = find_sources([str(one) for one in inputs])
    out = Path(out)
    outputs = Outputs(**{"folder": out, "json_file": out / "detections.json", "threshold": threshold, **options})
    return predict(_detector(model), sources, outputs, "" if isinstance(model, Detector) else str(model))


def export(
    model: str | Path, out: str | Path, format: str = "savedmodel", data: str | Path | None = None, **options: Any
) -> Path:
    """Writes a model for servers, phones and other runtimes, and compares what that answers with the model.

    Args:
        model: A model file.
        out: A .tflite or .onnx file, or a folder for a SavedModel.
        format: "savedmodel", "tflite" or "onnx".
        data: Directory of records, for the comparison and for int8; drawn images otherwise.
        options: Of the format: precision, xla and reframed of "savedmodel", quantize, decode, size (height, width),
            max_objects and reframed of "tflite", quantize and reframed of "onnx".

    Returns:
        What was written: the file, or the folder of this version in `out`. The comparison lies beside it.

    Raises:
        UsageError: An option is of another format, or a package is missing.
        DataError: The result does not answer as the model does.
    """
    return write_export(Path(model), Path(out), format, str(data) if data else None, options).path


def _settings(given: str | Path | Mapping[str, Any] | Settings, changes: Mapping[str, Any]) -> Settings:
    """Checked settings, with the changes."""
    told = [f"{name}={json.dumps(value, default=str)}" for name, value in changes.items()]
    if isinstance(given, str | Path):
        return read_settings(recipes.find(given), told)
    content = (
        given.model_dump(mode="json") if isinstance(given, Settings) else json.loads(json.dumps(given, default=str))
    )
    return parse_settings(content, "settings", told)


def _detector(model: Model) -> Detector:
    return model if isinstance(model, Detector) else detectors.load(model)
