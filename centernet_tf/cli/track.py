"""`centernet track`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console

from centernet_tf.cli.detect import report
from centernet_tf.cli.flow import Flow, FlowPictures, FlowWeights, check_pictures, load_pair, read_pictures
from centernet_tf.cli.progress import progress
from centernet_tf.cli.search import MODEL, Flip, KeepResolution, Size, load_detector
from centernet_tf.errors import UsageError, closest
from centernet_tf.host.files import whole_file
from centernet_tf.host.plain import plain
from centernet_tf.media.folder import doubts
from centernet_tf.media.sources import Source, find_videos
from centernet_tf.media.video import MOST_RATE, RATE, Frame
from centernet_tf.outputs import Outputs, check_outputs
from centernet_tf.properties.tracks import mot_files
from centernet_tf.properties.tracks.trails import LENGTH, Trails

# Score from which boxes are shown to another tracker; the best of them keep even faint ones together.
BY_BOXES = 0.1
NO_BOXES = np.zeros((0, 5))

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector
    from centernet_tf.predict import Onlooker
    from centernet_tf.results import Detections


def track(
    model: Annotated[Path, typer.Argument(help=f"{MODEL} Of task track, reid or action.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO", help="Videos, folders of images, each of them one video, webcam, rtsp://."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for drawn videos and for results.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Track objects that score above this. Default: the model's.")
    ] = None,
    birth: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Objects become someone new above this score. Default: the model's."),
    ] = None,
    max_age: Annotated[
        int | None,
        typer.Option(
            min=-1, help="Frames until someone who is not seen is forgotten; -1 at once. Default: the model's."
        ),
    ] = None,
    hungarian: Annotated[
        bool | None,
        typer.Option(
            "--hungarian/--greedy", help="Match all objects at once, or the surest one first. Default: the model's."
        ),
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            help="For models that do not track by themselves: bytetrack, ocsort or botsort, by boxes alone. Needs "
            "pip install 'centernet_tf[trackers]'."
        ),
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            metavar="DET.TXT",
            help="Boxes of another detector, as MOTChallenge has them, for one video and a model of one class: objects "
            "become someone new only near them.",
        ),
    ] = None,
    mot: Annotated[bool, typer.Option("--mot", help="Also write OUT/NAME.txt as MOTChallenge has it.")] = False,
    trails: Annotated[int, typer.Option(min=0, max=1000, help="Frames that drawn trails reach back.")] = LENGTH,
    draw: Annotated[bool, typer.Option(help="Also write videos with the objects drawn in.")] = True,
    heatmaps: Annotated[
        bool, typer.Option("--heatmaps", help="Also write NAME_heatmap: the network's heatmaps over its input.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="File of the results. Default: OUT/tracks.json.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=MOST_RATE, help="Frames per second of folders of images.")] = RATE,
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
    flow: Flow = None,
    flow_weights: FlowWeights = None,
    flow_pictures: FlowPictures = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Frames of each video or webcam, at most.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Continue past videos that cannot be opened, and list them.")
    ] = False,
) -> None:
    """Follow objects through videos: who is who from frame to frame.

    Writes each video with boxes, identities and trails drawn in, and one JSON file of all results. A folder of images
    is one video, its frames by name: 2.jpg before 10.jpg. Identities count from 1 in each video. Ctrl-C ends a webcam
    and keeps what it saw. A model of optical flow sees the motion that is computed from the frames.

    Example: centernet track runs/mine/best.keras clip.mp4 --out found --mot
    """
    from centernet_tf.predict import predict

    sources = find_videos(inputs)
    wanted = {"threshold": threshold, "birth": birth, "max_age": max_age, "hungarian": hungarian}
    detector = load_detector(model, size, keep_resolution, flip)
    check_pictures(flow_pictures, detector, flow, len(sources))
    detector = load_pair(detector, flow, flow_weights, flow_pictures, size, keep_resolution)
    detector = _tracking(detector, wanted) if tracker is None else _by_boxes(detector, tracker, wanted)
    given = None if public is None else _boxes_of_others(public, detector, sources)
    outputs = Outputs(
        folder=out,
        json_file=json_file or out / "tracks.json",
        threshold=_threshold(detector, threshold),
        draw=draw,
        heatmaps=heatmaps,
        skip_bad=skip_bad,
        max_frames=max_frames,
        rate=rate,
    )
    check_outputs(sources, outputs)
    _check_folders(sources, out)
    texts = {source: out / Path(source.output).with_suffix(".txt") for source in sources} if mot else {}
    _check_texts(texts)
    console = Console(soft_wrap=True, highlight=False)
    for source in sources:
        if isinstance(source.place, Path) and source.place.is_dir() and (told := doubts(source.place)):
            more = f" So it is at {len(told) - 1} more places." if len(told) > 1 else ""
            console.print(plain(f"{told[0]}{more} Objects may lose their identities there."))
    people: dict[Source, int] = {}
    lengths: dict[Source, int] = {}

    @contextlib.contextmanager
    def onlooker(source: Source) -> "Iterator[Onlooker]":
        trail = Trails(trails) if draw and trails else None
        with contextlib.ExitStack() as stack:
            text = stack.enter_context(whole_file(texts[source])) if mot else None

            def look(frame: Frame, found: "Detections") -> np.ndarray:
                ids = found.fields["track_ids"]
                lengths[source] = lengths.get(source, 0) + 1
                people[source] = max(people.get(source, 0), int(ids.max(initial=0)))
                if text:
                    lines = mot_files.result_lines(frame.number + 1, ids, found.boxes, found.scores)
                    text.writelines(f"{line}\n" for line in lines)
                return trail(frame.image, found.rows) if trail else frame.image

            yield look

    with progress() as bar:
        jobs: dict[str, int] = {}

        def advance(name: str, done: int, total: int | None) -> None:
            if name not in jobs:
                jobs[name] = bar.add_task(name, total=total)
            bar.update(jobs[name], completed=done)

        public_of = None if given is None else lambda number: given.get(number + 1, NO_BOXES)
        pictures = None if flow_pictures is None or flow is not None else read_pictures(flow_pictures)
        summary = predict(detector, sources, outputs, str(model), advance, onlooker, public_of, pictures)
    console.print(f"{sum(people.values())} identities")
    for line in report(summary, outputs):
        console.print(plain(line))
    for source, length in lengths.items():
        if too_short := _too_short(detector, length):
            console.print(plain(f"{source.name}: {too_short}"))
    beyond = sum(len(boxes) for frame, boxes in (given or {}).items() if not 1 <= frame <= summary.frames)
    if beyond and max_frames is None:
        console.print(plain(f"{public}: {beyond} boxes are of frames that the video does not have."))


def _boxes_of_others(path: Path, detector: "Detector", sources: list[Source]) -> dict[int, np.ndarray]:
    """{frame from 1: boxes} of --public."""
    if len(sources) != 1:
        raise UsageError(f"--public {path}: holds boxes of one video, not of {len(sources)}. Give one at a time.")
    if detector.tasks.associate.begin is None:
        raise UsageError(f"--public {path}: only models that track by themselves take boxes of another detector.")
    if not path.is_file():
        raise UsageError(f"--public {path}: no such file. Give a det.txt of MOTChallenge.")
    return mot_files.boxes_by_frame(path)


def _tracking(detector: "Detector", wanted: dict[str, Any]) -> "Detector":
    """The detector with the settings of the association that were given."""
    if detector.tasks.associate is None:
        raise UsageError(
            f"A model of {', '.join(detector.card.tasks)} does not track: it has no heads for that. Train one with "
            "task: track (configs/track_own.yaml), follow its boxes with --tracker bytetrack, or find objects frame by "
            "frame with `centernet detect`."
        )
    from centernet_tf.detector.follow import with_settings

    given = {name: value for name, value in wanted.items() if value is not None}
    task, known = _associating(detector)
    if "threshold" not in known:
        given.pop("threshold", None)  # what scores less is not found at all, see `_threshold`
    for name in given:
        if name not in known:
            option = "--hungarian and --greedy are" if name == "hungarian" else f"--{name.replace('_', '-')} is"
            raise UsageError(
                f"{option} not for a model of {task}, which decides otherwise what belongs together. Leave it out."
            )
    return with_settings(detector, **given)


def _associating(detector: "Detector") -> tuple[str, dict[str, Any]]:
    """The task that associates, and its settings; none of a tracker of others."""
    (name,) = (task.name for task in detector.tasks.tasks if task.associate is not None)
    return name, detector.card.tasks.get(name, {})


def _by_boxes(detector: "Detector", name: str, wanted: dict[str, Any]) -> "Detector":
    """The detector, its boxes associated by another tracker."""
    from centernet_tf.tasks.track.others import TRACKERS, with_tracker

    if name not in TRACKERS:
        raise UsageError(f"Unknown tracker {name!r}.{closest(name, TRACKERS)} Known: {', '.join(TRACKERS)}.")
    if wanted["hungarian"] is not None:
        raise UsageError(f"--hungarian and --greedy are for models that track by themselves, not for {name}.")
    settings = {key: wanted[key] for key in ("birth", "max_age")}
    detector.tasks = with_tracker(detector.tasks, name, **settings)
    return detector


def _threshold(detector: "Detector", given: float | None) -> float:
    """Of the task that associates, which sorts out by itself what scores lower; or of what another tracker is shown."""
    name, settings = _associating(detector)
    if name in detector.card.tasks:
        return float(settings.get("threshold", 0.3 if given is None else given))
    return BY_BOXES if given is None else given


def _too_short(detector: "Detector", length: int) -> str:
    """Why nothing can be told of a video of so many frames, if so."""
    from centernet_tf.detector.clips import seen_by

    clip = seen_by(detector.tasks)
    if clip is None or length >= len(clip.frames):
        return ""
    return f"{length} frames, fewer than the {len(clip.frames)} that this model sees at once, so nothing is told of it."


def _check_folders(sources: list[Source], out: Path) -> None:
    """Raises UsageError where results would lie among the frames of a video, of which they would be part next time."""
    for source in sources:
        if isinstance(source.place, Path) and source.place.is_dir() and source.place.resolve() == out.resolve():
            raise UsageError(f"{out}: holds the frames of a video. Give another folder to write to.")


def _check_texts(texts: dict[Source, Path]) -> None:
    """Raises UsageError where --mot would overwrite what is no result, such as annotations."""
    for path in texts.values():
        if path.is_dir() or (path.exists() and not mot_files.is_result(path)):
            raise UsageError(f"{path}: would be overwritten by --mot, but is no result. Give another folder to --out.")
