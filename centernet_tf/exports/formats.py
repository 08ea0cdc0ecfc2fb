"""The formats of exports, and the way to any of them: write, then compare with the model."""

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from centernet_tf.errors import UsageError, closest

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Format:
    """One line of the table of formats.

    Attributes:
        run: Module and function (model, out, **options) -> what was written.
        options: Names of the command's options that it takes; the others are refused.
        hint: What to do with the result, with {out} in it.
        needs: Modules beside TensorFlow that write it and compare it with the model.
    """

    run: str
    options: tuple[str, ...]
    hint: str
    needs: tuple[str, ...] = ()


FORMATS = {
    "savedmodel": Format(
        "centernet_tf.exports.savedmodel:export_savedmodel",
        ("precision", "xla", "reframed"),
        "How to serve it: {out}/serving.txt",
    ),
    "tflite": Format(
        "centernet_tf.exports.tflite:export_tflite",
        ("quantize", "decode", "size", "max_objects", "reframed"),
        "How to use it: docs/phones.md. Measure its speed: centernet benchmark {out}",
        ("ai_edge_litert.interpreter",),
    ),
    "onnx": Format(
        "centernet_tf.exports.onnx:export_onnx",
        ("quantize", "reframed"),
        "Measure its speed: centernet benchmark {out}",
        ("onnx", "tf2onnx", "onnxruntime"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file or folder.
        tables: For people: the comparison with the model, where the format's outputs are compared, and what else is
            known of the file.
        hint: What to do with it.
    """

    path: Path
    tables: tuple["Table", ...]
    hint: str


def write_export(model: Path, out: Path, format: str, data: str | None, options: Mapping[str, Any]) -> Exported:
    """Writes a model in another format and runs the result beside it.

    Args:
        model: The model file.
        out: File or folder to write.
        format: A key of `FORMATS`.
        data: Directory of records, for the comparison and for int8; None for drawn images.
        options: Of the format, by name; None where nothing was said.

    Raises:
        UsageError: An option is of another format, a package is missing, or int8 has no images.
        DataError: The result does not answer as the model does.
    """
    if format not in FORMATS:
        raise UsageError(f"Unknown format {format!r}.{closest(format, FORMATS)} Known: {', '.join(FORMATS)}.")
    given = {name: value for name, value in options.items() if value is not None}
    check_options(format, given)
    compared, quantize = given.get("decode") != "none", given.get("quantize")
    if compared:  # Raw maps are not, so nothing need run them here.
        check_packages(format)

    from centernet_tf.data.dataset import open_dataset
    from centernet_tf.exports.check import check_export, sample_images
    from centernet_tf.exports.operators import operators

    records = open_dataset(data) if data else None
    if quantize == "int8":
        if records is None:
            raise UsageError("--quantize int8 needs images for calibration: give --data RECORDS.")
        given["images"] = sample_images(records, None)
    module, function = FORMATS[format].run.split(":")
    written = getattr(importlib.import_module(module), function)(model, out, **given)
    kind = quantize if quantize in ("float16", "int8") else given.get("precision", "float32")
    tables = [check_export(model, out, kind, records)] if compared else []
    if compared and format == "tflite":
        tables.append(operators(written).table())
    return Exported(written, tuple(tables), FORMATS[format].hint.format(out=out))


def check_options(format: str, given: dict[str, Any]) -> None:
    """Raises UsageError where an option belongs to another format."""
    for name in given:
        if name not in FORMATS[format].options:
            takers = ", ".join(taker for taker, entry in FORMATS.items() if name in entry.options)
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is for --format {takers}; {format} does not take it. Leave it out.")


def check_packages(format: str) -> None:
    """Raises UsageError where a package is missing that writes a format or runs it: before the work, not after."""
    for name in FORMATS[format].needs:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"--format {format}: {name.partition('.')[0]} is missing ({error}). "
                f"Install it: pip install 'centernet_tf[{format}]'."
            ) from None
