"""`centernet records shapes` and `centernet records tfds`: records from what needs no folder of images."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from centernet_tf.cli.conversion import Name, Out, RunBy, Shards, SkipBad, SplitName, Workers, convert
from centernet_tf.cli.division import Seed, Validation, write
from centernet_tf.cli.sizes import parse_size
from centernet_tf.errors import UsageError


def shapes(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images, or videos.")] = 500,
    size: Annotated[
        str | None, typer.Option(help="Height x width of the images. Default: 128x128; 192x320 with --3d.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="One seed serves all splits; their images differ.")] = 0,
    split: SplitName = "train",
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 is for small networks, 1 is hard.")] = 0.0,
    objects: Annotated[
        str | None, typer.Option(metavar="FEWEST-MOST", help="Objects, or persons, of an image: 1-4.")
    ] = None,
    pose: Annotated[bool, typer.Option("--pose", help="Draw persons with 13 keypoints, and balls, instead.")] = False,
    boxes: Annotated[bool, typer.Option("--3d", help="Render 3D boxes before a known camera instead.")] = False,
    masks: Annotated[bool, typer.Option("--masks", help="Record which pixels of each shape are seen, too.")] = False,
    interactions: Annotated[
        bool, typer.Option("--interactions", help="Draw arrows that touch, point at, ... shapes instead.")
    ] = False,
    video: Annotated[bool, typer.Option("--video", help="Draw videos of moving shapes instead.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a video. Default: 48.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, max=1, help="Most that a shape moves a frame, of the shorter side: 0.04.")
    ] = None,
    camera: Annotated[
        float | None, typer.Option(min=0, max=1, help="Most that the camera moves a frame, of the shorter side: 0.01.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Frames a second. Default: 12.")] = None,
    look_alikes: Annotated[
        bool, typer.Option("--look-alikes", help="Of videos: two classes whose objects differ by their pattern alone.")
    ] = False,
    actions: Annotated[
        bool, typer.Option("--actions", help="Of videos: classes are what shapes do, which only several frames tell.")
    ] = False,
    away: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Part of the shapes that leave for 5 to 20 frames and return: 0, or 0.5 alike."
        ),
    ] = None,
    elsewhere: Annotated[
        bool | None,
        typer.Option("--elsewhere/--no-elsewhere", help="They return over another edge. Default: if they look alike."),
    ] = None,
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
    runner: RunBy = "direct",
) -> None:
    """Draw circles, triangles, rectangles, stars, rings and crosses, with exact boxes: a data set without a download.

    With --pose it draws persons who move, hide each other and show their faces or backs, with exact keypoints. With
    --3d it renders cars, trucks and cabinets on the ground, with their places in metres and the camera. With --video
    shapes move, turn, cross, hide each other, leave and come back, and keep their identity; with --look-alikes too all
    circles have one colour, and all rectangles, each wears a pattern of its own, and half of them leave over one edge
    and come back over another; with --actions too classes are left, right, grow, turn and stop, which no single frame
    tells. With --masks the pixels that are seen of each shape are recorded. With --interactions arrows touch shapes,
    lie inside frames, stand above shapes or point at them, and --objects counts these arrows.

    Example: centernet records shapes --count 500 --out tfrecords/shapes/train
    """
    _check_kind({"--pose": pose, "--3d": boxes, "--video": video, "--masks": masks, "--interactions": interactions})
    of_videos = {"frames": frames, "speed": speed, "camera": camera, "rate": rate, "away": away}
    of_videos["elsewhere"] = elsewhere
    given = {option: value for option, value in of_videos.items() if value is not None}
    kinds = [option for option, wanted in (("look-alikes", look_alikes), ("actions", actions)) if wanted]
    if (given or kinds) and not video:
        option = next(iter([*kinds, *given]))
        raise UsageError(f"--{option} is of videos. Give --video too, or leave it out.")
    if video and difficulty:
        raise UsageError("--difficulty does not apply to videos. Give --speed, --camera and --objects.")
    if interactions and difficulty:
        raise UsageError("--difficulty does not apply to interactions. Give --objects.")
    pixels = parse_size(size or ("192x320" if boxes else "128x128"))
    counts = None if objects is None else _span(objects)
    # Imported here for the same reason as readers, see `cli.records`.
    if pose:
        from centernet_tf.datasets.drawn import figures
        from centernet_tf.datasets.drawn.stage import Stage

        stage = Stage.at(difficulty)
        stage = dataclasses.replace(stage, persons=counts or stage.persons)
        data = figures.read(count, pixels, seed=seed, split=split, stage=stage)
    elif boxes:
        from centernet_tf.datasets.drawn import scenes
        from centernet_tf.datasets.drawn.yard import Yard

        yard = Yard.at(difficulty)
        yard = dataclasses.replace(yard, objects=counts or yard.objects)
        data = scenes.read(count, pixels, seed=seed, split=split, yard=yard)
    elif interactions:
        from centernet_tf.datasets.drawn import interactions as acts

        data = acts.read(
            count, pixels, seed=seed, split=split, scene=acts.Scene() if counts is None else acts.Scene(arrows=counts)
        )
    elif actions:
        from centernet_tf.datasets.drawn import motions as acting

        motions = acting.Motions(**_of_actions(kinds, given), **({} if counts is None else {"objects": counts}))
        data = acting.read(count, pixels, seed=seed, split=split, motions=motions)
    elif video:
        from centernet_tf.datasets.drawn import film as films

        make = films.Film.of_look_alikes if look_alikes else films.Film
        film = make(**given, **({} if counts is None else {"objects": counts}))
        if elsewhere and not film.away:
            raise UsageError("--elsewhere is of shapes that leave. Give --away too, or leave it out.")
        data = films.read(count, pixels, seed=seed, split=split, film=film)
    else:
        from centernet_tf.datasets.drawn.shapes import Scene

        if masks:
            from centernet_tf.datasets.drawn import masked_shapes as reader
        else:
            from centernet_tf.datasets.drawn import shapes as reader
        scene = Scene.at(difficulty)
        scene = dataclasses.replace(scene, objects=counts or scene.objects)
        data = reader.read(count, pixels, seed=seed, split=split, scene=scene)
    convert(data, out=out, name=name, split=split, shards=shards, workers=workers, runner=runner)


def tfds(
    data_set: Annotated[str, typer.Argument(help="As TensorFlow Datasets knows it: coco/2017, voc/2007, kitti, ...")],
    out: Out,
    split: Annotated[str, typer.Option(help="train, validation, train[:10%], ...")] = "train",
    data_dir: Annotated[Path | None, typer.Option(help="Where prepared sets lie; ~/tensorflow_datasets.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Download and prepare it if it is missing.")] = False,
    one_class: Annotated[str | None, typer.Option(help="Give every object this class.")] = None,
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From any detection set of TensorFlow Datasets. Needs: pip install centernet_tf[tfds].

    Example: centernet records tfds voc/2007 --split validation --download --out tfrecords/voc/validation
    """
    from centernet_tf.datasets import tfds as reader

    data = reader.read(data_set, split, data_dir=data_dir, download=download, one_class=one_class)
    plain = re.sub(r"\[.*?\]", "", split).replace("+", "-")  # a slice cannot be part of a file name
    write(
        data,
        validation,
        seed,
        out=out,
        name=name,
        split=plain,
        shards=shards,
        workers=workers,
        skip_bad=skip_bad,
        runner=runner,
    )


def _check_kind(kinds: Mapping[str, bool]) -> None:
    """Raises UsageError where more than one kind of picture is wanted."""
    wanted = [option for option, given in kinds.items() if given]
    if len(wanted) > 1:
        raise UsageError(f"{' and '.join(wanted)} exclude each other. Give one of them.")


def _of_actions(kinds: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of videos that videos of actions have, by setting."""
    for option in (*kinds, *given):
        if option not in ("actions", "frames", "rate", "speed"):
            raise UsageError(f"--{option} does not apply to actions. Leave it out.")
    speed = given.get("speed")
    return {**given, **({} if speed is None else {"speed": (0.6 * speed, speed)})}


def _span(text: str) -> tuple[int, int]:
    """Two counts of "1-6", or one of "6"."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise UsageError(f"--objects {text!r}: expected a count such as 6, or a range such as 1-6.")
    return int(match[1]), int(match[2] or match[1])
