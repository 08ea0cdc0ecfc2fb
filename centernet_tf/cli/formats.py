"""Options of `centernet detect` for further forms of its results, and for some classes alone."""

from pathlib import Path
from typing import Annotated

import typer

from centernet_tf.errors import UsageError
from centernet_tf.outputs import Format

Classes = Annotated[
    str | None,
    typer.Option(
        "--classes", metavar="NAME,NAME", help="Only objects of these classes, such as person,dog. Default: all."
    ),
]
SaveCrops = Annotated[
    Path | None,
    typer.Option(
        "--save-crops", metavar="FOLDER", help="Also write each object as an image, in a folder of its class."
    ),
]
SaveTxt = Annotated[
    Path | None,
    typer.Option(
        "--save-txt",
        metavar="FOLDER",
        help="Also write YOLO's text for each image or frame: class from 0, centre, width and height as fractions of "
        "the image, score.",
    ),
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Also write a table of all objects, for spreadsheets.")
]
Coco = Annotated[
    Path | None,
    typer.Option(
        "--coco",
        metavar="FILE",
        help="Also write the JSON list that COCO's test server and tools take; with --threshold 0, which AP wants. Ids "
        "of images are the numbers that end their names, ids of classes COCO's where all are COCO's.",
    ),
]
CocoIds = Annotated[
    Path | None,
    typer.Option(
        "--coco-ids", metavar="FILE", help="COCO JSON that has the ids of images and classes for --coco instead."
    ),
]


def read_classes(text: str | None) -> tuple[str, ...] | None:
    """The names of --classes; None for all."""
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "" in names:
        raise UsageError(f"--classes {text!r}: expected names with commas between them, such as person,dog.")
    return names


def make_formats(
    crops: Path | None, text: Path | None, table: Path | None, coco: Path | None, coco_ids: Path | None
) -> tuple[Format, ...]:
    """The forms that were asked for."""
    from centernet_tf.formats import CocoResults, Crops, CsvTable, YoloText

    if coco_ids and not coco:
        raise UsageError("--coco-ids: gives the ids for --coco FILE, which is missing. Give both or neither.")
    simple = {Crops: crops, YoloText: text, CsvTable: table}
    made: list[Format] = [kind(path) for kind, path in simple.items() if path]
    return (*made, *([CocoResults(coco, coco_ids)] if coco else []))
