"""`centernet detect`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from centernet_tf.cameras import Cameras
from centernet_tf.cli.test_time import Flip, Halo, KeepResolution, Nms, Scales, Size, Tile, load_detector
from centernet_tf.errors import UsageError
from centernet_tf.predict import Summary, predict
from centernet_tf.sources import find_sources
from centernet_tf.wanted import Wanted, check_outputs

MOST_SKIPPED = 20  # listed by name


def detect(
    model: Annotated[Path, typer.Argument(help="A .keras file that `centernet train` wrote.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Images, folders, videos, webcam or webcam:1.")],
    out: Annotated[Path, typer.Option(help="Folder for pictures, videos and results.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out scores up to this.")] = 0.3,
    batch: Annotated[int, typer.Option(min=1, help="Images at the same time.")] = 8,
    heatmaps: Annotated[
        bool, typer.Option("--heatmaps", help="Also write NAME_heatmap: the network's answer over its input.")
    ] = False,
    pictures: Annotated[bool, typer.Option(help="Write pictures with the objects drawn in, or numbers only.")] = True,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Results; OUT/detections.json if left out.")
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Camera of the images, for models of task box3d: a calibration file of KITTI, or YAML or JSON with "
            "its matrix of 3x4 or 3x3; or a folder with NAME.txt for each image. Default: the model's own.",
        ),
    ] = None,
    kitti: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write a text file for each image, as KITTI reads them.")
    ] = None,
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
    scales: Scales = None,
    nms: Nms = False,
    tile: Tile = None,
    halo: Halo = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Most frames of each video or webcam.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on behind images that cannot be read, and list them.")
    ] = False,
) -> None:
    """Find objects in images, folders, videos or a webcam.

    Writes each image and video with its objects drawn in, and one JSON file of all results. A folder stands for the
    images and videos directly in it. Boxes in space come with a map of the ground beside the picture. Ctrl-C ends a
    webcam and keeps what it saw. No window is opened.

    Example: centernet detect runs/shapes/best.keras pictures/ clip.mp4 --out found
    """
    sources = find_sources(inputs)
    wanted = Wanted(
        folder=out,
        json_file=json_file or out / "detections.json",
        threshold=threshold,
        batch=batch,
        pictures=pictures,
        heatmaps=heatmaps,
        skip_bad=skip_bad,
        frames=frames,
        cameras=Cameras(camera) if camera else None,
        kitti=kitti,
    )
    check_outputs(sources, wanted)
    if frames and not any(source.moving for source in sources):
        raise UsageError("--frames: no input is a video or a webcam. Leave it out.")
    if heatmaps and tile:
        raise UsageError("--heatmaps shows the network's answer in one piece, which --tile avoids. Leave out one.")
    if kitti and any(source.moving for source in sources):
        raise UsageError("--kitti writes a file for each image, and an input is a video or a webcam. Leave out one.")
    detector = load_detector(model, size, keep_resolution, flip, scales, nms, tile, halo)
    if camera and not detector.tasks.placed:
        raise UsageError(f"--camera: a model of {', '.join(detector.card.tasks)} finds nothing in space. Leave it out.")
    console = Console(soft_wrap=True, highlight=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        jobs: dict[str, int] = {}

        def advance(name: str, done: int, total: int | None) -> None:
            if name not in jobs:
                jobs[name] = bar.add_task(escape(name), total=total)
            bar.update(jobs[name], completed=done)

        summary = predict(detector, sources, wanted, str(model), advance)
    for line in _report(summary, wanted):
        console.print(line, markup=False)


def _report(summary: Summary, wanted: Wanted) -> list[str]:
    """What was seen, what was found, what is missing and where all of it is."""
    seen = []
    if summary.images or not summary.videos:
        seen.append(_count(summary.images, "image"))
    if summary.videos:
        seen.append(f"{_count(summary.frames, 'frame')} of {_count(summary.videos, 'video')}")
    ranked = sorted(summary.objects.items(), key=lambda pair: (-pair[1], pair[0]))
    objects = ", ".join(f"{count} {name}" for name, count in ranked)
    lines = [
        f"{' and '.join(seen)}: {_count(summary.objects.total(), 'object')}" + (f" ({objects})" if objects else "")
    ]
    if not objects and summary.images + summary.frames:
        lines.append(f"Nothing scored above {wanted.threshold:g}. Try a lower --threshold, or --heatmaps to see why.")
    if summary.skipped:
        lines.append(f"Could not be read: {len(summary.skipped)}")
        lines += [
            f"  {reason}" if name in reason else f"  {name}: {reason}"
            for name, reason in summary.skipped[:MOST_SKIPPED]
        ]
        if len(summary.skipped) > MOST_SKIPPED:
            lines.append(f"  and {len(summary.skipped) - MOST_SKIPPED} more, all of them in the results")
    kinds = " and ".join(["pictures"] * wanted.pictures + ["heatmaps"] * wanted.heatmaps)
    lines.append((f"{kinds.capitalize()}: {wanted.folder}; results" if kinds else "Results") + f": {wanted.json_file}")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
