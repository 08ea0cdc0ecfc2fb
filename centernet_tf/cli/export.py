"""`centernet export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from centernet_tf.cli.search import MODEL
from centernet_tf.cli.sizes import parse_size
from centernet_tf.exports.formats import FORMATS, write_export
from centernet_tf.host.plain import plain


def export(
    model: Annotated[Path, typer.Argument(help=MODEL)],
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
        typer.Option(
            help="tflite, onnx: none, int8 (a quarter of the size, faster), tflite: float16 (half). Default: none."
        ),
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

    Example: centernet export best.keras --format onnx --quantize int8 --data tfrecords/mine/train --out server.onnx
    """
    options = {
        "precision": precision,
        "xla": xla,
        "quantize": quantize,
        "decode": decode,
        "size": parse_size(size) if size else None,
        "max_objects": max_objects,
        "reframed": reframed,
    }
    exported = write_export(model, out, format, data, options)
    console = Console(soft_wrap=True, highlight=False)
    written = exported.path
    files = [path for path in written.rglob("*") if path.is_file()] if written.is_dir() else [written]
    console.print(plain(f"{written}: {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"))
    for table in exported.tables:
        console.print(table)
    if decode == "none":
        console.print("Maps without decode are not compared here; exports/decoder.py decodes them.")
    console.print(plain(exported.hint))
