"""`centernet detect`."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console

from centernet_tf.cli.counts import counted, objects_told
from centernet_tf.cli.detect_shards import BlockSize, Engine, Format, Sharding, Workers, detect_in_shards
from centernet_tf.cli.formats import Classes, Coco, CocoIds, Csv, SaveCrops, SaveTxt, make_formats, read_classes
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
    load_for_millions,
)
from centernet_tf.errors import UsageError
from centernet_tf.host.plain import plain
from centernet_tf.media.sources import find_sources
from centernet_tf.media.video import told_codec
from centernet_tf.model.shipped import find
from centernet_tf.outputs import Outputs, check_formats, check_outputs

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector
    from centernet_tf.predict import Summary

MOST_SKIPPED = 20  # listed by name


def detect(
    model: Annotated[Path, typer.Argument(help=MODEL)],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Images, folders, videos, webcam, http://, rtsp://, gs://.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for drawn images and videos, and for results.")],
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Discard detections with scores up to this. Default: the model's own of each class where they were "
            "fitted (evaluate --fit-thresholds), else 0.3.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Batch size, in images.")] = 8,
    heatmaps: Annotated[
        bool, typer.Option("--heatmaps", help="Also write NAME_heatmap: the network's heatmaps over its input.")
    ] = False,
    draw: Annotated[
        bool | None,
        typer.Option(
            "--draw/--no-draw",
            help="Also write images and videos with the objects drawn in. Default: of --format json.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="File of the results. Default: OUT/detections.json.")
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Camera of the images, for models that find 3D boxes: a KITTI calibration file, or YAML or JSON with "
            "its 3x4 or 3x3 matrix; or a folder with NAME.txt for each image. Default: the model's own.",
        ),
    ] = None,
    kitti: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write a result file of KITTI for each image.")
    ] = None,
    label_images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write a 16-bit PNG for each image, of models that find masks: at each pixel the number of its "
            "object in the results, from 1; 0 is background.",
        ),
    ] = None,
    mask_images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write a folder for each image, with a PNG of each object's mask."),
    ] = None,
    classes: Classes = None,
    save_crops: SaveCrops = None,
    save_txt: SaveTxt = None,
    csv: Csv = None,
    coco: Coco = None,
    coco_ids: CocoIds = None,
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
    scales: Scales = None,
    nms: Nms = False,
    tile: Tile = None,
    halo: Halo = None,
    xla: Xla = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Frames of each video or webcam, at most.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Continue past unreadable images and videos, and list them.")
    ] = False,
    engine: Engine = "local",
    workers: Workers = None,
    format: Format = None,
    block_size: BlockSize = None,
) -> None:
    """Find objects in images, folders, videos or a webcam.

    Writes each image and video with its objects drawn in, and one JSON file of all results. A folder stands for the
    images and videos directly in it. 3D boxes come with a bird's-eye view beside the image. Ctrl-C ends a webcam and
    keeps what it saw. No window is opened.

    Millions of images: --format jsonl or parquet writes numbered files, and --engine ray shares the work among workers.
    There, INPUT may be a .txt file with an image a line.

    Example: centernet detect runs/shapes/best.keras images/ clip.mp4 --out found --csv found/table.csv

    Example: centernet detect drawn-shapes images/ --out found

    Example: centernet detect best.keras list.txt --out found --engine ray --workers 4 --format parquet
    """
    from centernet_tf.detector.found import chosen
    from centernet_tf.predict import predict

    files = {"kitti": kitti, "label-images": label_images, "mask-images": mask_images}
    search = (size, keep_resolution, flip, scales, nms, tile, halo)
    sharding = Sharding(engine, format, workers, block_size)
    further = {"classes": classes, "save-crops": save_crops, "save-txt": save_txt, "csv": csv, "coco": coco}
    whole = {"json": json_file, "heatmaps": heatmaps, "draw": draw, "max-frames": max_frames, **files, **further}
    sharding.check(whole)
    if sharding.wanted:
        load = functools.partial(load_for_millions, find(model).resolve(), *search, xla)
        read = functools.partial(read_extras, files={"camera": camera and camera.resolve()})
        depends = {"search": search, "camera": camera and str(camera)}
        detect_in_shards(sharding, model, inputs, out, load, read, threshold, batch_size, skip_bad, depends)
        return
    sources = find_sources(inputs)
    outputs = Outputs(
        folder=out,
        json_file=json_file or out / "detections.json",
        batch_size=batch_size,
        draw=draw is not False,
        heatmaps=heatmaps,
        skip_bad=skip_bad,
        max_frames=max_frames,
        result_files={name: folder for name, folder in files.items() if folder},
        classes=read_classes(classes),
        formats=make_formats(save_crops, save_txt, csv, coco, coco_ids),
    )
    check_outputs(sources, outputs)
    if max_frames and not any(source.moving for source in sources):
        raise UsageError("--max-frames: no input is a video or a webcam. Leave it out.")
    if heatmaps and tile:
        raise UsageError("--heatmaps shows the heatmaps of a whole image, which --tile avoids. Leave out one.")
    detector = for_many(load_detector(model, *search, xla), sum(not source.moving for source in sources), xla)
    check_formats(outputs.result_files, detector.properties)
    extras = read_extras(detector, {"camera": camera})
    outputs = dataclasses.replace(outputs, extras=extras, threshold=chosen(threshold, detector.card))
    console = Console(soft_wrap=True, highlight=False)
    with progress() as bar:
        jobs: dict[str, int] = {}

        def advance(name: str, done: int, total: int | None) -> None:
            if name not in jobs:
                jobs[name] = bar.add_task(name, total=total)
            bar.update(jobs[name], completed=done)

        summary = predict(detector, sources, outputs, str(model), advance)
    for line in report(summary, outputs):
        console.print(plain(line))


def read_extras(detector: "Detector", files: Mapping[str, Path | None]) -> dict[str, Callable[[str], np.ndarray]]:
    """Reads the files given by options, each of which has the name of an extra of the model.

    Returns:
        {extra: function from the name of an image or video to its value}.

    Raises:
        UsageError: The model has no such extra, or there is no such file.
    """
    known = {extra.name: extra for extra in detector.extras}
    found = {}
    for name, path in files.items():
        if path is None:
            continue
        if name not in known or known[name].read is None:
            tasks = ", ".join(detector.card.tasks)
            raise UsageError(f"--{name}: a model of {tasks} does not use a {name}. Leave it out.")
        found[name] = known[name].read(path)
    return found


def report(summary: "Summary", outputs: Outputs) -> list[str]:
    """What was seen, what was found, what is missing and where all of it is."""
    seen = []
    if summary.images or not summary.videos:
        seen.append(counted(summary.images, "image"))
    if summary.videos:
        seen.append(f"{counted(summary.frames, 'frame')} of {counted(summary.videos, 'video')}")
    lines = [f"{' and '.join(seen)}: {objects_told(summary.objects)}"]
    if not summary.objects.total() and summary.images + summary.frames:
        level = "the thresholds of the classes" if isinstance(outputs.threshold, tuple) else f"{outputs.threshold:g}"
        nothing = f"No {' or '.join(outputs.classes)}" if outputs.classes else "Nothing"
        lines.append(f"{nothing} scored above {level}. Try a lower --threshold, or --heatmaps to see why.")
    if summary.skipped:
        lines.append(f"Could not be read: {len(summary.skipped)}")
        lines += [
            f"  {reason}" if name in reason else f"  {name}: {reason}"
            for name, reason in summary.skipped[:MOST_SKIPPED]
        ]
        if len(summary.skipped) > MOST_SKIPPED:
            lines.append(f"  and {len(summary.skipped) - MOST_SKIPPED} more, all of them in the results")
    if summary.videos and (outputs.draw or outputs.heatmaps):
        lines.append(f"Videos: {told_codec()}.")
    kinds = " and ".join(["images"] * outputs.draw + ["heatmaps"] * outputs.heatmaps)
    drawn = f"{kinds.capitalize()}: {outputs.folder}; results" if kinds else "Results"
    lines.append(f"{drawn}: {outputs.json_file}")
    return lines + [f"{one.title}: {one.path}" for one in outputs.formats]
