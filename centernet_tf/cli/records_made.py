"""`centernet records shapes` and `centernet records tfds`: records from what needs no folder of images."""

import dataclasses
import re
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from centernet_tf.cli.sizes import parse_size
from centernet_tf.datasets import shapes as shapes_set
from centernet_tf.datasets import tfds as tfds_set
from centernet_tf.datasets.report import Report
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError

Out = Annotated[Path, typer.Option(help="Directory that the shards and dataset.yaml go into.")]
Shards = Annotated[int | None, typer.Option(min=1, help="Number of files; about 100 MB each where not given.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads; one for each core where not given.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out and list what cannot be used.")]


def shapes(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 500,
    size: Annotated[str, typer.Option(help="Height x width of the images.")] = "128x128",
    seed: Annotated[int, typer.Option(min=0, help="One seed serves all splits; their images differ.")] = 0,
    split: Annotated[str, typer.Option(help="Name of the split.")] = "train",
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 is for small networks, 1 is hard.")] = 0.0,
    objects: Annotated[str | None, typer.Option(metavar="FEWEST-MOST", help="Objects of an image: 1-6.")] = None,
    shards: Shards = None,
    workers: Workers = None,
) -> None:
    """Draw a data set of circles, triangles, rectangles, stars, rings and crosses, with exact boxes."""
    scene = shapes_set.Scene.at(difficulty)
    if objects is not None:
        scene = dataclasses.replace(scene, objects=_span(objects))
    classes, items = shapes_set.read(count, parse_size(size), seed=seed, split=split, scene=scene)
    _write(items, classes, out=out, name="shapes", split=split, shards=shards, workers=workers, skip_bad=False)


def tfds(
    name: Annotated[str, typer.Argument(help="As TensorFlow Datasets knows it: coco/2017, voc/2007, kitti, ...")],
    out: Out,
    split: Annotated[str, typer.Option(help="train, validation, train[:10%], ...")] = "train",
    data_dir: Annotated[Path | None, typer.Option(help="Where prepared sets lie; ~/tensorflow_datasets.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch and prepare the set if it is not here.")] = False,
    one_class: Annotated[str | None, typer.Option(help="Give every object this class.")] = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
) -> None:
    """Convert any detection set of TensorFlow Datasets. Needs: pip install centernet_tf[tfds]."""
    classes, items = tfds_set.read(name, split, data_dir=data_dir, download=download, one_class=one_class)
    plain = split.split("[")[0].replace("+", "-")  # a slice cannot be part of a file name
    _write(items, classes, out=out, name=name, split=plain, shards=shards, workers=workers, skip_bad=skip_bad)


def _span(text: str) -> tuple[int, int]:
    """Two counts of "1-6", or one of "6"."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise UsageError(f"--objects {text!r}: expected a count such as 6, or a span such as 1-6.")
    return int(match[1]), int(match[2] or match[1])


def _write(
    items: Sized,
    classes: Sequence[str],
    *,
    out: Path,
    name: str,
    split: str,
    shards: int | None,
    workers: int | None,
    skip_bad: bool,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task(escape(f"{name} {split}"), total=len(items) or None)
        report = write_records(
            items,
            directory=out,
            name=name,
            split=split,
            classes=classes,
            shards=shards,
            workers=workers,
            skip_bad=skip_bad,
            progress=lambda done: bar.update(job, completed=done),
        )
    _print(report, out)


def _print(report: Report, out: Path) -> None:
    console = Console()
    console.print(
        f"{report.images_written} of {report.images_in} images, {report.boxes_written} of {report.boxes_in} boxes "
        f"({report.boxes_clipped} clipped): {escape(str(out))}"
    )
    for reason, count in sorted(report.boxes_dropped.items()):
        console.print(f"  {count} boxes left out: {escape(reason)}")
    for name, reason in report.images_skipped:
        console.print(f"  {escape(name)}: {escape(reason)}")
