"""Videos: the one loop over time. What is found in a frame, and the memory of those before, make the next memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from centernet_tf.detector import frames as beside
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.entries import Image, Look, as_image
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
) -> Iterator[Detections]:
    """Finds the objects of a video and what of them belongs together.

    Args:
        detector: Of a model with a task that associates.
        frames: Images of one video in order, all of one size; they are read as they are needed.
        threshold: As of `Detector`.
        batch_size: Frames that run at the same time. Where an input is drawn from what is remembered, each waits for
            the one before.
        extras: {name: value} of all frames beside their pixels.
        look: As of `Detector.search`; called when a frame is searched, which may be before it is yielded.
        keep: Called with all that is found in each frame, in order, before any of it is told.

    Yields:
        What the task's association tells: detections of the frames in order, each once all that it needs is seen.

    Raises:
        UsageError: No task of the model associates.
        DataError: A frame has another size than the first; its number is told.
    """
    video = _Video(detector, threshold, batch_size, extras, look, keep)
    for frame in frames:
        yield from video.push(as_image(frame))
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

    def step(self, frame: Image) -> Detections:
        """Takes in the next frame.

        Args:
            frame: As `Detector` takes an image; all frames of a video have one size.

        Returns:
            Its objects in pixels of the frame, with what tells who is who over time among their `fields`, such as
            "track_ids" [K].

        Raises:
            DataError: The frame cannot be read, or has another size than the first; `reset` begins another video.
        """
        told = list(self._video.push(as_image(frame)))
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
        self._window = beside.Window(detector.tasks.inputs)
        self._waiting: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def push(self, image: np.ndarray) -> Iterator[Detections]:
        """What can be told once this frame [H, W, 3] is seen."""
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            (height, width, _), (first_height, first_width, _) = image.shape, self._shape
            raise DataError(
                f"frame {self._count} (from 0) has {width}x{height} pixels, the first one {first_width}x"
                f"{first_height}. A video has frames of one size: scale them, or cut it where its size changes."
            )
        self._count += 1
        for entry in self._window.push(image):
            self._waiting.append(entry)
            if len(self._waiting) == self._together:
                yield from self._run()

    def finish(self) -> Iterator[Detections]:
        """What was held back until the end."""
        for entry in self._window.finish():
            self._waiting.append(entry)
            if len(self._waiting) == self._together:
                yield from self._run()
        yield from self._run()
        yield from self._association.finish(self._memory)

    def _run(self) -> Iterator[Detections]:
        waiting, self._waiting = self._waiting, []
        recall = self._association.recall
        known = {**self._extras, **({} if recall is None else {beside.ROWS: recall(self._memory)})}
        searched = self._search((image, {**known, **further}) for image, further in waiting)
        for found, (image, _) in zip(searched, waiting):
            if self._keep is not None:
                self._keep(found)
            seen = [image] if self._association.looks else []
            told, self._memory = self._association.step(found, self._memory, *seen)
            yield from told
