"""`centernet records masks`: records from masks that are saved as images."""

from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import Classes, Name, Out, RunBy, Shards, SkipBad, SplitName, Workers, class_list
from centernet_tf.cli.division import Seed, Validation, write


def masks(
    root: Annotated[Path, typer.Argument(help="Folder of the masks, see below.")],
    out: Out,
    layout: Annotated[
        str | None, typer.Option(metavar="objects|labels|cityscapes", help="Default: what the folder looks like.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images of label images. Default: beside them.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option("--list", help="Text file with the names of the split's images. Default: all.")
    ] = None,
    class_name: Annotated[
        str | None, typer.Option(help="What to call the one class of objects and labels. Default: object.")
    ] = None,
    split_parts: Annotated[
        bool, typer.Option("--split-parts", help="Make an object of each large part of a mask that is not connected.")
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
    """From masks that are saved as images; boxes follow from them.

    objects: a folder for each image, with images/a.png and masks/*.png, a file for each object.
    labels: label images, in which each object has a number and 0 is background, as Cellpose saves them: a_masks.png or
    .tif beside a.png, or a.png in a folder of its own (--images).
    cityscapes: leftImg8bit and gtFine with *_instanceIds.png; groups become crowds, --classes chooses.

    Example: centernet records masks stage1_train --class-name nucleus --out tfrecords/nuclei/train
    """
    from centernet_tf.datasets import mask_folders as reader

    data = reader.read(
        root,
        split,
        layout=layout,
        images=images,
        names=names,
        class_name=class_name,
        classes=class_list(classes),
        split_parts=split_parts,
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
