"""Runs a detector over images, videos and webcams; pictures with the objects drawn in, and one JSON file of results.

The JSON file:

    {
      "model": "runs/shapes/best.keras", "threshold": 0.3, "input": "512x512", or "kept" for images at their resolution,
      "categories": [{"id": 1, "name": "circle"}, ...],
      "images": [
        {"id": 1, "file_name": "in/a.jpg", "width": 640, "height": 480, "output": "a.jpg", "detections": [
          {"image_id": 1, "category_id": 1, "category": "circle", "bbox": [left, top, width, height], "score": 0.91},
          ...]},
        {"id": 2, "file_name": "in/clip.mp4", "frame": 0, "time": 0.0, "width": ...},
        ...],
      "videos": [{"file_name": "in/clip.mp4", "rate": 25.0, "frames": 100, "output": "clip.mp4"}, ...],
      "skipped": [{"file_name": "in/broken.jpg", "reason": "..."}, ...]
    }

Boxes are in pixels of the image (upright, as it is seen), not clipped to it. Ids count from 1, as in COCO's results, so
the detections of all images together are such a file. A frame's number counts from 0 and its time is in seconds.
Outputs are names in the output folder, null where no pictures were asked for.

Objects with joints add "keypoints" to their row, x, y and 1 of each joint in turn, in pixels as boxes are, and
"keypoint_scores", the confidence of each from 0 to 1. Their category names the joints in that order, as "keypoints",
and lists the limbs as "skeleton", pairs of joints that count from 1.

Boxes in space add "location" [x, y, z], "dimensions" [height, width, length], "rotation_y" and "alpha" to their row, in
metres and radians, and "camera" to the line of their image.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf import draw
from centernet_tf.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.images import read_image
from centernet_tf.kitti_files import write_results
from centernet_tf.model_file import ModelCard
from centernet_tf.results import Detections
from centernet_tf.sources import Source
from centernet_tf.video import VideoReader, VideoWriter
from centernet_tf.wanted import Wanted, check_outputs

DIGITS = 4  # Decimals of boxes and scores in the JSON file.
# Called with a name, how many of its images are done, and how many there are, where that is known.
Progress = Callable[[str, int, "int | None"], None]


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
        images: Single images searched.
        videos: Videos and webcams searched, wholly or up to the wanted number of frames.
        frames: Frames of those.
        objects: Found of each class, by name.
        skipped: (name, reason) of each source that could not be read, or not to its end.
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    objects: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def predict(
    detector: Detector,
    sources: Iterable[Source],
    wanted: Wanted,
    model: str = "",
    progress: Progress = lambda name, done, total: None,
) -> Summary:
    """Searches all sources, in order.

    Args:
        detector: Finds objects.
        sources: From `sources.find_sources`.
        wanted: What to write.
        model: Name of the model, for the JSON file.
        progress: Called after each image, under the name "images" for those that are no video.

    Raises:
        DataError: An image or video cannot be read, unless `skip_bad`; or a video cannot be written.
        UsageError: A result would overwrite a source, or a path to write to is taken.
    """
    sources = list(sources)
    check_outputs(sources, wanted)
    total = sum(not source.moving for source in sources)
    card = detector.card.input
    head = {
        "model": model,
        "threshold": wanted.threshold,
        "input": "kept" if card.mode == "keep" else f"{card.height}x{card.width}",
        "categories": _categories(detector.card),
    }
    summary, videos = Summary(), []
    with _results(wanted.json_file, head) as (write, tail):
        tail.update(videos=videos, skipped=[])
        # Neighbouring images share batches; every video is on its own.
        for moving, group in itertools.groupby(sources, lambda source: source.moving):
            if not moving:
                _predict_images(detector, group, wanted, write, summary, lambda done: progress("images", done, total))
                continue
            for source in group:
                reader = None
                with _skipping(source, wanted, summary):
                    wanted.camera_of(source)  # before anything is written of a video that has none
                    reader = VideoReader(source.place)
                if reader:
                    videos.append(_predict_video(detector, source, reader, wanted, write, summary, progress))
        tail["skipped"] = [{"file_name": name, "reason": reason} for name, reason in summary.skipped]
    return summary


def _categories(card: ModelCard) -> list[dict[str, Any]]:
    """COCO's categories: the classes, and the joints and limbs of those that have some."""
    rows: list[dict[str, Any]] = [{"id": index, "name": name} for index, name in enumerate(card.classes, start=1)]
    for row in rows:
        if card.skeleton and (card.joint_classes is None or row["name"] in card.joint_classes):
            row["keypoints"] = list(card.skeleton.joints)
            row["skeleton"] = [[one + 1, other + 1] for one, other in card.skeleton.limbs]
    return rows


def _predict_images(
    detector: Detector,
    sources: Iterable[Source],
    wanted: Wanted,
    write: Callable[..., None],
    summary: Summary,
    advance: Callable[[int], None],
) -> None:
    def read() -> Iterator[tuple[Source, np.ndarray, np.ndarray | None]]:
        for source in sources:
            image = None
            with _skipping(source, wanted, summary):
                camera = wanted.camera_of(source)
                image = read_image(source.place)
            if image is not None:
                yield source, image, camera

    for source, image, found in _search(detector, read(), wanted):
        write(found, file_name=source.name, output=source.output if wanted.pictures else None)
        if wanted.pictures:
            draw.save_image(wanted.folder / source.output, found.draw(image, threshold=0, from_above=True))
        if wanted.kitti:
            solids = np.full((len(found), 8), np.nan) if found.solids is None else found.solids
            write_results(wanted.kitti_file(source), found.class_names, found.boxes, solids, found.scores, DIGITS)
        if wanted.heatmaps:
            draw.save_image(wanted.folder / source.heatmap, draw.heatmap_overlay(*detector.look(image)))
        summary.images += 1
        summary.objects.update(found.class_names)
        advance(summary.images)


def _predict_video(
    detector: Detector,
    source: Source,
    reader: VideoReader,
    wanted: Wanted,
    write: Callable[..., None],
    summary: Summary,
    progress: Progress,
) -> dict[str, Any]:
    """Searches one video; its line of the JSON file."""
    total = wanted.frames if reader.frames is None else min(reader.frames, wanted.frames or reader.frames)
    output = source.output if wanted.pictures else None
    done = 0
    with contextlib.closing(reader), _writers(wanted.folder, reader.rate) as show:
        camera = wanted.camera_of(source)
        frames = ((frame, frame.image, camera) for frame in itertools.islice(reader, wanted.frames))
        try:
            for frame, image, found in _search(detector, frames, wanted):
                write(found, file_name=source.name, frame=frame.number, time=round(frame.time, 4), output=output)
                if wanted.pictures:
                    show(source.output, found.draw(image, threshold=0, from_above=True))
                if wanted.heatmaps:
                    show(source.heatmap, draw.heatmap_overlay(*detector.look(image)))
                done += 1
                summary.objects.update(found.class_names)
                progress(source.name, done, total)
        except KeyboardInterrupt:
            # Ctrl-C is the only end a webcam has; what it saw until then is kept.
            if not reader.live:
                raise
    summary.videos += 1
    summary.frames += done
    # Some formats only estimate how many frames they hold.
    if not reader.live and total is not None and done < 0.9 * total:
        summary.skipped.append(
            (source.name, f"only {done} of {total} frames can be read; the rest is cut off or damaged.")
        )
    return {"file_name": source.name, "rate": reader.rate, "frames": done, "output": output}


def _search(
    detector: Detector, pictures: Iterable[tuple[Any, np.ndarray, np.ndarray | None]], wanted: Wanted
) -> Iterator[tuple[Any, np.ndarray, Detections]]:
    """Takes (key, image, camera); gives key, image and what was found in it."""
    waiting: collections.deque[tuple[Any, np.ndarray, np.ndarray | None]] = collections.deque()

    def images() -> Iterator[np.ndarray]:
        for entry in pictures:
            waiting.append(entry)
            yield entry[1]

    # Each is asked for when its picture has been read.
    cameras = (waiting[-1][2] for _ in itertools.count()) if detector.tasks.placed else None
    for found in detector.stream(images(), wanted.threshold, wanted.batch, cameras):
        key, image, _ = waiting.popleft()
        yield key, image, found


@contextlib.contextmanager
def _skipping(source: Source, wanted: Wanted, summary: Summary) -> Iterator[None]:
    """Lists a source that cannot be read, or, where that was not asked for, says how to ask."""
    try:
        yield
    except DataError as error:
        if not wanted.skip_bad:
            raise DataError(f"{error} With --skip-bad the run goes on without it.") from error
        summary.skipped.append((source.name, str(error)))


@contextlib.contextmanager
def _writers(folder: Path, rate: float) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Gives a function that adds a frame to the video of a name; all are whole in the end, or none is there."""
    writers: dict[str, VideoWriter] = {}

    def show(name: str, image: np.ndarray) -> None:
        if name not in writers:
            writers[name] = VideoWriter(folder / name, rate, image.shape[1::-1])
        writers[name].write(image)

    try:
        yield show
        for writer in writers.values():
            writer.close()
    finally:
        for writer in writers.values():
            writer.discard()


@contextlib.contextmanager
def _results(path: Path, head: dict[str, Any]) -> Iterator[tuple[Callable[..., None], dict[str, Any]]]:
    """Writes the JSON file of the module's docstring, an image a line, so that a long video needs no memory.

    Gives a function that adds an image, from its detections and the keys of its line, and the dict of all that stands
    behind the images. The file has its name once it is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    ids = itertools.count(1)
    tail: dict[str, Any] = {}

    def pairs(values: dict[str, Any]) -> str:
        return ",\n".join(
            f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        )

    def write(found: Detections, **keys: Any) -> None:
        number = next(ids)
        rows = found.to_coco(number, digits=DIGITS)
        for row, name in zip(rows, found.class_names):
            row["category"] = name
        for row, scores in zip(rows, found.fields.get("joint_scores", ())):
            if "keypoints" in row:
                row["keypoint_scores"] = [round(float(score), DIGITS) for score in scores]
        for row, solid in zip(rows, () if found.solids is None else found.solids):
            alpha, *values = (round(float(value), DIGITS) for value in solid)
            row |= {"location": values[3:6], "dimensions": values[:3], "rotation_y": values[6], "alpha": alpha}
        if found.camera is not None:
            keys["camera"] = [[float(f"{value:.7g}") for value in line] for line in found.camera]
        width, height = found.image_size
        line = {"id": number, "width": width, "height": height, **keys, "detections": rows}
        file.write((",\n" if number > 1 else "\n") + json.dumps(line, ensure_ascii=False))

    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write("{\n" + pairs(head) + ',\n"images": [')
            yield write, tail
            file.write("\n],\n" + pairs(tail) + "\n}\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
