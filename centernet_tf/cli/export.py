"""`centernet export`."""

import dataclasses
import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from centernet_tf.cli.sizes import parse_size
from centernet_tf.errors import UsageError, closest
from centernet_tf.host.plain import plain


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
        "centernet_tf.export.savedmodel:export_savedmodel",
        ("precision", "xla", "reframed"),
        "How to serve it: {out}/serving.txt",
    ),
    "tflite": Format(
        "centernet_tf.export.tflite:export_tflite",
        ("quantize", "decode", "size", "max_objects", "reframed"),
        "How to use it: docs/phones.md. Measure its speed: centernet benchmark {out}",
        ("ai_edge_litert.interpreter",),
    ),
    "onnx": Format(
        "centernet_tf.export.onnx:export_onnx",
        ("reframed",),
        "Measure its speed: centernet benchmark {out}",
        ("onnx", "tf2onnx", "onnxruntime"),
    ),
}


def export(
    model: Annotated[Path, typer.Argument(help="The .keras file of a training run, or of `centernet convert`.")],
    out: Annotated[Path, typer.Option(help="What to write: a .tflite or .onnx file, a folder for a SavedModel.")],
    format: Annotated[str, typer.Option(help=f"One of: {', '.join(FORMATS)}.")] = "savedmodel",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Directory of records: images for the comparison with the model, and for int8 calibration.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="savedmodel: float32, or bfloat16 for processors that compute in it. Default: float32."),
    ] = None,
    xla: Annotated[
        bool | None, typer.Option("--xla", help="savedmodel: compile the network with XLA, which the server must have.")
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(help="tflite: none, float16 (half the size) or int8 (a quarter, faster). Default: none."),
    ] = None,
    decode: Annotated[
        str | None,
        typer.Option(
            help="tflite: graph (all outputs), boxes (only the four of detection) or none (raw maps). Default: graph."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="tflite: height and width of the input. Default: the model's.")
    ] = None,
    max_objects: Annotated[int | None, typer.Option(min=1, help="tflite: detections per image. Default: 10.")] = None,
    reframed: Annotated[
        bool | None,
        typer.Option(
            "--reframed",
            help="Also answer what fills boxes laid out on the pixels of the image, as DETECTIONS x HEIGHT x WIDTH.",
        ),
    ] = None,
) -> None:
    """Write a model for servers, phones and other runtimes, and prove that it answers as before.

    The file is run beside the model, on images of the records or drawn ones. The comparison is printed, kept beside the
    file as .parity.json, and fails the export where it crosses a limit.

    Example: centernet export runs/shapes/best.keras --format savedmodel --out served/shapes

    Example: centernet export best.keras --format tflite --quantize int8 --data tfrecords/mine/train --out phone.tflite
    """
    from centernet_tf.data.dataset import open_dataset
    from centernet_tf.export.check import check_export, sample_images

    if format not in FORMATS:
        raise UsageError(f"Unknown format {format!r}.{closest(format, FORMATS)} Known: {', '.join(FORMATS)}.")
    options = {
        "precision": precision,
        "xla": xla,
        "quantize": quantize,
        "decode": decode,
        "size": parse_size(size) if size else None,
        "max_objects": max_objects,
        "reframed": reframed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    entry = FORMATS[format]
    check_options(format, given)
    if decode != "none":  # Raw maps are not compared, so nothing need run them here.
        check_packages(format)
    records = open_dataset(data) if data else None
    if quantize == "int8":
        if records is None:
            raise UsageError("--quantize int8 needs images for calibration: give --data RECORDS.")
        given["images"] = sample_images(records, None)
    module, function = entry.run.split(":")
    written = getattr(importlib.import_module(module), function)(model, out, **given)
    console = Console(soft_wrap=True, highlight=False)
    files = [path for path in written.rglob("*") if path.is_file()] if written.is_dir() else [written]
    console.print(plain(f"{written}: {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"))
    if decode == "none":
        console.print("Maps without decode are not compared here; export/decoder.py decodes them.")
    else:
        kind = quantize if quantize in ("float16", "int8") else precision or "float32"
        console.print(check_export(model, out, kind, records))
    console.print(plain(entry.hint.format(out=out)))


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
