"""`centernet records mot|jde`: records of objects that have identities."""

from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import Classes, Name, Out, RunBy, Shards, SkipBad, SplitName, Workers, class_list
from centernet_tf.cli.division import Seed, Validation, write


def mot(
    root: Annotated[Path, typer.Argument(help="A video's folder with img1 and gt/gt.txt, or a folder of such.")],
    out: Out,
    purpose: Annotated[
        str, typer.Option("--for", metavar="train|evaluate", help="What to keep of MOT16 and later, see below.")
    ] = "train",
    half: Annotated[
        str | None,
        typer.Option(
            metavar="HALF",
            help="'first' or 'second' half of each video, as CenterTrack; 'first-fairmot', 'second-fairmot'.",
        ),
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="Videos, or patterns, with commas between: '*-FRCNN'. Default: all.")
    ] = None,
    class_name: Annotated[str, typer.Option(help="What to call the one class.")] = "pedestrian",
    split: SplitName = "train",
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From videos of MOTChallenge (MOT15 to MOT20) and DanceTrack: boxes with identities.

    With --for train, persons that are at least a quarter visible are objects. With --for evaluate all are, as TrackEval
    has it. What looks like a person is ignored: neither object nor background. MOT15 and files of 10 columns have no
    classes: all flagged boxes are objects.

    Example: centernet records mot MOT17/train --names '*-FRCNN' --half first --out tfrecords/mot17/train
    """
    from centernet_tf.datasets import mot as reader

    chosen = None if names is None else class_list(names)
    data = reader.read(root, chosen, purpose=purpose, half=half, class_name=class_name)
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


def jde(
    lists: Annotated[list[Path], typer.Argument(metavar="LIST...", help="Text files with an image on each line.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the lines start from. Default: that of the list.")
    ] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Also read images that the lists name outside that folder.")
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
    """From labels of JDE and FairMOT: images/... and labels_with_ids/..., with `class identity cx cy w h` on each line.

    Images are single ones, not videos. Identities of each list are its own and begin behind those of the list before;
    -1 is unknown. Without --classes, class 0 is 'person'. Videos whose identities look wrong are told. With
    --validation, frames of one video may be in both splits: give lists of whole videos instead.

    Example: centernet records jde mot17.train prw.train --images data --out tfrecords/mix/train
    """
    from centernet_tf.datasets import jde as reader

    data = reader.read(lists, images, classes=class_list(classes) or ("person",), outside=outside)
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
