"""A model of the page: what it says of itself, of an image, of a point in one, and of a video."""

import collections
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.demo.examples import Example, frames_of
from centernet_tf.demo.pictures import as_picture
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.detector.found import THRESHOLD, chosen
from centernet_tf.detector.two_streams import flow_of, sees_flow
from centernet_tf.errors import UsageError
from centernet_tf.media.draw import heatmap_overlay
from centernet_tf.media.images import read_image
from centernet_tf.outputs import image_line
from centernet_tf.results import Detections

MOST_FRAMES = 200  # of a video: a clip, not a film
TRAIL = 30  # frames that drawings of a video reach back
BEST = 5  # classes of a point

Answer = dict[str, Any]


class Shown:
    """A model on the page.

    Args:
        title: What the page calls it.
        detector: Finds objects.
        examples: To click on.
    """

    def __init__(self, title: str, detector: Detector, examples: Sequence[Example]):
        self.title, self.detector, self.examples = title, detector, examples

    @property
    def facts(self) -> Answer:
        """What the page must know of it, ready for JSON."""
        card = self.detector.card
        return {
            "title": self.title,
            "tasks": list(card.tasks),
            "classes": list(card.classes),
            "backbone": card.backbone,
            "input": "any size" if card.input.mode == "keep" else f"{card.input.height}x{card.input.width}",
            "threshold": THRESHOLD if card.thresholds is None else "its own of each class",
            "stills": not sees_flow(self.detector),
            "follows": self.detector.tasks.associate is not None,
            "examples": [{"name": one.name, "moving": one.moving} for one in self.examples],
        }

    def begin(self) -> None:
        """Answers once, for the first answer about images of a size takes seconds, which no visitor should wait."""
        for one in self.examples:
            if not one.moving and not sees_flow(self.detector):
                pixels = self._read(one.content, one.name)
                self.find(pixels, one.name, extras=one.extras)
                self.at_point(pixels, one.name, (pixels.shape[1] / 2, pixels.shape[0] / 2), one.extras)
                return

    def find(
        self,
        image: Any,
        name: str,
        threshold: float | None = None,
        heatmap: bool = False,
        extras: Mapping[str, Any] | None = None,
    ) -> Answer:
        """What is found in an image.

        Args:
            image: A file, its bytes or pixels [H, W, 3] uint8 RGB.
            name: What errors call it.
            threshold: As of `Detector`.
            heatmap: Whether to show where the network sees centres, too.
            extras: {name: value} that the model takes beside pixels; the model's usual ones where left out.

        Raises:
            DataError: It is no image that can be read.
            UsageError: The model sees no single images.
        """
        clock = _Clock()
        pixels = self._read(image, name)
        clock.lap("read")
        looks: list[tuple[np.ndarray, np.ndarray]] = []
        entry = (None, pixels, extras or {})
        # It always looks: with the heatmap and without it would be two programs to compile.
        ((_, _, found),) = self.detector.search([entry], threshold, 1, lambda *seen: looks.append(seen))
        clock.lap("found")
        answer = _told(found, found.draw(pixels, threshold=0, panels=True))
        if heatmap:
            answer["heatmap"] = as_picture(heatmap_overlay(*looks[0]))
        clock.lap("drawn")
        return {**answer, "times": clock.laps}

    def at_point(
        self, image: Any, name: str, point: tuple[float, float], extras: Mapping[str, Any] | None = None
    ) -> Answer:
        """What is at a point (x, y) in pixels of an image, however unsure; other arguments as of `find`.

        Raises:
            DataError: It is no image that can be read.
            UsageError: The point is not in it, or the model sees no single images.
        """
        clock = _Clock()
        pixels = self._read(image, name)
        clock.lap("read")
        found = self.detector.at_points(pixels, [point], **(extras or {}))
        clock.lap("found")
        scores = found.fields["class_scores"][0]
        best = np.argsort(-scores, kind="stable")[:BEST]
        answer = _told(found, found.draw(pixels, threshold=0, panels=True))
        clock.lap("drawn")
        classes = [[self.detector.names[index], round(float(scores[index]), 4)] for index in best]
        return {**answer, "point": list(point), "classes": classes, "times": clock.laps}

    def watch(
        self,
        video: Path | Sequence[np.ndarray],
        threshold: float | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> Iterator[Answer]:
        """What is found in the first frames of a video, frame by frame, and what of it belongs together.

        Args:
            video: A file, or frames [H, W, 3] uint8 RGB.
            threshold: As of `find`.
            extras: Likewise, of all frames.

        Raises:
            DataError: It is no video that can be read.
        """
        before: collections.deque[Mapping[str, np.ndarray]] = collections.deque(maxlen=TRAIL)
        with frames_of(video) as (frames, total):
            told = self._searched(itertools.islice(frames, MOST_FRAMES), threshold, extras or {})
            for number, (image, found) in enumerate(told, start=1):
                answer = _told(found, found.draw(image, threshold=0, panels=True, before=tuple(before)))
                before.append(found.rows)
                yield {**answer, "frame": number, "frames": total and min(total, MOST_FRAMES)}

    def _read(self, image: Any, name: str) -> np.ndarray:
        if sees_flow(self.detector):
            raise UsageError(f"{name}: this model sees optical flow, and a single image has none. Give it a video.")
        return image if isinstance(image, np.ndarray) else read_image(image, name)

    def _searched(
        self, frames: Iterator[np.ndarray], threshold: float | None, extras: Mapping[str, Any]
    ) -> Iterator[tuple[np.ndarray, Detections]]:
        """Frames and what is told of them, in order; a frame is held until all that it needs is seen."""
        waiting: collections.deque[np.ndarray] = collections.deque()

        def images() -> Iterator[np.ndarray]:
            for image in frames:
                waiting.append(image)
                yield image

        seen = flow_of(images()) if sees_flow(self.detector) else images()
        if self.detector.tasks.associate is None:
            told = self.detector.stream(((image, extras) for image in seen), threshold, batch_size=1)
        else:
            told = _followed(self.detector, seen, threshold, extras)
        for found in told:
            # An association may go on with what it takes for another view of something better, at scores below 0.
            yield waiting.popleft(), found[found.scores > 0]


def _followed(
    detector: Detector, frames: Iterator[np.ndarray], threshold: float | None, extras: Mapping[str, Any]
) -> Iterator[Detections]:
    """Follows objects above a threshold, or the model's own, which its task has where it sorts them out by itself."""
    (task,) = (task.name for task in detector.tasks.tasks if task.associate is not None)
    own = detector.card.tasks.get(task, {}).get("threshold")
    if threshold is None:
        threshold = chosen(None, detector.card) if own is None else own
    elif own is not None:
        detector = with_settings(detector, threshold=threshold)
    return follow(detector, frames, threshold, batch_size=1, extras=extras)


def _told(found: Detections, drawn: np.ndarray) -> Answer:
    """Objects, surest first, and their drawing."""
    found = found[np.argsort(-found.scores, kind="stable")]
    line = image_line(1, found)
    return {
        "width": line["width"],
        "height": line["height"],
        "objects": line["detections"],
        "picture": as_picture(drawn),
    }


class _Clock:
    """Milliseconds of each step.

    Attributes:
        laps: {step: milliseconds}.
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Ends a step."""
        now = time.perf_counter()
        self.laps[step] = round(1000 * (now - self._last), 1)
        self._last = now
