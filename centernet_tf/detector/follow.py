"""Videos: the one loop over time. What is found in a frame, and the memory of those before, make the next memory."""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.detector import frames as beside
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.entries import Image, Look, as_image
from centernet_tf.detector.two_streams import ONLY_VIDEOS, TwoStreams, open_stream
from centernet_tf.errors import DataError, UsageError
from centernet_tf.results import Detections
from centernet_tf.tasks import read_task


def follow(
    detector: Detector,
    frames: Iterable[Image],
    threshold: float = 0.3,
    batch_size: int = 8,
    extras: Mapping[str, Any] | None = None,
    look: Look | None = None,
    keep: Callable[[Detections], None] | None = None,
    public: Callable[[int], Any] | None = None,
) -> Iterator[Detections]:
    """Finds the objects of a video and what of them belongs together.

    Args:
        detector: Of a model with a task that associates, or `two_streams.TwoStreams`.
        frames: Images of one video in order, all of one size; they are read as they are needed. A model of optical flow
            alone takes pictures of flow, see `two_streams.flow_of`.
        threshold: As of `Detector`.
        batch_size: Frames that run at the same time. Where an input is drawn from what is remembered, each waits for
            the one before.
        extras: {name: value} of all frames beside their pixels.
        look: As of `Detector.search`; called when a frame is searched, which may be before it is yielded.
        keep: Called with all that is found in each frame, in order, before any of it is told.
        public: Number of a frame, from 0 -> boxes of another detector, as `Tracker.step` takes them.

    Yields:
        What the task's association tells: detections of the frames in order, each once all that it needs is seen.

    Raises:
        UsageError: No task of the model associates, or it takes no boxes of others.
        DataError: A frame has another size than the first; its number is told.
    """
    video = _Video(detector, threshold, batch_size, extras, look, keep)
    for number, frame in enumerate(frames):
        yield from video.push(as_image(frame), None if public is None else public(number))
    yield from video.finish()


def with_settings(detector: Detector, **settings: Any) -> Detector:
    """The same network whose task associates over time by other settings, such as a higher threshold.

    Args:
        settings: Names in the settings of the task that associates, and their values.

    Raises:
        UsageError: No task associates; a setting is unknown, impossible, or one that the network was made for.
    """
    if not settings:
        return detector
    names = [task.name for task in detector.tasks.tasks if task.associate is not None]
    if not names:
        raise UsageError(
            f"A model of {', '.join(detector.card.tasks)} does not track objects over time, so it has no settings of "
            f"that: {', '.join(settings)}. Give a model that does."
        )
    (name,) = names
    tasks = {**detector.card.tasks, name: {**detector.card.tasks[name], **settings}}
    card = detector.card.model_copy(update={"tasks": tasks})
    read_task(name, tasks[name])
    made = card.task_set()
    if (made.heads, made.inputs) != (detector.tasks.heads, detector.tasks.inputs):
        raise UsageError(f"{name}: {', '.join(settings)} would need another network. Train one with it.")
    if isinstance(detector, TwoStreams):
        return detector.remade(card)
    return Detector(detector.network, card, detector.options)


class Tracker:
    """One video, frame by frame, as `Detector.tracker` gives it.

    Args:
        detector: Of a model with a task that associates, and tells of each frame once it is seen.
        extras: {name: value} of all frames beside their pixels.

    Raises:
        UsageError: No task of the model associates, or it needs frames that are yet to come.
    """

    def __init__(self, detector: Detector, extras: Mapping[str, Any] | None = None):
        self.detector, self.extras = detector, extras
        self.reset()
        if max(beside.reach(detector.tasks.inputs)) > 0:
            raise self._later()

    def step(self, frame: Image, public: Any = None) -> Detections:
        """Takes in the next frame.

        Args:
            frame: As `Detector` takes an image; all frames of a video have one size.
            public: [P, 4] boxes left, top, right, bottom that another detector found in this frame, in its pixels, or
                [P, 5] with their scores, 1 if left out. Then objects are only new near one of them, and those of the
                first frame are known from the beginning (official code, option `public_det`).

        Returns:
            Its objects in pixels of the frame, with what tells who is who over time among their `fields`, such as
            "track_ids" [K].

        Raises:
            UsageError: `public` is no such array, or the model takes none.
            DataError: The frame cannot be read, or has another size than the first; `reset` begins another video.
        """
        told = list(self._video.push(as_image(frame), public))
        if len(told) != 1:
            raise self._later()
        return told[0]

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        # The task has thresholds of its own.
        self._video = _Video(self.detector, 0.0, 1, self.extras)

    def _later(self) -> UsageError:
        return UsageError(
            f"A model of {', '.join(self.detector.card.tasks)} tells of a frame only once later ones are seen, not "
            "frame by frame. Take `centernet_tf.detector.follow.follow`, which takes the whole video."
        )


class _Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        image: [H, W, 3] uint8.
        fitted: As `Detector.fit_frame` makes it; None where the network sees single images.
    """

    image: np.ndarray
    fitted: dict[str, Any] | None


def _fitted(present: _Frame, seen: Mapping[str, Sequence[_Frame]]) -> dict[str, Any]:
    """What the network sees of a present frame and of others, where they are fitted."""
    if present.fitted is None:
        return {}
    return {beside.FITTED: (present.fitted, {name: [frame.fitted for frame in one] for name, one in seen.items()})}


class _Video:
    """What is held between the frames of a video; arguments as of `follow`."""

    def __init__(
        self,
        detector: Detector,
        threshold: float,
        batch_size: int,
        extras: Mapping[str, Any] | None,
        look: Look | None = None,
        keep: Callable[[Detections], None] | None = None,
    ):
        association = detector.tasks.associate
        if association is None:
            raise UsageError(
                f"A model of {', '.join(detector.card.tasks)} does not track objects over time. Search the frames one "
                "by one, or give a model that does."
            )
        self._search = lambda entries: detector.stream(entries, threshold, batch_size, look)
        self._association, self._extras, self._keep = association, dict(extras or {}), keep
        self._together = batch_size if association.recall is None else 1
        self._memory = association.start()
        if look is not None and isinstance(detector, TwoStreams):
            raise UsageError(f"{ONLY_VIDEOS} Their heatmaps are joined only where both are seen: leave heatmaps out.")
        self._stream = open_stream(detector, threshold, self._extras) if look is None else None
        # Where the network sees a frame more than once, it is fitted when it comes.
        self._fit = detector.fit_frame if beside.shown(detector.tasks.inputs) and not self._stream else None
        self._window: beside.Window[_Frame] = beside.Window(detector.tasks.inputs)
        self._waiting: list[tuple[_Frame, dict[str, list[_Frame]]]] = []
        self._public: collections.deque[np.ndarray | None] = collections.deque()  # of frames that are not told yet
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def push(self, image: np.ndarray, public: Any = None) -> Iterator[Detections]:
        """What can be told once this frame [H, W, 3] is seen; boxes as `Tracker.step` takes them."""
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            (height, width, _), (first_height, first_width, _) = image.shape, self._shape
            raise DataError(
                f"frame {self._count} (from 0) has {width}x{height} pixels, the first one {first_width}x"
                f"{first_height}. A video has frames of one size: scale them, or cut it where its size changes."
            )
        self._public.append(None if public is None else self._checked(public))
        if self._count == 0 and self._public[0] is not None:
            self._memory = self._association.begin(self._public[0])
        self._count += 1
        frame = _Frame(image, self._fit and self._fit(image))
        for entry in [(frame, {})] if self._stream else self._window.push(frame):
            self._waiting.append(entry)
            if len(self._waiting) == self._together:
                yield from self._run()

    def _checked(self, public: Any) -> np.ndarray:
        """[P, 5] boxes of another detector and their scores."""
        if self._association.begin is None:
            raise UsageError("This way of associating objects takes no boxes of another detector. Leave them out.")
        boxes = np.asarray(public, np.float64)
        boxes = boxes.reshape(0, 5) if not boxes.size else boxes
        if boxes.ndim != 2 or boxes.shape[1] not in (4, 5) or not np.isfinite(boxes).all():
            raise UsageError(
                f"Boxes of another detector: got {boxes.shape}, or numbers that are not finite. Expected finite "
                "[P, 4] left, top, right, bottom, or [P, 5] with a score."
            )
        return boxes if boxes.shape[1] == 5 else np.concatenate([boxes, np.ones((len(boxes), 1))], axis=1)

    def finish(self) -> Iterator[Detections]:
        """What was held back until the end."""
        for entry in () if self._stream else self._window.finish():
            self._waiting.append(entry)
            if len(self._waiting) == self._together:
                yield from self._run()
        yield from self._run()
        if self._stream:
            yield from self._tell(self._stream.finish())
        yield from self._association.finish(self._memory)

    def _run(self) -> Iterator[Detections]:
        waiting, self._waiting = self._waiting, []
        if self._stream:
            yield from self._tell(self._stream.push([present.image for present, _ in waiting]))
            return
        recall = self._association.recall
        known = {**self._extras, **({} if recall is None else {beside.ROWS: recall(self._memory)})}
        searched = self._search((present.image, {**known, **_fitted(present, seen)}) for present, seen in waiting)
        yield from self._tell((present.image, found) for found, (present, _) in zip(searched, waiting))

    def _tell(self, searched: Iterable[tuple[np.ndarray, Detections]]) -> Iterator[Detections]:
        """What the association makes of frames and of what was found in them."""
        for image, found in searched:
            if self._keep is not None:
                self._keep(found)
            seen = [image] if self._association.looks else []
            boxes = self._public.popleft()
            near = {} if boxes is None else {"public": boxes}
            told, self._memory = self._association.step(found, self._memory, *seen, **near)
            yield from told
