"""`centernet records hico|vcoco|interactions`: records of who does what to which object."""

from pathlib import Path
from typing import Annotated, Any

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
from centernet_tf.errors import UsageError

Images = Annotated[Path, typer.Argument(help="Folder that the file names in the annotations start from.")]
ListedOnly = Annotated[bool, typer.Option("--listed-only", help="Leave out images that the COCO JSON does not list.")]
Masks = Annotated[bool, typer.Option("--masks", help="Keep the masks of the COCO JSON, too.")]
Keypoints = Annotated[
    Path | None, typer.Option(help="A COCO JSON with the keypoints of the same persons: person_keypoints_....json.")
]


def hico(
    annotations: Annotated[Path, typer.Argument(help="anno_bbox.mat of HICO-DET, or a JSON, see below.")],
    images: Images,
    out: Out,
    part: Annotated[str | None, typer.Option(metavar="train|test", help="Of a MAT file. Default: train.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Of a JSON, names of its objects from 1 on: 'person,cup', or a text file.")
    ] = None,
    verbs: Annotated[str | None, typer.Option(help="Of a JSON, names of its verbs from 1 on, likewise.")] = None,
    names: Annotated[
        str | None, typer.Option(metavar="hico|hoia", help="Of a JSON, whose classes and verbs it has. Default: hico.")
    ] = None,
    trained: Annotated[
        Path | None, typer.Option(help="Of a JSON, that of its training set, which tells rare pairs in scores.")
    ] = None,
    one_based: Annotated[
        bool, typer.Option("--one-based", help="Of a JSON: its pixels count from 1, as HICO-DET's do.")
    ] = False,
    outside: Outside = False,
    split: SplitName = "train",
    name: Name = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From HICO-DET, or any JSON as PPDM and HOI-A have it.

    The JSON is a list of images with file_name, annotations (bbox [left, top, right, bottom], category_id) and
    hoi_annotation (subject_id, object_id, category_id), where subjects and objects are places in annotations, from 0,
    and an object_id of -1 is none. Its numbers mean COCO's ids and HICO-DET's 117 verbs, with --names hoia HOI-A's 11
    classes and 10 verbs, or what --classes and --verbs say.

    Example: centernet records hico anno_bbox.mat images/train2015 --part train --out tfrecords/hico/train
    """
    of_json = {"classes": classes, "verbs": verbs, "names": names, "trained": trained, "one-based": one_based or None}
    if annotations.suffix.lower() == ".json":
        from centernet_tf.datasets import hoi_json
        from centernet_tf.datasets.hoi_names import names_of

        if part is not None:
            raise UsageError(f"--part {part} is of a MAT file. Leave it out: a JSON has one part.")
        told = names_of(class_list(classes), class_list(verbs), names or "hico")
        data = hoi_json.read(annotations, images, names=told, trained=trained, one_based=one_based, outside=outside)
    else:
        from centernet_tf.datasets import hoi_hico

        if given := [option for option, value in of_json.items() if value is not None]:
            raise UsageError(f"--{given[0]} is of a JSON; a MAT file tells that itself. Leave it out.")
        data = hoi_hico.read(annotations, images, part=part or "train", outside=outside)
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


def vcoco(
    labels: Annotated[Path, typer.Argument(help="vcoco_train.json, vcoco_val.json, vcoco_trainval.json, ...")],
    instances: Annotated[
        Path, typer.Argument(help="COCO's instances of the same images: instances_vcoco_all_2014.json.")
    ],
    images: Images,
    out: Out,
    listed_only: ListedOnly = False,
    masks: Masks = False,
    keypoints: Keypoints = None,
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
    """From V-COCO: actions of persons with the objects of each role, on images of COCO with all their boxes.

    Verbs are actions in one role: hit_instr, hit_obj, ..., and walk, stand, run and smile, which have none.

    Example: centernet records vcoco vcoco_val.json instances_vcoco_all_2014.json train2014 --out tfrecords/vcoco/val
    """
    from centernet_tf.datasets import hoi_vcoco as reader

    options = _of_coco(classes, masks, keypoints)
    data = reader.read(labels, instances, images, listed_only=listed_only, outside=outside, **options)
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


def interactions(
    annotations: Annotated[Path, typer.Argument(help="The JSON, see below.")],
    images: Images,
    out: Out,
    boxes: Annotated[
        Path | None, typer.Option(help="A COCO JSON with all boxes of these images. Default: those of pairs only.")
    ] = None,
    listed_only: ListedOnly = False,
    masks: Masks = False,
    keypoints: Keypoints = None,
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
    """From plain JSON, to be written by any program.

    {"classes": ["ride", "walk"], "objects": ["person", "horse"], "annotations": [{"file_name": "1.jpg", "boxes_h":
    [[left, top, right, bottom], ...], "boxes_o": [[...], null], "actions": [0, 1], "objects": [1, 0]}]}: of each pair
    the boxes of subject and object, its verb as a place in "classes", and the class of its object as a place in
    "objects". A null stands for no object. "ann_h" and "ann_o" are ids of boxes in --boxes, "subjects" classes of
    subjects that are no persons, "action_to_object" allowed classes of each verb.

    Example: centernet records interactions mine.json images --out tfrecords/mine/train
    """
    from centernet_tf.datasets import hoi_plain as reader

    options = _of_coco(classes, masks, keypoints)
    data = reader.read(annotations, images, boxes=boxes, listed_only=listed_only, outside=outside, **options)
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


def _of_coco(classes: str | None, masks: bool, keypoints: Path | None) -> dict[str, Any]:
    """The options of the COCO JSON that are given."""
    given = {"classes": class_list(classes), "masks": masks or None, "keypoints": keypoints}
    return {option: value for option, value in given.items() if value is not None}
