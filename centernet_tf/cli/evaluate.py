"""`centernet evaluate`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from centernet_tf.cli.errors import ErrorsIou, ErrorsSheet, ShowErrors, Tensorboard, Wishes, tell_errors
from centernet_tf.cli.fit import FitThresholds, check_fit, fit_and_save
from centernet_tf.cli.flow import Flow, FlowWeights, load_pair
from centernet_tf.cli.oracle import Oracle, make_oracles, tell_oracles
from centernet_tf.cli.progress import progress
from centernet_tf.cli.search import (
    MODEL,
    Flip,
    Halo,
    KeepResolution,
    Nms,
    Scales,
    Size,
    Tile,
    Xla,
    for_many,
    load_detector,
)
from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_json
from centernet_tf.host.plain import plain

if TYPE_CHECKING:
    from centernet_tf.data.dataset import Dataset
    from centernet_tf.evaluation import Scores


def evaluate(
    model: Annotated[Path, typer.Argument(help=f"{MODEL} Or a folder of result files.")],
    data: Annotated[str, typer.Option(metavar="PATH", help="Directory of records with the model's classes.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all scores as JSON.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write precision-recall curves, a .png file; other pictures go beside it."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Batch size, in images. Default: 8.")] = None,
    digits: Annotated[
        int | None,
        typer.Option("--round", metavar="DECIMALS", min=0, help="Round boxes and scores first; official scores: 2."),
    ] = None,
    iou: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER", help="IoU of 3D boxes: 'original' (default: cars 0.5), 'kitti' (cars 0.7), or 0..1."
        ),
    ] = None,
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
    scales: Scales = None,
    nms: Nms = False,
    tile: Tile = None,
    halo: Halo = None,
    xla: Xla = None,
    flow: Flow = None,
    flow_weights: FlowWeights = None,
    errors: ShowErrors = False,
    errors_iou: ErrorsIou = None,
    errors_sheet: ErrorsSheet = None,
    tensorboard: Tensorboard = None,
    oracle: Oracle = None,
    fit_thresholds: FitThresholds = None,
) -> None:
    """Score a model on records: AP of boxes (COCO, VOC 2007), and all else that it finds by the field's own metrics.

    A model that associates objects over time follows the videos of the records: MOTA, IDF1 and HOTA of identities, or
    frame-mAP and video-mAP of actions. A model of optical flow is scored on records of pictures of flow; beside a model
    of images, as --flow, on records of images, from which flow is computed.

    Example: centernet evaluate runs/shapes/best.keras --data tfrecords/shapes/val --plot curve.png
    """
    from centernet_tf.data.dataset import open_dataset
    from centernet_tf.detector.two_streams import sees_flow
    from centernet_tf.evaluate_files import evaluate_files
    from centernet_tf.evaluation import evaluate as run

    files = model.is_dir()
    changed = {"--size": size, "--keep-resolution": keep_resolution, "--flip": flip, "--scales": scales}
    changed |= {"--nms": nms, "--tile": tile, "--flow": flow}
    if files:
        further = {"--halo": halo is not None, "--round": digits is not None, "--batch-size": batch_size is not None}
        further |= {"--flow-weights": flow_weights, "--oracle": oracle, "--fit-thresholds": fit_thresholds}
        further |= {"--xla": xla}
        _refuse_options(model, {**changed, **further})
    if fit_thresholds:
        check_fit(fit_thresholds, changed)
    detector = None if files else load_detector(model, size, keep_resolution, flip, scales, nms, tile, halo, xla)
    dataset = open_dataset(data)
    detector = detector and for_many(detector, dataset.images, xla)
    detector = detector and load_pair(detector, flow, flow_weights, size=size, keep_resolution=keep_resolution)
    console = Console()
    if detector and sees_flow(detector):
        console.print("This model sees optical flow: the records are taken to hold pictures of it.", soft_wrap=True)
    oracles = make_oracles(console, oracle, detector) if oracle else []
    with progress(console, transient=False) as bar:
        advance = partial(bar.advance, bar.add_task("Images", total=dataset.images))
        if files:
            scores = evaluate_files(model, dataset, advance, iou=iou)
        else:
            scores = run(detector, dataset, batch_size or 8, advance, digits=digits, iou=iou)
    for table in scores.tables():
        console.print(table)
    if plot:
        _write_plots(console, plot, scores, dataset)
    told = {}
    if wishes := Wishes(errors, errors_iou, errors_sheet, tensorboard):
        told = tell_errors(console, wishes, scores, dataset, detector and detector.card)
    if oracles:
        told |= tell_oracles(console, oracles, dataset, scores, batch_size or 8, digits=digits, iou=iou)
    if fit_thresholds:
        told |= fit_and_save(console, fit_thresholds, detector, dataset, scores)
    if json_file:
        write_json(json_file, {"model": str(model), "data": str(data), **scores.as_dict(), **told})
        console.print(plain(f"Scores: {json_file}"), soft_wrap=True)


def _refuse_options(folder: Path, options: Mapping[str, Any]) -> None:
    """Raises UsageError for options of models where results in a folder are scored."""
    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"{given[0]}: {folder} holds results, which are scored as they are. Give a model, or leave it out."
        )


def _write_plots(console: Console, path: Path, scores: "Scores", dataset: "Dataset") -> None:
    """Precision-recall curves, and beside them what the properties have to show."""
    from centernet_tf.evaluation import pictures
    from centernet_tf.media.draw import save_image
    from centernet_tf.metrics.plot import save_plot

    save_plot(path, scores.coco)
    console.print(plain(f"Precision-recall curves: {path}"), soft_wrap=True)
    for name, picture in pictures(scores, dataset).items():
        beside = path.with_name(f"{path.stem}-{name}.png")
        save_image(beside, picture)
        console.print(plain(f"Pictures of {name}: {beside}"), soft_wrap=True)
