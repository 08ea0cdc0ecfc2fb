"""Runs a detector over images, videos and webcams: draws what it finds, and writes it to one JSON file (`outputs`)."""

import collections
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.detector.detector import Detector, Look
from centernet_tf.detector.entries import Image
from centernet_tf.detector.follow import follow
from centernet_tf.detector.found import chosen
from centernet_tf.detector.two_streams import flow_of, sees_flow
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.spool import Spool
from centernet_tf.media import draw
from centernet_tf.media.folder import FolderReader
from centernet_tf.media.images import read_image
from centernet_tf.media.sources import Source
from centernet_tf.media.video import Frame, VideoReader, VideoWriter
from centernet_tf.outputs import DIGITS, Outputs, check_formats, check_outputs, result_format, write_json
from centernet_tf.results import Detections

# Called with a frame and what is told of it; gives the image [H, W, 3] that it is drawn into.
Onlooker = Callable[[Frame, Detections], np.ndarray]

# Called with a name, how many of its images are done, and how many there are, where that is known.
Progress = Callable[[str, int, "int | None"], None]


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
        images: Single images searched.
        videos: Videos and webcams searched, wholly or up to the most frames that were wanted.
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
    outputs: Outputs,
    model: str = "",
    progress: Progress = lambda name, done, total: None,
    onlooker: Callable[[Source], contextlib.AbstractContextManager[Onlooker]] | None = None,
    public: Callable[[int], np.ndarray] | None = None,
    pictures: Iterable[Image] | None = None,
) -> Summary:
    """Searches all sources, in order.

    Args:
        detector: Finds objects.
        sources: From `sources.find_sources`.
        outputs: What to write.
        model: Name of the model, for the JSON file.
        progress: Called after each image, under the name "images" for those that are no video.
        onlooker: Gives for each video a context with what is called with its frames in order.
        public: Of `follow`, for videos.
        pictures: Of `two_streams.flow_of`, for one video and a model that sees optical flow alone.

    Raises:
        DataError: An image or video cannot be read, unless `skip_bad`; or a video cannot be written.
        UsageError: A result would overwrite a source, or a path to write to is taken; an image is given to a model that
            sees motion; or a wanted class is unknown.
    """
    sources = list(sources)
    _check_motion(detector, sources)
    check_outputs(sources, outputs)
    check_formats(outputs.result_files, detector.properties)
    outputs = dataclasses.replace(outputs, threshold=chosen(outputs.threshold, detector.card))
    total = sum(not source.moving for source in sources)
    head = head_of(detector, outputs.threshold, model)
    if outputs.classes is not None:
        head["classes"] = list(outputs.classes)
    summary, videos = Summary(), []
    stack = contextlib.ExitStack()
    staged = outputs.staged(detector.names, detector.properties)
    with stack, staged as outputs, write_json(outputs.json_file, head) as (write, tail):
        tail.update(videos=videos, skipped=[])
        # Neighbouring images share batches; every video is on its own.
        for moving, group in itertools.groupby(sources, lambda source: source.moving):
            if not moving:
                _predict_images(detector, group, outputs, write, summary, lambda done: progress("images", done, total))
                continue
            for source in group:
                reader = None
                with _skipping(source, outputs, summary):
                    outputs.extras_of(source)  # before anything is written of a video that lacks some
                    reader = _open_video(source, outputs)
                if reader:
                    show = (onlooker or _plain_frames)(source)
                    gathered = _Gathered(detector, stack)
                    found = functools.partial(_search_frames, detector, source, public, pictures, gathered)
                    line = _predict_video(found, source, reader, outputs, write, summary, progress, show)
                    videos.append({**line, **gathered.finish()})
        tail["skipped"] = [{"file_name": name, "reason": reason} for name, reason in summary.skipped]
    return summary


def head_of(detector: Detector, threshold: float | Sequence[float], model: str) -> dict[str, Any]:
    """What stands before the images in a file of results.

    Args:
        detector: What finds objects.
        threshold: Scores up to this are left out, or up to one for each class: as `chosen` gives it.
        model: Its name.
    """
    card = detector.card.input
    return {
        "model": model,
        "threshold": dict(zip(detector.names, threshold)) if isinstance(threshold, tuple) else threshold,
        "input": "kept" if card.mode == "keep" else f"{card.height}x{card.width}",
        "categories": _categories(detector),
    }


def check_still(detector: Detector, name: str) -> None:
    """Raises UsageError where a model cannot look at single images, of which `name` is one."""
    if sees_flow(detector):
        raise UsageError(f"{name}: this model sees optical flow, and a single image has none. Give it videos.")


def _check_motion(detector: Detector, sources: Iterable[Source]) -> None:
    for source in sources:
        if not source.moving:
            check_still(detector, source.name)


@contextlib.contextmanager
def _plain_frames(source: Source) -> Iterator[Onlooker]:
    del source
    yield lambda frame, found: frame.image


def _open_video(source: Source, outputs: Outputs) -> VideoReader | FolderReader:
    if isinstance(source.place, Path) and source.place.is_dir():
        return FolderReader(source.place, outputs.rate)
    return VideoReader(source.place)


class _Looks:
    """What the detector looked at, in order: frames may be searched some time before they are told.

    Attributes:
        taker: What the detector calls; None where nothing is wanted of it.
    """

    def __init__(self, wanted: bool):
        self._waiting: collections.deque[tuple[np.ndarray, np.ndarray]] = collections.deque()
        self.taker: Look | None = (lambda *look: self._waiting.append(look)) if wanted else None

    def next_drawn(self) -> np.ndarray:
        """The heatmap of the next image over what the network saw of it."""
        return draw.heatmap_overlay(*self._waiting.popleft())


class _Gathered:
    """What only the frames of a video together tell, on disk as soon as it is over.

    Args:
        detector: Whose properties say it.
        stack: Frees the disk in the end.
    """

    def __init__(self, detector: Detector, stack: contextlib.ExitStack):
        started = [one.chronicle(detector.names, DIGITS) for one in detector.properties]
        self._parts = [(one, stack.enter_context(contextlib.closing(Spool()))) for one in started if one is not None]

    def add(self, frame: Frame, found: Detections) -> None:
        """Takes in all that is told of a frame."""
        for chronicle, spool in self._parts:
            spool.extend(chronicle.add(frame.number, found.rows))

    def finish(self) -> dict[str, Spool]:
        """The keys of the video's line."""
        for chronicle, spool in self._parts:
            spool.extend(chronicle.finish())
        return {chronicle.key: spool for chronicle, spool in self._parts}


def _categories(detector: Detector) -> list[dict[str, Any]]:
    """COCO's categories: the classes, and what properties say of them."""
    rows: list[dict[str, Any]] = [{"id": index, "name": name} for index, name in enumerate(detector.names, start=1)]
    for row in rows:
        for one in detector.properties:
            row |= one.class_to_json(row["name"])
    return rows


def _predict_images(
    detector: Detector,
    sources: Iterable[Source],
    outputs: Outputs,
    write: Callable[..., None],
    summary: Summary,
    advance: Callable[[int], None],
) -> None:
    def read() -> Iterator[tuple[Source, np.ndarray, dict[str, np.ndarray]]]:
        for source in sources:
            image = None
            with _skipping(source, outputs, summary):
                extras = outputs.extras_of(source)
                image = read_image(source.place)
            if image is not None:
                yield source, image, extras

    looks = _Looks(outputs.heatmaps)
    for source, image, found in detector.search(read(), outputs.threshold, outputs.batch_size, looks.taker):
        found = outputs.wanted(found)
        write(found, file_name=source.name, output=source.output if outputs.draw else None)
        outputs.tell(source, None, image, found)
        if outputs.draw:
            draw.save_image(outputs.folder / source.output, found.draw(image, threshold=0, panels=True))
        for name, path in outputs.files_of(source):
            result_format(name).write(path, found.class_names, found.rows_at_pixels, DIGITS)
        if outputs.heatmaps:
            draw.save_image(outputs.folder / source.heatmap, looks.next_drawn())
        summary.images += 1
        summary.objects.update(found.class_names)
        advance(summary.images)


def _predict_video(
    search: Callable[..., Iterator[tuple[Frame, Detections]]],
    source: Source,
    reader: VideoReader | FolderReader,
    outputs: Outputs,
    write: Callable[..., None],
    summary: Summary,
    progress: Progress,
    onlooker: contextlib.AbstractContextManager[Onlooker],
) -> dict[str, Any]:
    """Searches one video; its line of the JSON file."""
    most = outputs.max_frames
    total = most if reader.frames is None else min(reader.frames, most or reader.frames)
    output = source.output if outputs.draw else None
    done = 0
    with contextlib.closing(reader), onlooker as look_on, _writers(outputs.folder, reader.rate) as show:
        frames = itertools.islice(reader, most)
        try:
            looks = _Looks(outputs.heatmaps)
            for frame, found in search(frames, outputs, looks.taker):
                write(found, file_name=source.name, frame=frame.number, time=round(frame.time, 4), output=output)
                outputs.tell(source, (frame.number, frame.time), frame.image, found)
                canvas = look_on(frame, found)
                if outputs.draw:
                    show(source.output, found.draw(canvas, threshold=0, panels=True))
                if outputs.heatmaps:
                    show(source.heatmap, looks.next_drawn())
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


def _search_frames(
    detector: Detector,
    source: Source,
    public: Callable[[int], np.ndarray] | None,
    pictures: Iterable[Image] | None,
    gathered: _Gathered,
    frames: Iterable[Frame],
    outputs: Outputs,
    look: Look | None,
) -> Iterator[tuple[Frame, Detections]]:
    """The frames of one video in order with what is found in them, joined over time where the model does that."""
    waiting: collections.deque[Frame] = collections.deque()
    extras = outputs.extras_of(source)

    def images() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame.image

    seen = flow_of(images(), pictures) if sees_flow(detector) else images()
    if detector.tasks.associate is None:
        entries = ((image, extras) for image in seen)
        told = detector.stream(entries, outputs.threshold, outputs.batch_size, look)
    else:
        told = follow(detector, seen, outputs.threshold, outputs.batch_size, extras, look, public=public)
    try:
        for found in told:
            frame, found = waiting.popleft(), outputs.wanted(found)
            gathered.add(frame, found)
            # An association may go on with what it takes for another view of something better, at scores below 0.
            yield frame, found[found.scores > 0]
    except DataError as error:
        raise error if source.name in str(error) else DataError(f"{source.name}: {error}") from error


@contextlib.contextmanager
def _skipping(source: Source, outputs: Outputs, summary: Summary) -> Iterator[None]:
    """Lists a source that cannot be read, or ends the run and says how to have it listed."""
    try:
        yield
    except DataError as error:
        if not outputs.skip_bad:
            raise DataError(f"{error} Use --skip-bad to continue without it.") from error
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
