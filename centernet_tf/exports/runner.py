"""A model in any format as `detector` is one: an image in, `Detections` in its pixels out. What all formats share."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.detector.clips import pictures_of
from centernet_tf.detector.detector import Entry, Image, as_entries, as_image
from centernet_tf.detector.extras import complete, moved
from centernet_tf.detector.found import Threshold, as_detections, limits
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.about import About
from centernet_tf.exports.answers import as_found, boxes_of, have_patches
from centernet_tf.exports.carried import PREVIOUS, Carried
from centernet_tf.exports.windows import Windows, linked
from centernet_tf.geometry import affine
from centernet_tf.points.task import Extra
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections


class Runner:
    """A model in some format; the steps between an image and its objects are methods, so that each can be timed.

    Args:
        path: The file or folder.
        about: What it says of its model.
        limit: Detections per image.
        inputs: Names of its inputs; extras that are none of them it does not take.

    Attributes:
        kind: The format, for people.
        path: The file or folder.
        names: Of the classes.
        properties: What it finds of objects besides box and class.
        extras: What it takes of each image beside its pixels.
        limit: Detections per image.
        thresholds: Of each class where they were fitted, above which its caller keeps detections; None where not.
        size: Height and width of its input where its caller fits images to it, else None.
        fills: What of an image fills the input's width, where its caller fits images to it.
        shifted_sizes: Whether the shift of `fit` takes from the sizes of boxes.
        cuts: Whether boxes are cut to the last pixels of images.
        first_class: Number of the first class in its answers.
        carried: What it remembers between the frames of a video; None where it takes single images, or clips.
        clip: What its network sees, where that is clips of videos; else None.
        pictures: Those of a clip that it takes at once, by number from the present frame; none where it takes images.
        state: What the file says of the state of a video; None where it has none.
        associate: What makes its detections of a video belong together, where the file does not.
    """

    kind = ""
    size: tuple[int, int] | None = None
    first_class = 0
    at_once = True  # whether a file of a model of clips takes them whole

    def __init__(self, path: Path, about: About, limit: int, inputs: Iterable[str]):
        self.path, self.limit = path, limit
        self.names: tuple[str, ...] = about.classes
        self.properties: tuple[Property, ...] = about.properties
        self.fills, self.fill, self.resample = about.window, about.fill, about.resample
        self.thresholds = about.thresholds
        self.shifted_sizes, self.cuts = about.shifted_sizes, about.clipped
        taken = set(inputs)
        self.extras: tuple[Extra, ...] = tuple(extra for extra in about.extras if extra.name in taken)
        self.clip, self.state, self.associate = about.clip, about.state, about.associate
        self.pictures = pictures_of(about.clip) if about.clip and self.at_once else ()
        self.carried = None if about.state is None or about.clip else Carried(about.state, str(path))

    def shown(self, image: np.ndarray) -> np.ndarray:
        """What `fit` takes where there is only one image: it, or a clip in which nothing moves, [P, H, W, 3]."""
        return np.stack([image] * len(self.pictures)) if self.pictures else image

    def fit(self, image: np.ndarray) -> tuple[Any, np.ndarray]:
        """Makes the model's input; here the model fits images itself.

        Args:
            image: [H, W, 3] uint8, or a clip [P, H, W, 3].

        Returns:
            The input [1, ...], and [4] scale (x, y) and shift (x, y): input = scale * image + shift.
        """
        return image[None], np.array([1.0, 1.0, 0.0, 0.0])

    def fit_extras(self, extras: Mapping[str, np.ndarray], fit: np.ndarray) -> dict[str, np.ndarray]:
        """{name: [...]} of an image to {name: [1, ...]} of the input that `fit` made of it."""
        matrix = np.array([[fit[0], 0, fit[2]], [0, fit[1], fit[3]]])
        return moved({name: value[None] for name, value in extras.items()}, self.extras, matrix)

    def window(self, image: np.ndarray) -> np.ndarray:
        """[4] left, top, right, bottom: the part of an image [H, W, 3] that it answers for, to which boxes are cut."""
        return np.array([0, 0, *image.shape[1::-1]], np.float64)

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """TFOD's outputs of one image, boxes as fractions of the input; extras {name: [1, ...]} are of the input."""
        raise NotImplementedError

    def finish(
        self,
        answers: Mapping[str, np.ndarray],
        inputs: Any,
        fit: np.ndarray,
        image: np.ndarray,
        extras: Mapping[str, np.ndarray],
    ) -> Detections:
        """TFOD's outputs to pixels of the image, clipped to it; extras {name: [...]} are of the image."""
        scale, shift = fit[:2], fit[2:]

        def in_image(fractions: np.ndarray) -> np.ndarray:
            """Points [..., 2] (y, x) as fractions of the input to (x, y) in pixels of the image."""
            return (fractions[..., ::-1] * np.array(inputs.shape[-2:-4:-1]) - shift) / scale

        rows = {name: np.asarray(value)[0] for name, value in answers.items()}
        found = as_found(rows, in_image, self.first_class)
        if self.shifted_sizes:  # The file does not know how its caller fitted the image.
            found["boxes"] = ops.convert_to_numpy(affine.with_sides_added(found["boxes"], np.float32(-shift / scale)))
        made = as_detections(found, self.names, image.shape[1::-1], self.properties, extras)
        made = clipped(made, self.window(image))
        return clipped(made, np.array([0, 0, *image.shape[1::-1]]) - [0, 0, 1, 1]) if self.cuts else made

    def run_frame(self, inputs: Any, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`run` of the next frame of a video, with its state among what is given."""
        return self.run(inputs, given)

    def beginning(self, inputs: Any) -> dict[str, np.ndarray]:
        """What `run` takes besides of a video that begins, {argument: array}."""
        return {} if self.state is None or self.pictures else Carried(self.state, str(self.path)).arguments(inputs)

    def __call__(self, image: Image, **extras: Any) -> Detections:
        """Finds objects: every one of the model's K, however low its score. Extras are those of the image."""
        ((_, _, found),) = self.search([(None, image, extras)], threshold=-np.inf)
        return found

    def step(self, frame: Image, **extras: Any) -> Detections:
        """Takes in the next frame of a video, as `detector.follow.Tracker.step` does.

        Raises:
            UsageError: The model takes single images, or tells of a frame once later ones are seen.
            DataError: The frame has another size than those before.
        """
        if self.clip is not None:
            raise UsageError(
                f"{self.path}: tells of a frame once later ones are seen. Take `windows`, which gives what is found "
                "around each frame, or `follow`."
            )
        if self.carried is None:
            raise UsageError(f"{self.path}: takes single images. Export a model of videos, or call it.")
        found = self(frame, **extras)
        return found[found.scores > 0]

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        if self.carried is not None:
            self.carried.reset()

    def stream(
        self, images: Iterable[Image | tuple[Image, Mapping[str, Any]]], threshold: Threshold = 0.0, batch_size: int = 1
    ) -> Iterator[Detections]:
        """As `Detector.stream`, one image at a time; None for `thresholds`, and 0 where there are none."""
        return (found for _, _, found in self.search(as_entries(images), threshold, batch_size))

    def search(
        self, entries: Iterable[Entry], threshold: Threshold = 0.0, batch_size: int = 1
    ) -> Iterator[tuple[Any, np.ndarray, Detections]]:
        """As `Detector.search`, so that a runner is evaluated like a detector; one image at a time."""
        del batch_size
        threshold = (self.thresholds or 0.0) if threshold is None else threshold
        if self.clip is not None and not self.pictures:
            raise UsageError(f"{self.path}: takes the frames of a video one by one. Take `windows` or `follow`.")
        for key, source, given in entries:
            image, extras = as_image(source), complete(given, self.extras)
            inputs, fit = self.fit(self.shown(image))
            answers = self._answer(inputs, self.fit_extras(extras, fit))
            found = self.finish(answers, inputs, fit, image, extras)
            yield key, image, found[found.scores > limits(threshold, found.classes)]

    def windows(self, frames: Iterable[Image], threshold: float = 0.0, **extras: Any) -> Iterator[Detections]:
        """What is found in each frame of a video, in order: of a model of clips, in the clip around it.

        Where the video begins or ends, its first or last frame stands for those beyond.

        Args:
            frames: As `Detector` takes images, all of one size; they are read as they are needed.
            threshold: Scores up to this are left out.
            extras: Of all frames beside their pixels.

        Raises:
            DataError: A frame has another size than those before.
        """
        video = Windows(self, threshold, extras)
        for frame in frames:
            yield from video.push(frame)
        yield from video.finish()

    def follow(self, frames: Iterable[Image], threshold: float = 0.0, **extras: Any) -> Iterator[Detections]:
        """`windows`, and what of that belongs together, as `detector.follow.follow` tells it, here or in the file."""
        return linked(self.windows(frames, threshold, **extras), self.associate)

    def _answer(self, inputs: Any, given: dict[str, Any]) -> dict[str, np.ndarray]:
        """`run`, and what is carried from frame to frame."""
        if self.carried is None:
            return self.run(inputs, given)
        before = self.carried.arguments(inputs)
        if PREVIOUS in before and before[PREVIOUS].shape != inputs.shape:
            (height, width), (last_height, last_width) = inputs.shape[1:3], before[PREVIOUS].shape[1:3]
            raise DataError(
                f"{self.path}: a frame has {width}x{height} pixels, the one before {last_width}x{last_height}. A video "
                "has frames of one size; `reset` begins another."
            )
        return self.carried.take(self.run(inputs, {**given, **before}), inputs)


def clipped(found: Detections, window: np.ndarray) -> Detections:
    """With boxes cut to a part [4] of the image, as exported graphs answer; but for those with patches over them."""
    low, high = (window[:2], window[2:]) if not have_patches(found.fields) else (-np.inf, np.inf)
    cut = {
        name: np.clip(found.rows[name].reshape(-1, 2, 2), low, high).reshape(found.rows[name].shape)
        for name in boxes_of(found.rows)
    }
    boxes = cut.pop("boxes")
    return dataclasses.replace(found, boxes=boxes, fields={**found.fields, **cut})
