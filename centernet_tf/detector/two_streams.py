"""Two networks on one video, one that sees images and one that sees optical flow, as one detector.

Each sees a frame once, their maps are joined as the task says, and what is found in them is found once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.detector import stream
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.entries import Image, as_image
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.flow import FlowPictures
from centernet_tf.model.card import ModelCard

ONLY_VIDEOS = "Two networks, of images and of optical flow, see videos only."


def sees_flow(detector: Detector) -> bool:
    """Whether a detector's network sees optical flow in place of images."""
    tasks = getattr(detector, "tasks", None)  # runners of exports have none: they know single images only
    return tasks is not None and any(wanted.directed for wanted in tasks.inputs.values())


class TwoStreams(Detector):
    """A detector of images that also sees the optical flow of a video; `follow` takes it as any other.

    Args:
        images: Sees images. Classes, settings and options are its own.
        flow: Sees optical flow.
        weights: How much the images count in each map, by the names that the task gives them, from 0 to 1; the task's
            own where left out.
        pictures: As of `flow_of`, of the one video that is followed.

    Attributes:
        flow: As given, with the options of the images.
        weights: As given.

    Raises:
        UsageError: They do not go together; the message says why.
    """

    def __init__(
        self,
        images: Detector,
        flow: Detector,
        weights: Mapping[str, float] | None = None,
        pictures: Iterable[Image] | None = None,
    ):
        self.weights, self.pictures = dict(weights or {}), pictures
        super().__init__(images.network, images.card, images.options)
        self.flow = flow if flow.options == images.options else Detector(flow.network, flow.card, images.options)
        self._check_pair(images)

    def _check_pair(self, images: Detector) -> None:
        if self.tasks.fuse is None:
            raise UsageError(f"A model of {', '.join(self.card.tasks)} has no second stream. Leave the flow out.")
        for one, directed, what in ((images, False, "images"), (self.flow, True, "optical flow")):
            if sees_flow(one) != directed:
                raise UsageError(f"Two streams are a model of images and one of optical flow; one sees no {what}.")
            if not stream.suits(one):
                raise UsageError(
                    f"The model of {what} sees no clips, or several times: leave scales, nms and tile out."
                )
        ours, theirs = (_facts(one) for one in (images, self.flow))
        for what, value in ours.items():
            if value != theirs[what]:
                raise UsageError(
                    f"The two streams differ in their {what}: {value} and {theirs[what]}. Train both on the same."
                )
        self.tasks.fuse({}, {}, self.weights)

    def remade(self, card: ModelCard) -> "TwoStreams":
        """The same with other settings of the images' card."""
        return TwoStreams(Detector(self.network, card, self.options), self.flow, self.weights, self.pictures)

    def with_input(self, size: tuple[int, int] | None) -> "TwoStreams":
        made = (super().with_input(size), self.flow.with_input(size))
        return TwoStreams(*made, self.weights, self.pictures)

    def with_options(self, **options: Any) -> "TwoStreams":
        return TwoStreams(super().with_options(**options), self.flow, self.weights, self.pictures)

    def search(self, *args: Any, **kwargs: Any) -> Any:
        """There is no motion in single images."""
        raise UsageError(f"{ONLY_VIDEOS} Give the model of images alone, or videos to `follow`.")

    def at_points(self, *args: Any, **kwargs: Any) -> Any:
        """As `search`."""
        raise UsageError(f"{ONLY_VIDEOS} Give the model of images alone.")


def _facts(detector: Detector) -> dict[str, Any]:
    """What two streams have in common."""
    card, (wanted,) = detector.card.input, detector.tasks.inputs.values()
    return {
        "classes": detector.names,
        "frames seen at once": len(wanted.frames),
        "input": card.mode if card.mode == "keep" else f"{card.height}x{card.width}",
    }


class BothStreams(stream.Stream):
    """`Stream` of two networks; arguments as there."""

    def __init__(self, detector: TwoStreams, threshold: float, extras: Mapping[str, Any]):
        self._flow = FlowPictures() if detector.pictures is None else _Given(detector.pictures)
        super().__init__(detector, threshold, extras)

    def _networks(self) -> tuple[list[Detector], stream.Join]:
        pair = self._detector
        return [pair, pair.flow], lambda maps: pair.tasks.fuse(*maps, pair.weights)

    def _shown(self, images: Sequence[np.ndarray], last: bool) -> Sequence[Sequence[np.ndarray]]:
        if last:
            return [[], self._flow.finish()]
        return [images, [picture for image in images for picture in self._flow.push(image)]]


class _Given:
    """Pictures of flow that somebody gives, as `FlowPictures` gives those that it computes."""

    def __init__(self, pictures: Iterable[Image]):
        self._pictures: Iterator[Image] = iter(pictures)
        self._last: np.ndarray | None = None
        self._missing = 0

    def push(self, frame: np.ndarray) -> list[np.ndarray]:
        picture = next(self._pictures, None)
        self._missing += picture is None
        if self._missing > 1 or (picture is None and self._last is None):
            raise DataError(
                "There are fewer pictures of optical flow than frames. Give one for each frame, but for the last one, "
                "which has no next."
            )
        self._last = self._last if picture is None else as_image(picture)
        if self._last.shape != frame.shape:
            (height, width, _), (own_height, own_width, _) = self._last.shape, frame.shape
            raise DataError(
                f"A picture of optical flow has {width}x{height} pixels, its frame {own_width}x{own_height}. Give "
                "pictures of the frames' size."
            )
        return [self._last]

    def finish(self) -> list[np.ndarray]:
        return []


def flow_of(frames: Iterable[np.ndarray], pictures: Iterable[Image] | None = None) -> Iterator[np.ndarray]:
    """What a network of optical flow sees of a video.

    Args:
        frames: [H, W, 3] uint8 RGB each, in order.
        pictures: Of flow, [H, W, 3] uint8 RGB or files, one for each frame, made as those that the network was trained
            on; for the last frame the one before may stand. None computes them from the frames.

    Raises:
        DataError: Pictures are too few, or of another size than their frames.
    """
    flow = FlowPictures() if pictures is None else _Given(pictures)
    for frame in frames:
        yield from flow.push(frame)
    yield from flow.finish()


def open_stream(detector: Detector, threshold: float, extras: Mapping[str, Any]) -> stream.Stream | None:
    """What sees each frame of a video once; None of a detector that does not suit."""
    if isinstance(detector, TwoStreams):
        return BothStreams(detector, threshold, extras)
    return stream.Stream(detector, threshold, extras) if stream.suits(detector) else None
