"""From pixels to objects in one graph: fit to the input, network, decode and the way back to the image."""

from fractions import Fraction
from typing import Any

import keras
from keras import ops

from centernet_tf import preprocess
from centernet_tf.centers import STRIDE
from centernet_tf.geometry import affine
from centernet_tf.model_file import InputCard
from centernet_tf.task import TaskSet
from centernet_tf.test_time import flip, scales, soft_nms, tiles
from centernet_tf.test_time.options import Options


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

    def find(self, maps: dict[str, Any], fit: Any, cameras: Any = None) -> dict[str, Any]:
        """Maps of `answer` to {field: [B, K, ...]}, boxes in pixels of what `fit` [B, 4] was fitted from.

        Tasks that place objects need the cameras [B, 3, 4] of what it was fitted from.
        """
        found = self.tasks.decode({name: [values] for name, values in maps.items()})
        scale, shift = fit[:, None, :2], fit[:, None, 2:]
        motions = self.tasks.motions
        found = {name: _move_back(value, motions.get(name), scale, shift) for name, value in found.items()}
        return self.tasks.place(found, cameras) if self.tasks.placed else found

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"images", "sizes"} as in `fit_images` to {field: [B, K, ...]}, boxes in pixels of each image.

        Tasks that place objects take "cameras" [B, 3, 4] of the images too.
        """
        parts = []
        for scale in self.options.fractions:
            fitted, fit = self.fit_images(inputs["images"], inputs["sizes"], scale)
            parts.append(self.find(self.answer(fitted), fit, inputs.get("cameras")))
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


def _move_back(value: Any, motion: str | None, scale: Any, shift: Any) -> Any:
    """Cells of the output grid to pixels of the image, for fields [B, K, ..., 2 n] that move with it."""
    if motion is None:
        return value
    shape = ops.shape(value)
    pairs = ops.reshape(value, (shape[0], -1, 2)) * STRIDE
    if motion != "vectors":
        pairs = pairs - shift
    return ops.reshape(pairs / scale, shape)
