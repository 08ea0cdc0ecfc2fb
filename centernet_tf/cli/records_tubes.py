"""`centernet records tubes`: records of videos in which objects do something for some frames."""

import re
from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import Classes, Name, Out, RunBy, Shards, SkipBad, SplitName, Workers, class_list
from centernet_tf.cli.division import Seed, Validation, write
from centernet_tf.errors import UsageError


def tubes(
    annotations: Annotated[Path, typer.Argument(help="UCF101v2-GT.pkl, JHMDB-GT.pkl, tubes.json, ava_train.csv, ...")],
    out: Out,
    frames: Annotated[
        Path | None,
        typer.Argument(help="Folder with a folder of images, or a video, for each video. Default: the annotations'."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(metavar="train|test", help="Of a pickle, the videos for one or the other.")
    ] = None,
    fold: Annotated[int, typer.Option(min=1, help="Of a pickle, which of the divisions into these.")] = 1,
    names: Annotated[
        str | None, typer.Option(help="Videos, or patterns, with commas between: 'Basketball/*'. Default: all.")
    ] = None,
    frame_range: Annotated[
        str | None, typer.Option("--frames", metavar="FIRST-LAST", help="Only these frames of each video, from 1.")
    ] = None,
    annotated_only: Annotated[
        bool, typer.Option("--annotated-only", help="Leave out frames in which nobody does anything.")
    ] = False,
    gaps: Annotated[
        str | None,
        typer.Option(
            metavar="refuse|split|N",
            help="Frames missing within a tube: an error; two tubes; or filled in where they are at most N. Default: "
            "refuse, but split of a CSV.",
        ),
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="Number of the image that is frame 1.")] = 1,
    labels: Annotated[
        str | None, typer.Option(help="Of a CSV, the names of its actions: a .pbtxt, a text file, or 'walk,stand'.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Of a CSV, frames a second: 30 for AVA. Default: its times are frames.")
    ] = None,
    start: Annotated[float | None, typer.Option(help="Of a CSV, time of frame 1: 900 for AVA. Default: 1.")] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Also read videos that the annotations name outside their folder.")
    ] = False,
    split: SplitName = "train",
    name: Name = None,
    classes: Classes = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From action tubes: UCF101-24, JHMDB, MultiSports, AVA, or a JSON of your own.

    Classes are actions. Whoever does two things at a time is two objects, of identities of their own. A pickle is read
    without running anything in it. The JSON is {"labels": ["walk"], "videos": {"clip": {"tubes": [{"label": "walk",
    "start": 5, "boxes": [[left, top, right, bottom], ...]}]}}}: a box in pixels for each frame from "start" on, counted
    from 1; "track" numbers individuals, "frames", "width" and "height" may be told of a video.

    Example: centernet records tubes UCF101v2-GT.pkl rgb-images --part train --out tfrecords/ucf24/train
    """
    from centernet_tf.datasets import tubes as reader
    from centernet_tf.datasets.tube_csv import Clock

    choice = reader.Choice(
        part=part,
        fold=fold,
        names=None if names is None else class_list(names),
        frames=None if frame_range is None else _span(frame_range),
        annotated_only=annotated_only,
        gaps=gaps,
        first=first,
        outside=outside,
    )
    told = {key: value for key, value in (("rate", rate), ("start", start)) if value is not None}
    data = reader.read(
        annotations,
        frames,
        choice,
        labels=_names_of(labels),
        classes=class_list(classes),
        clock=Clock(**told) if told else None,
    )
    write(
        data,
        validation,
        seed,
        out=out,
        name=name,
        split=split,
        shards=shards,
        workers=workers,
        skip_bad=skip_bad,
        runner=runner,
    )


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    if not match:
        raise UsageError(f"--frames {text!r}: expected the first and the last frame, such as 1-96.")
    return int(match[1]), int(match[2])


def _names_of(labels: str | None) -> tuple[str, ...] | None:
    if labels is None or not labels.endswith(".pbtxt"):
        return class_list(labels)
    from centernet_tf.datasets.foreign import read_labels

    return read_labels(Path(labels))
