"""From pictures to detections: fit to the input, network, decode and the way back, all in one graph."""

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.centers import STRIDE
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.geometry import affine
from centernet_tf.images import read_image
from centernet_tf.model_file import InputCard, ModelCard, load_model
from centernet_tf.results import Detections
from centernet_tf.task import TaskSet
from centernet_tf.test_time import flip, scales, soft_nms, tiles
from centernet_tf.test_time.field import receptive_field
from centernet_tf.test_time.options import Options

PADDING = 64  # Images of one batch are padded to multiples of this, so that few shapes need compiling.
Picture = str | Path | bytes | np.ndarray


class DetectorGraph(keras.Model):
    """Images of any size in, objects in their pixels out; what every export contains.

    Args:
        network: From normalised images to {head: [map per stack]}.
        tasks: How its maps are decoded.
        card: How an image becomes its input.
        options: Flip test, several scales, soft-NMS.
    """

    def __init__(self, network: keras.Model, tasks: TaskSet, card: InputCard, options: Options | None = None):
        super().__init__(name="detector", dtype="float32")
        self.network = network
        self.tasks = tasks
        self.card = card
        self.options = options or Options()
        self.built = True

    def fit_images(self, images: Any, sizes: Any, scale: Fraction = Fraction(1)) -> tuple[Any, Any]:
        """Makes the network's input, before colours are normalised.

        Args:
            images: [B, H, W, 3] uint8 RGB, each in the upper left corner, black beyond its own size.
            sizes: [B, 2] int32 height and width of each image. Where the resolution is kept, all are H x W.
            scale: Of the images before they are fitted. A fixed input still shows as many pixels as at scale 1: of
                images that grow the middle, of those that shrink all, and black around it.

        Returns:
            [B, h, w, 3] float32 in 0..1, and [B, 4] float32: input = scale (x, y) * image + shift (x, y).
        """
        whole = ops.max(ops.cast(sizes, "float32"), axis=1)
        images, sizes = scales.rescale(images, sizes, scale)
        if self.card.mode == "keep":
            _, height, width, _ = ops.shape(images)
            padded = affine.kept_size(height, width, self.card.stride)
            _, left, top = affine.kept_fit(height, width, self.card.stride)
            margins = ((0, 0), (top, padded[0] - height - top), (left, padded[1] - width - left), (0, 0))
            fitted = ops.cast(ops.pad(images, margins), "float32")
            shift = ops.cast(ops.stack([left, top]), "float32")
            shift = ops.broadcast_to(shift, (ops.shape(images)[0], 2))
            return fitted / 255.0, ops.concatenate([ops.ones_like(shift) * float(scale), shift], axis=-1)
        sizes = ops.cast(sizes, "float32")
        ratio, left, top = affine.fixed_fit(sizes[:, 0], sizes[:, 1], (self.card.height, self.card.width), whole)
        fit = ops.stack([ratio, ratio, left, top], axis=-1)
        fitted = preprocess.warp(images, fit, (self.card.height, self.card.width)) / 255.0
        return fitted, fit * ops.convert_to_tensor([float(scale), float(scale), 1.0, 1.0])

    def answer(self, fitted: Any) -> dict[str, Any]:
        """Maps of inputs as `fit_images` makes them: {head: [B, h/4, w/4, channels]} without activation."""
        inputs = preprocess.normalize(fitted, self.card.normalization)
        outputs = self.network(flip.both_sides(inputs) if self.options.flip else inputs, training=False)
        last = {name: maps[-1] for name, maps in outputs.items()}
        return flip.join_sides(last, self.tasks.heads) if self.options.flip else last

    def find(self, maps: dict[str, Any], fit: Any) -> dict[str, Any]:
        """Maps of `answer` to {field: [B, K, ...]}, boxes in pixels of what `fit` [B, 4] was fitted from."""
        found = self.tasks.decode({name: [values] for name, values in maps.items()})
        scale, shift = fit[:, None, :2], fit[:, None, 2:]
        fields = {field.name: field for field in self.tasks.fields}
        return {name: _move_back(value, fields.get(name), scale, shift) for name, value in found.items()}

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"images", "sizes"} as in `fit_images` to {field: [B, K, ...]}, boxes in pixels of each image."""
        parts = []
        for scale in self.options.fractions:
            fitted, fit = self.fit_images(inputs["images"], inputs["sizes"], scale)
            parts.append(self.find(self.answer(fitted), fit))
        if not self.options.merges:
            return parts[0]
        found = {name: ops.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        return soft_nms.keep_best(found, parts[0]["scores"].shape[1], self.options.stale_rows)


class WindowGraph(DetectorGraph):
    """One window of a larger picture in, the objects of its core out, in its pixels; see `test_time.tiles`."""

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"images" [B, h, w, 3] uint8, "cores" [B, 4] int32, "corners" [B, 2] float32} to {field: [B, K, ...]}."""
        maps = self.answer(ops.cast(inputs["images"], "float32") / 255.0)
        maps["heatmap"] = tiles.only_core(maps["heatmap"], inputs["cores"])
        corners = inputs["corners"]
        return self.find(maps, ops.concatenate([ops.ones_like(corners), -corners], axis=-1))


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
        options: What it does beyond one pass over each picture; see `with_options`.

    Attributes:
        network: Call it with normalised images [B, H, W, 3], sides multiples of the stride, for its raw maps without
            activation.
        card: Everything the model file says.
        options: What it does beyond one pass.
        halo: Margin of its tiles in pixels.
    """

    def __init__(self, network: keras.Model, card: ModelCard, options: Options | None = None):
        self.options = (options or Options()).checked()
        if self.options.tile:
            card = card.model_copy(update={"input": card.input.resized(None)})
        self.network = network
        self.card = card
        self.tasks = card.task_set()
        graph = WindowGraph if self.options.tile else DetectorGraph
        self.graph = graph(network, self.tasks, card.input, self.options)
        self.halo = self._find_halo() if self.options.tile else 0

    @property
    def limit(self) -> int:
        """Most objects of one image."""
        return self.card.max_objects

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
        if size and self.options.tile:
            raise UsageError("Tiles keep the resolution of a picture, so the input has no other size. Leave out one.")
        card = self.card.model_copy(update={"input": self.card.input.resized(size)})
        return Detector(self.network, card, self.options)

    def with_options(self, **options: Any) -> "Detector":
        """The same network with more work for each picture.

        Args:
            options: Fields of `test_time.options.Options` and their values, such as flip=True, scales=(0.5, 1, 1.5),
                nms=True, or tile=(1024, 1024), which also keeps the resolution. Those left out are off.

        Raises:
            UsageError: Unknown, senseless, or they exclude each other.
        """
        known = [field.name for field in dataclasses.fields(Options)]
        for name in options:
            if name not in known:
                raise UsageError(f"Unknown option {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
        return Detector(self.network, self.card, Options(**options))

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

    def _find_halo(self) -> int:
        """Margin of the tiles in pixels, a multiple of the stride; warns where no margin makes them exact."""
        stride, wanted = self.card.input.stride, self.options.halo
        if wanted is not None:
            return -(-wanted // stride) * stride
        field = receptive_field(self.network)
        if field is None:
            raise UsageError("How far this network looks cannot be read off its layers. Give halo in pixels.")
        if field.beyond:
            kinds = ", ".join(f"{count} {kind}" for kind, count in field.beyond.items())
            warnings.warn(
                f"{self.card.backbone}: tiles only come near to one pass over the whole picture, for some layers look "
                f"further than any margin ({kinds}). Give a larger tile to come nearer.",
                stacklevel=4,
            )
        return field.halo(stride)

    def _search(self, images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """{field: [B, K, ...]} of a batch."""
        if not self.options.tile:
            return self.graph.predict_on_batch(self._pack(images))
        found = []
        for image in images:
            windows = tiles.cut_all(image, self.options.tile, self.halo, self.card.input.stride)
            found.append(tiles.best_of(map(self.graph.predict_on_batch, windows), self.card.max_objects))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _run(self, images: Sequence[np.ndarray], threshold: float) -> Iterable[Detections]:
        found = self._search(images)
        if not (np.isfinite(found["scores"]).all() and np.isfinite(found["boxes"]).all()):
            # A score that is NaN is above no threshold, so it would pass for an empty image.
            raise DataError("The network answers NaN or infinite numbers: its training diverged. Use another model.")
        for row, image in enumerate(images):
            kept = found["scores"][row] > threshold
            fields = {name: value[row][kept] for name, value in found.items()}
            boxes, scores, classes = (fields.pop(name) for name in ("boxes", "scores", "classes"))
            yield Detections(boxes, scores, classes, self.names, image.shape[1::-1], fields, self.card.skeleton)


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
