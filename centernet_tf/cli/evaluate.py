"""`centernet evaluate`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from centernet_tf.cli.test_time import Flip, Halo, KeepResolution, Nms, Scales, Size, Tile, load_detector
from centernet_tf.data.records import open_dataset
from centernet_tf.errors import UsageError
from centernet_tf.evaluate import evaluate as run
from centernet_tf.evaluate import with_joints
from centernet_tf.evaluate_files import evaluate_files
from centernet_tf.metrics.kitti import OVERLAPS
from centernet_tf.metrics.report import class_table, joint_table, pck_table, report, save_plot, summary_table
from centernet_tf.metrics.solid_report import distance_table, solid_report, solid_table


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A .keras file that `centernet train` wrote, or a folder of KITTI's result files.")
    ],
    data: Annotated[Path, typer.Option(help="Directory of records with the model's classes.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a precision-recall plot, a .png file.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at the same time.")] = 8,
    digits: Annotated[
        int | None, typer.Option(min=0, help="Round boxes and scores first, as published results were: 2.")
    ] = None,
    overlap: Annotated[
        str, typer.Option(help="What 3D boxes must overlap: 'original' (cars 0.5), 'kitti' (cars 0.7), or a number.")
    ] = "original",
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
    scales: Scales = None,
    nms: Nms = False,
    tile: Tile = None,
    halo: Halo = None,
) -> None:
    """Score a model on records: AP of boxes (COCO, VOC 2007), OKS AP and PCK of joints, KITTI's AP of 3D boxes.

    Example: centernet evaluate runs/shapes/best.keras --data tfrecords/shapes/val --plot curve.png
    """
    files = model.is_dir()
    if files:
        changes = {"--size": size, "--keep-resolution": keep_resolution, "--flip": flip, "--scales": scales}
        changes |= {"--nms": nms, "--tile": tile, "--halo": halo, "--digits": digits is not None}
        if given := [name for name, value in changes.items() if value]:
            raise UsageError(
                f"{given[0]}: {model} holds results, which are scored as they are. Give a model, or leave it out."
            )
    detector = None if files else load_detector(model, size, keep_resolution, flip, scales, nms, tile, halo)
    dataset = open_dataset(data)
    if detector:
        dataset = with_joints(dataset, detector.card.skeleton)
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        images = bar.add_task("Images", total=dataset.images)
        advance, needed = partial(bar.advance, images), _overlap(overlap)
        if files:
            scores = evaluate_files(model, dataset, advance, **needed)
        else:
            scores = run(detector, dataset, batch, digits, advance, **needed)
    console.print(class_table(scores.coco, scores.voc))
    console.print(summary_table(scores.coco))
    if scores.joints:
        console.print(joint_table(scores.joints))
    if scores.pck:
        console.print(pck_table(scores.pck))
    if scores.solids:
        console.print(solid_table(scores.solids))
    if scores.distances:
        console.print(distance_table(scores.distances))
    if plot:
        save_plot(plot, scores.coco)
        console.print(f"Precision-recall plot: {plot}", markup=False, soft_wrap=True)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        content = {"model": str(model), "data": str(data), **report(scores.coco, scores.voc, scores.joints)}
        if scores.pck:
            content["PCK"] = scores.pck.as_dict()
        if scores.solids:
            content["solids"] = solid_report(scores.solids)
        if scores.distances:
            content["depths"] = scores.distances.rows()
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        console.print(f"Numbers: {json_file}", markup=False, soft_wrap=True)


def _overlap(text: str) -> dict[str, Any]:
    """Name of a protocol, or a number for all classes."""
    if text in OVERLAPS:
        return {"protocol": text}
    try:
        return {"overlap": float(text)}
    except ValueError as error:
        known = " or ".join(OVERLAPS)
        raise UsageError(f"--overlap {text!r}: expected {known}, or a number such as 0.5.") from error
