"""`centernet benchmark`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_json
from centernet_tf.host.plain import plain
from centernet_tf.media.draw import save_image
from centernet_tf.media.images import list_images
from centernet_tf.metrics.tables import number

DRAWN = 4


def benchmark(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help=".keras, .tflite and .onnx files, SavedModel folders, names."),
    ],
    images: Annotated[
        Path | None, typer.Option(help="An image or a folder of images. Default: drawn ones of 640x480.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measured passes over the images.")] = 10,
    max_images: Annotated[int, typer.Option(min=1, help="Use at most this many images of a folder.")] = 8,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON.")] = None,
) -> None:
    """Compare models and formats: latency, throughput, memory and size, and where the time goes.

    Each model runs in a process of its own, one image at a time, from the file's bytes to objects in the image's
    pixels: read (decode the JPEG), fit (to the input's size), run (the model), finish. A SavedModel fits images itself.
    Do not run other programs meanwhile.

    Example: centernet benchmark best.keras served/ phone.tflite --images images/
    """
    from centernet_tf.benchmark.models import measure_apart
    from centernet_tf.exports.runners import open_runner

    for model in models:
        open_runner(model)  # Usage errors come before anything is measured.
    with tempfile.TemporaryDirectory() as directory:
        files = _files(images, max_images, Path(directory))
        found = {}
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            job = bar.add_task("models", total=len(models))
            for model in models:
                found[str(model)] = measure_apart(model, files, rounds)
                bar.advance(job)
    table = Table(title=f"{len(files)} images, {rounds} rounds, one image at a time; ms, medians", title_justify="left")
    for column in ("", "median", "p95", "images / s", "read", "fit", "run", "finish", "peak MB", "size MB"):
        table.add_column(column, justify="right" if column else "left", overflow="fold", no_wrap=bool(column))
    for name, one in found.items():
        times = (one[key] for key in ("read", "fit", "run", "finish"))
        row = (one["median"], one["p95"], 1e3 / one["median"], *times, one["memory"], one["size"])
        table.add_row(plain(name), *(f"{value:.1f}" for value in row))
    console = Console()
    # A file has no width: names are not cut there.
    console.print(table, width=None if console.is_terminal else 160)
    if json_file:
        write_json(json_file, {name: {key: number(value) for key, value in one.items()} for name, one in found.items()})


def _files(images: Path | None, most: int, directory: Path) -> list[Path]:
    from centernet_tf.datasets.drawn import shapes

    if images is None:
        _, items, _ = shapes.read(DRAWN, (480, 640), split="benchmark")
        files = []
        for number, item in enumerate(items):
            files.append(directory / f"{number}.jpg")
            save_image(files[-1], item.source)
        return files
    if images.is_dir():
        return list_images(images)[:most]
    if not images.is_file():
        raise UsageError(f"--images {images}: no such image or folder.")
    return [images]
