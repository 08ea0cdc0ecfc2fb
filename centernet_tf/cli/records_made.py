"""`centernet records shapes` and `centernet records tfds`: records from what needs no folder of images."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import Name, Out, Shards, SkipBad, Split, Workers, convert
from centernet_tf.cli.sizes import parse_size
from centernet_tf.datasets import figures, scenes
from centernet_tf.datasets import shapes as shapes_set
from centernet_tf.datasets import tfds as tfds_set
from centernet_tf.datasets.stage import Stage
from centernet_tf.datasets.yard import Yard
from centernet_tf.errors import UsageError


def shapes(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 500,
    size: Annotated[
        str | None, typer.Option(help="Height x width of the images. Default: 128x128; 192x320 with --3d.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="One seed serves all splits; their images differ.")] = 0,
    split: Split = "train",
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 is for small networks, 1 is hard.")] = 0.0,
    objects: Annotated[
        str | None, typer.Option(metavar="FEWEST-MOST", help="Objects, or persons, of an image: 1-4.")
    ] = None,
    pose: Annotated[bool, typer.Option("--pose", help="Draw persons with 13 joints, and balls, instead.")] = False,
    solid: Annotated[bool, typer.Option("--3d", help="Render 3D boxes before a known camera instead.")] = False,
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
) -> None:
    """Draw circles, triangles, rectangles, stars, rings and crosses, with exact boxes: a data set without a download.

    With --pose it draws persons who move, hide each other and show their faces or backs, with exact joints. With --3d
    it renders cars, trucks and cabinets on the ground, with their places in metres and the camera.

    Example: centernet records shapes --count 500 --out tfrecords/shapes/train
    """
    options = {"out": out, "name": name, "split": split, "shards": shards, "workers": workers, "skip_bad": False}
    if pose and solid:
        raise UsageError("--pose and --3d draw different pictures. Leave out one.")
    pixels = parse_size(size or ("192x320" if solid else "128x128"))
    if pose:
        stage = Stage.at(difficulty)
        if objects is not None:
            stage = dataclasses.replace(stage, persons=_span(objects))
        classes, items, skeleton = figures.read(count, pixels, seed=seed, split=split, stage=stage)
        convert(items, classes, skeleton=skeleton, **options)
        return
    if solid:
        yard = Yard.at(difficulty)
        if objects is not None:
            yard = dataclasses.replace(yard, solids=_span(objects))
        classes, items = scenes.read(count, pixels, seed=seed, split=split, yard=yard)
        convert(items, classes, solid=True, **options)
        return
    scene = shapes_set.Scene.at(difficulty)
    if objects is not None:
        scene = dataclasses.replace(scene, objects=_span(objects))
    classes, items = shapes_set.read(count, pixels, seed=seed, split=split, scene=scene)
    convert(items, classes, **options)


def tfds(
    data_set: Annotated[str, typer.Argument(help="As TensorFlow Datasets knows it: coco/2017, voc/2007, kitti, ...")],
    out: Out,
    split: Annotated[str, typer.Option(help="train, validation, train[:10%], ...")] = "train",
    data_dir: Annotated[Path | None, typer.Option(help="Where prepared sets lie; ~/tensorflow_datasets.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch and prepare the set if it is not here.")] = False,
    one_class: Annotated[str | None, typer.Option(help="Give every object this class.")] = None,
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
) -> None:
    """From any detection set of TensorFlow Datasets. Needs: pip install centernet_tf[tfds].

    Example: centernet records tfds voc/2007 --split validation --download --out tfrecords/voc/validation
    """
    classes, items = tfds_set.read(data_set, split, data_dir=data_dir, download=download, one_class=one_class)
    plain = re.sub(r"\[.*?\]", "", split).replace("+", "-")  # a slice cannot be part of a file name
    convert(items, classes, out=out, name=name, split=plain, shards=shards, workers=workers, skip_bad=skip_bad)


def _span(text: str) -> tuple[int, int]:
    """Two counts of "1-6", or one of "6"."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise UsageError(f"--objects {text!r}: expected a count such as 6, or a span such as 1-6.")
    return int(match[1]), int(match[2] or match[1])
