"""From pictures to detections: fit to the input, network, decode and the way back, all in one graph."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.centers import STRIDE
from centernet_tf.errors import DataError
from centernet_tf.geometry import affine
from centernet_tf.images import read_image
from centernet_tf.model_file import InputCard, ModelCard, load_model
from centernet_tf.results import Detections
from centernet_tf.schema import FIELDS
from centernet_tf.task import TaskSet

PADDING = 64  # Images of one batch are padded to multiples of this, so that few shapes need compiling.
Picture = str | Path | bytes | np.ndarray


class DetectorGraph(keras.Model):
    """Images of any size in, objects in their pixels out; what every export contains.

    Args:
        network: From normalised images to {head: [map per stack]}.
        tasks: How its maps are decoded.
        card: How an image becomes its input.
    """

    def __init__(self, network: keras.Model, tasks: TaskSet, card: InputCard):
        super().__init__(name="detector", dtype="float32")
        self.network = network
        self.tasks = tasks
        self.card = card
        self.built = True

    def fit_images(self, images: Any, sizes: Any) -> tuple[Any, Any]:
        """Makes the network's input, before colours are normalised.

        Args:
            images: [B, H, W, 3] uint8 RGB, each in the upper left corner, black beyond its own size.
            sizes: [B, 2] int32 height and width of each image. Where the resolution is kept, all are H x W.

        Returns:
            [B, h, w, 3] float32 in 0..1, and [B, 4] float32: input = scale (x, y) * image + shift (x, y).
        """
        if self.card.mode == "keep":
            _, height, width, _ = ops.shape(images)
            padded = affine.kept_size(height, width, self.card.stride)
            _, left, top = affine.kept_fit(height, width, self.card.stride)
            margins = ((0, 0), (top, padded[0] - height - top), (left, padded[1] - width - left), (0, 0))
            fitted = ops.cast(ops.pad(images, margins), "float32")
            shift = ops.cast(ops.stack([left, top]), "float32")
            shift = ops.broadcast_to(shift, (ops.shape(images)[0], 2))
            return fitted / 255.0, ops.concatenate([ops.ones_like(shift), shift], axis=-1)
        sizes = ops.cast(sizes, "float32")
        scale, left, top = affine.fixed_fit(sizes[:, 0], sizes[:, 1], (self.card.height, self.card.width))
        fit = ops.stack([scale, scale, left, top], axis=-1)
        return preprocess.warp(images, fit, (self.card.height, self.card.width)) / 255.0, fit

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"images", "sizes"} as in `fit_images` to {field: [B, K, ...]}, boxes in pixels of each image."""
        fitted, fit = self.fit_images(inputs["images"], inputs["sizes"])
        outputs = self.network(preprocess.normalize(fitted, self.card.normalization), training=False)
        found = self.tasks.decode(outputs)
        scale, shift = fit[:, None, :2], fit[:, None, 2:]
        return {name: _move_back(value, FIELDS.get(name), scale, shift) for name, value in found.items()}


def _move_back(value: Any, field: Any, scale: Any, shift: Any) -> Any:
    """Cells of the output grid to pixels of the image, for fields [B, K, ..., 2 n] that move with it."""
    if field is None or field.motion == "fixed":
        return value
    shape = ops.shape(value)
    pairs = ops.reshape(value, (shape[0], -1, 2)) * STRIDE
    if field.motion != "vectors":
        pairs = pairs - shift
    return ops.reshape(pairs / scale, shape)


class Detector:
    """A trained network that takes pictures.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: What it is.

    Attributes:
        network: Call it with normalised images [B, H, W, 3], sides multiples of the stride, for its raw maps without
            activation.
        card: Everything the model file says.
    """

    def __init__(self, network: keras.Model, card: ModelCard):
        self.network = network
        self.card = card
        self.tasks = card.task_set()
        self.graph = DetectorGraph(network, self.tasks, card.input)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in channel order."""
        return self.card.classes

    def __call__(self, pictures: Picture | Sequence[Picture], threshold: float = 0.3, batch: int = 8) -> Any:
        """Finds objects.

        Args:
            pictures: One image or several: a file, its bytes, or an array [H, W, 3] uint8 RGB; a batch may also be an
                array [B, H, W, 3].
            threshold: Scores up to this are left out, in 0..1; 0 keeps every peak, at most the model's max_objects.
            batch: Images that run at the same time.

        Returns:
            `Detections` in pixels of the image for one, a list of them in the same order for several.

        Raises:
            DataError: A file is missing or no image. It is named. Or the network answers NaN.
            ValueError: An array has another shape or type, or the threshold is outside 0..1.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}, expected a score from 0 to 1.")
        single = isinstance(pictures, (str, Path, bytes)) or (isinstance(pictures, np.ndarray) and pictures.ndim == 3)
        found = list(self.stream([pictures] if single else pictures, threshold, batch))
        return found[0] if single else found

    def stream(self, pictures: Iterable[Picture], threshold: float = 0.3, batch: int = 8) -> Iterable[Detections]:
        """`__call__` for any number of pictures: reads a batch, yields its detections in order, goes on."""
        waiting: list[np.ndarray] = []
        for picture in pictures:
            image = as_image(picture)
            # Where the resolution is kept, one batch has one size.
            if len(waiting) == batch or (waiting and self._keeps and waiting[0].shape != image.shape):
                yield from self._run(waiting, threshold)
                waiting = []
            waiting.append(image)
        if waiting:
            yield from self._run(waiting, threshold)

    def look(self, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees and what it answers, for looking inside.

        Returns:
            Its input [h, w, 3] uint8 RGB, and the heatmap [h/4, w/4, C] float32 in 0..1.
        """
        inputs = self._pack([as_image(picture)])
        fitted, _ = self.graph.fit_images(inputs["images"], inputs["sizes"])
        outputs = self.network(preprocess.normalize(fitted, self.card.input.normalization), training=False)
        heatmap = ops.convert_to_numpy(ops.sigmoid(outputs["heatmap"][-1][0]))
        return np.rint(ops.convert_to_numpy(fitted[0]) * 255).astype(np.uint8), heatmap

    def with_input(self, size: tuple[int, int] | None) -> "Detector":
        """The same network behind another input.

        Args:
            size: Height and width in pixels, multiples of the stride; None keeps every image's resolution.

        Raises:
            UsageError: A side is no multiple of the stride; the message names the nearest size.
        """
        return Detector(self.network, self.card.model_copy(update={"input": self.card.input.resized(size)}))

    @property
    def _keeps(self) -> bool:
        return self.card.input.mode == "keep"

    def _pack(self, images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        sizes = np.array([image.shape[:2] for image in images], np.int32)
        shape = sizes.max(axis=0)
        if not self._keeps:
            shape = -(-shape // PADDING) * PADDING
        packed = np.zeros((len(images), *shape, 3), np.uint8)
        for row, image in zip(packed, images):
            row[: image.shape[0], : image.shape[1]] = image
        return {"images": packed, "sizes": sizes}

    def _run(self, images: Sequence[np.ndarray], threshold: float) -> Iterable[Detections]:
        found = self.graph.predict_on_batch(self._pack(images))
        if not (np.isfinite(found["scores"]).all() and np.isfinite(found["boxes"]).all()):
            # A score that is NaN is above no threshold, so it would pass for an empty image.
            raise DataError("The network answers NaN or infinite numbers: its training diverged. Use another model.")
        for row, image in enumerate(images):
            kept = found["scores"][row] > threshold
            fields = {name: value[row][kept] for name, value in found.items()}
            boxes, scores, classes = (fields.pop(name) for name in ("boxes", "scores", "classes"))
            yield Detections(boxes, scores, classes, self.names, image.shape[1::-1], fields)


def as_image(picture: Picture) -> np.ndarray:
    """A file, its bytes or an array as [H, W, 3] uint8 RGB.

    Raises:
        DataError: The file is missing or no image.
        ValueError: The array has another shape or type.
    """
    if not isinstance(picture, np.ndarray):
        return read_image(picture)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(
            f"Got an array {picture.shape} of {picture.dtype}; an image is [H, W, 3] uint8 RGB with values 0 to 255."
        )
    return picture


def load(path: str | Path) -> Detector:
    """Loads a model file that `centernet train` wrote.

    Raises:
        UsageError: The file is missing or not ours; the message says what it is.
    """
    return Detector(*load_model(path))
