"""`centernet records`: annotated images in the usual formats to record shards."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from centernet_tf.cli import (
    records_interactions,
    records_made,
    records_masks,
    records_tools,
    records_tracks,
    records_tubes,
)
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
    print_report,
)
from centernet_tf.cli.division import Seed, Validation, write
from centernet_tf.cli.progress import progress
from centernet_tf.host.plain import plain

# Readers are imported by their commands: who removes a property loses only the readers that read it.

app = typer.Typer(
    name="records",
    help="Turn annotated images into records, which training and evaluation read. One directory for each split; "
    "--validation 0.2 makes both in one call.",
    no_args_is_help=True,
)


@app.command()
def coco(
    annotations: Annotated[Path, typer.Argument(help="The JSON, such as annotations/instances_train2017.json.")],
    images: Annotated[Path, typer.Argument(help="Folder that the file names in the JSON start from.")],
    out: Out,
    split: SplitName = "train",
    name: Name = None,
    classes: Classes = None,
    keypoints: Annotated[
        Path | None,
        typer.Option(help="A second JSON with the keypoints of the same objects: person_keypoints_....json."),
    ] = None,
    skeleton: Annotated[
        Path | None, typer.Option(help="YAML with keypoints, flip_pairs, limbs, sigmas. Default: the JSON's.")
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Keep masks too: polygons, and run lengths as crowds have them.")
    ] = False,
    annotated_only: Annotated[
        bool,
        typer.Option("--annotated-only", help="Leave out images without annotations, as the original for keypoints."),
    ] = False,
    outside: Outside = False,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From COCO instances or keypoints: one JSON and a folder of images.

    Class numbers follow the category ids; with --classes only those categories are kept, in that order. Keypoints are
    kept where the JSON has them; without --skeleton, names with left and right become pairs, which are printed. Of a
    JSON with videos, as CenterTrack writes it, frames and identities are kept.

    Example: centernet records coco annotations/instances_train2017.json train2017 --out tfrecords/coco/train
    """
    from centernet_tf.datasets import coco as reader
    from centernet_tf.properties.keypoints.skeleton import read_skeleton

    given = read_skeleton(skeleton) if skeleton else None
    data = reader.read(
        annotations,
        images,
        classes=class_list(classes),
        skeleton=given,
        keypoints=keypoints,
        masks=masks,
        annotated_only=annotated_only,
        outside=outside,
    )
    for line in reader.assumptions(data.properties) if given is None else ():
        Console().print(plain(line), soft_wrap=True)
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


@app.command()
def voc(
    root: Annotated[Path, typer.Argument(help="Folder with Annotations, JPEGImages, ImageSets; or of XML files.")],
    out: Out,
    split: Annotated[
        str, typer.Option(help="List in ImageSets/Main; only a name where the folder has no lists.")
    ] = "train",
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images. Default: JPEGImages, or beside the XML files.")
    ] = None,
    origin: Annotated[
        str, typer.Option(help="Whether pixels count from 'one', as VOC has it, or 'zero'; 'auto' looks at the boxes.")
    ] = "auto",
    name: Name = None,
    classes: Classes = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From Pascal VOC: one XML for each image, as LabelImg, CVAT and Roboflow write them.

    Classes are all names in the XML files, sorted; --classes gives another order, and what it lacks is an error.

    Example: centernet records voc BCCD --split train --out tfrecords/bccd/train --skip-bad
    """
    from centernet_tf.datasets import voc as reader

    listed = split if (root / "ImageSets" / "Main").is_dir() else None
    data = reader.read(root, listed, images=images, classes=class_list(classes), origin=origin)
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


@app.command()
def yolo(
    source: Annotated[Path, typer.Argument(help="The data.yaml, or a folder of images.")],
    out: Out,
    split: Annotated[str, typer.Option(help="Split of the data.yaml; only a name where a folder is given.")] = "train",
    labels: Annotated[
        Path | None, typer.Option(help="Folder of the labels. Default: 'labels' in place of 'images' in the path.")
    ] = None,
    skeleton: Annotated[
        Path | None, typer.Option(help="YAML with keypoints in the order of the columns. Default: the data.yaml's.")
    ] = None,
    outside: Outside = False,
    name: Name = None,
    classes: Classes = None,
    shards: Shards = None,
    workers: Workers = None,
    skip_bad: SkipBad = False,
    validation: Validation = None,
    seed: Seed = None,
    runner: RunBy = "direct",
) -> None:
    """From YOLO labels: a text file for each image, with a data.yaml or a list of classes.

    An image without a label file shows no object. Of polygons the surrounding box is taken. Keypoints are read where
    data.yaml has kpt_shape; flip_idx tells their pairs, kpt_names their names.

    Example: centernet records yolo cells/data.yaml --split val --out tfrecords/cells/val
    """
    from centernet_tf.datasets import yolo as reader

    given = None
    if skeleton:
        from centernet_tf.properties.keypoints.skeleton import read_skeleton

        given = read_skeleton(skeleton)
    data = reader.read(source, split, labels=labels, classes=class_list(classes), skeleton=given, outside=outside)
    for line in reader.assumptions(data.properties) if given is None else ():
        Console().print(plain(line), soft_wrap=True)
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


@app.command()
def kitti(
    root: Annotated[Path, typer.Argument(help="Folder with image_2, calib and label_2, or the one above it.")],
    out: Out,
    names: Annotated[
        Path | None, typer.Option("--list", help="Text file with the names of the split's images. Default: all.")
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
    """From KITTI's object benchmark: 3D boxes and the camera of each image.

    Classes are Pedestrian, Car and Cyclist. Van and Truck are ignored for Car, Person_sitting is for Pedestrian, and
    DontCare for all: neither objects nor background. Tram and Misc are left out.

    Example: centernet records kitti kitti/training --list ImageSets_3dop/train.txt --out tfrecords/kitti/train
    """
    from centernet_tf.datasets import kitti as reader

    data = reader.read(root, names, classes=class_list(classes))
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


@app.command("kitti-tracking")
def kitti_tracking(
    root: Annotated[Path, typer.Argument(help="Folder with image_02, label_02 and calib, or the one above it.")],
    out: Out,
    names: Annotated[str | None, typer.Option(help="Videos with commas between: 0000,0001. Default: all.")] = None,
    half: Annotated[
        str | None, typer.Option(metavar="first|second", help="Half of each video, as CenterTrack splits them.")
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
    """From KITTI's tracking benchmark: videos with 3D boxes, identities and a camera.

    Classes, ignored and left out objects are those of `records kitti`.

    Example: centernet records kitti-tracking kitti/training --half first --out tfrecords/kitti_tracking/train
    """
    from centernet_tf.datasets import kitti_tracking as reader

    chosen = None if names is None else class_list(names)
    data = reader.read(root, chosen, half=half, classes=class_list(classes))
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


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(help="Folder of the TFRecord files of one split.")],
    labels: Annotated[
        str, typer.Option(help="TFOD's label_map.pbtxt, a text file with one name on each line, or 'cat,dog'.")
    ],
    split: SplitName = "train",
    files: Annotated[
        str | None, typer.Option(help="Pattern of the files' names. Default: *.tfrecord* and *.record*.")
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Read the masks too: image/object/mask, a PNG for each object.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Name of the data set. Default: the folder above.")] = None,
) -> None:
    """Describe TFRecords of TFOD and Model Garden, so that every command reads them. They are not changed.

    Reads and checks every record, decodes its image, and writes dataset.yaml beside the files.

    Example: centernet records index coco/train --labels mscoco_label_map.pbtxt
    """
    from centernet_tf.data.examine import leave_gpu
    from centernet_tf.datasets import foreign

    leave_gpu()
    properties = ()
    if masks:
        from centernet_tf.properties.masks import Masks

        properties = (Masks(),)
    names = foreign.read_labels(Path(labels)) if labels.endswith(".pbtxt") else class_list(labels)
    with progress() as bar:
        job = bar.add_task("records read", total=None)
        report = foreign.index(
            folder,
            names,
            properties=properties,
            name=name,
            split=split,
            files=files,
            progress=lambda done: bar.update(job, completed=done),
        )
    print_report(report, properties, folder, Console())


app.command()(records_tracks.mot)
app.command()(records_tracks.jde)
app.command()(records_tools.csv)
app.command()(records_tools.labelme)
app.command("label-studio")(records_tools.label_studio)
app.command()(records_masks.masks)
app.command()(records_tubes.tubes)
app.command()(records_interactions.hico)
app.command()(records_interactions.vcoco)
app.command()(records_interactions.interactions)
app.command()(records_made.shapes)
app.command()(records_made.tfds)
