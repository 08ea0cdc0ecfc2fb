"""`centernet records csv|labelme|label-studio`: records from the files of annotation tools."""

from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import (
    Classes,
    Name,
    Out,
    Outside,
    RunBy,
    Shards,
    SkipBad,
    SplitName,
    Workers,
    class_list,
)
from centernet_tf.cli.division import Seed, Validation, write


def csv(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file, with a row for each box.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the names of images start from. Default: the file's.")
    ] = None,
    outside: Outside = False,
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
    """From a CSV file with a row for each box: its image, xmin, ymin, xmax, ymax and class.

    Headings name the columns, in any order: filename, path or image; xmin or x1; class or label; width and height of
    the image may be there. Without headings a line is path,x1,y1,x2,y2,class, as RetinaNet has it. A row without a box
    is an image without objects. Images that no row names are left out.

    Example: centernet records csv labels.csv --images photos --out tfrecords/mine --validation 0.2
    """
    from centernet_tf.datasets import box_csv as reader

    data = reader.read(path, images, classes=class_list(classes), outside=outside)
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


def labelme(
    root: Annotated[Path, typer.Argument(help="Folder of the JSON files, and of folders with some.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images. Default: where each JSON says, beside it, or inside it.")
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Keep masks too: polygons, circles and masks.")] = False,
    skeleton: Annotated[
        Path | None, typer.Option(help="YAML with the names of points that are keypoints of their group's object.")
    ] = None,
    outside: Outside = False,
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
    """From LabelMe and X-AnyLabeling: a JSON file for each image, with rectangles, polygons, circles and masks.

    Classes are the labels; __ignore__ is neither an object nor background. Shapes with one label and one group_id are
    one object. Lines and rotated rectangles are left out and counted, and so are points, unless --skeleton names them:
    then they belong to the object of their group_id. Images without a JSON file are left out; one without shapes is an
    image without objects.

    Example: centernet records labelme photos --masks --out tfrecords/mine --validation 0.2
    """
    from centernet_tf.datasets import labelme as reader
    from centernet_tf.properties.keypoints.skeleton import read_skeleton

    data = reader.read(
        root,
        images,
        classes=class_list(classes),
        masks=masks,
        skeleton=read_skeleton(skeleton) if skeleton else None,
        outside=outside,
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


def label_studio(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The export in the format JSON (not JSON-MIN).")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images. Default: 'images' beside the file, or the file's own.")
    ] = None,
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
    """From Label Studio: rectangles of a project that is exported as JSON.

    Classes are the labels. Rotated rectangles and other regions are left out and counted. Of several annotations of a
    task the ground truth counts, else the latest. Tasks without an annotation are left out; an annotation without
    regions is an image without objects. Images are found by their names, with or without the letters before uploaded
    ones.

    Example: centernet records label-studio project-1.json --images photos --out tfrecords/mine --validation 0.2
    """
    from centernet_tf.datasets import label_studio as reader

    data = reader.read(path, images, classes=class_list(classes))
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
