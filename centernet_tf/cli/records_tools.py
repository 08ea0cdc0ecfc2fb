"""`centernet records csv|labelme|label-studio`: records from the files of annotation tools."""

from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.cli.conversion import Classes, Name, Out, Shards, SkipBad, SplitName, Workers, class_list
from centernet_tf.cli.division import Seed, Validation, write

Outside = Annotated[
    bool, typer.Option("--outside", help="Also read images that the annotations name outside their folder.")
]


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
) -> None:
    """From a CSV file with a row for each box: its image, xmin, ymin, xmax, ymax and class.

    Headings name the columns, in any order: filename, path or image; xmin or x1; class or label; width and height of
    the image may be there. Without headings a line is path,x1,y1,x2,y2,class, as RetinaNet has it. A row without a box
    is an image without objects. Images that no row names are left out.

    Example: centernet records csv labels.csv --images photos --out tfrecords/mine --validation 0.2
    """
    from centernet_tf.datasets import box_csv as reader

    data = reader.read(path, images, classes=class_list(classes), outside=outside)
    write(data, validation, seed, out=out, name=name, split=split, shards=shards, workers=workers, skip_bad=skip_bad)
