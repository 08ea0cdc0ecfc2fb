"""From pixels to objects in one graph: fit to the input, network, decode and the way back to the image."""

import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import keras
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector import flip, scales, soft_nms, tiles
from centernet_tf.detector.compiled import by_xla, on_device
from centernet_tf.detector.frames import FITTED
from centernet_tf.detector.options import Options
from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.model.card import InputCard
from centernet_tf.model.cells import LAST, at_cells
from centernet_tf.model.network import as_argument
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task_set import MOVING, TaskSet

# What a graph that `looks` answers beside the objects: its input [B, h, w, 3] in 0..1, and the heatmap [B, h/4, w/4, C]
# in 0..1 that the objects were found in, of scale 1 where there are several.
SEEN, HEATMAP = "seen by the network", "heatmap of the centers"


class DetectorGraph(keras.Model):
    """Images of any size in, objects in their pixels out; what every export contains.

    Args:
        network: From normalised images to {head: [map per stack]}.
        tasks: How its maps are decoded.
        card: How an image becomes its input.
        options: Flip test, several scales, soft-NMS.
        looks: Answer `SEEN` and `HEATMAP` too.
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: TaskSet,
        card: InputCard,
        options: Options | None = None,
        looks: bool = False,
    ):
        super().__init__(name="detector", dtype="float32")
        self.network = network
        self.tasks = tasks
        self.card = card
        self.options = options or Options()
        self.looks = looks
        self._at_cells = at_cells(network, tasks.heads, LAST)
        self._whole = functools.partial(network, training=False)
        if self.options.xla:
            if any(len(wanted.frames) > 1 for wanted in tasks.inputs.values()):
                raise UsageError("xla compiles networks of single images; this one sees clips. Leave it out.")
            self._at_cells, self._whole = by_xla(self._at_cells), by_xla(self._whole)
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
        whole = ops.cast(sizes, "float32")
        side = affine.window_side(whole[:, 0], whole[:, 1], self.tasks.window, (self.card.height, self.card.width))
        images, sizes = scales.rescale(images, sizes, scale)
        if self.card.mode == "keep":
            _, height, width, _ = ops.shape(images)
            padded = affine.kept_size(height, width, self.card.stride)
            _, left, top = affine.kept_fit(height, width, self.card.stride)
            margins = ((0, 0), (top, padded[0] - height - top), (left, padded[1] - width - left), (0, 0))
            fill = self.card.fill
            # Grey levels need not be whole; with black, bytes are padded, in a quarter of the memory.
            images = ops.cast(images, "float32") if fill else images
            fitted = ops.cast(ops.pad(images, margins, constant_values=fill or 0), "float32")
            shift = ops.cast(ops.stack([left, top]), "float32")
            shift = ops.broadcast_to(shift, (ops.shape(images)[0], 2))
            return fitted / 255.0, ops.concatenate([ops.ones_like(shift) * float(scale), shift], axis=-1)
        if self.tasks.window == "stretched":
            return self._stretch(images, sizes, scale)
        sizes = ops.cast(sizes, "float32")
        ratio, left, top = affine.fixed_fit(sizes[:, 0], sizes[:, 1], (self.card.height, self.card.width), side)
        fit = ops.stack([ratio, ratio, left, top], axis=-1)
        target, whole = (self.card.height, self.card.width), ops.cast(sizes, "int32")
        fitted = preprocess.RESAMPLES[self.card.resample](images, fit, target, self.card.fill, whole)
        return fitted / 255.0, fit * ops.convert_to_tensor([float(scale), float(scale), 1.0, 1.0])

    def _stretch(self, images: Any, sizes: Any, scale: Fraction) -> tuple[Any, Any]:
        """`fit_images` where all of an image fills all of the input, outline on outline; at other scales its middle."""
        target = (self.card.height, self.card.width)
        if self.card.resample != "bilinear":
            raise UsageError(f"resample: images are stretched here, without {self.card.resample!r}. Leave it out.")
        if scale != 1:
            raise UsageError("Images are stretched into the input here, so they have no scale. Leave scales out.")
        wanted = ops.broadcast_to(ops.convert_to_tensor(target, "int32"), ops.shape(sizes))
        fitted = preprocess.resize(images, sizes, wanted, target) / 255.0
        ratio = ops.convert_to_tensor(target, "float32") / ops.cast(sizes, "float32")
        fit = ops.stack([ratio[:, 1], ratio[:, 0]], axis=-1)
        return fitted, ops.concatenate([fit, ops.zeros_like(fit)], axis=-1)

    def show(self, inputs: Mapping[str, Any], scale: Fraction = Fraction(1)) -> tuple[dict[str, Any], Any]:
        """Makes everything that the network sees.

        Args:
            inputs: "images" and "sizes" as in `fit_images`; other frames by the name of the input that shows them, [B,
                H, W, 3 S] or clips [B, T, H, W, 3 S] of the same sizes, or `frames.FITTED` in their place; "rows"
                {field: [B, N, ...]} and "valid" among them, in pixels of the images, where an input is drawn.
            scale: As in `fit_images`.

        Returns:
            {input: [B, h, w, channels], or [B, T, h, w, channels] of clips}, images normalised; and the fit of the
            images.
        """
        # Where the pixels were fitted before, only the fit is read, and what is compiled leaves the rest out.
        fitted, fit = self.fit_images(inputs["images"], inputs["sizes"], scale)
        before = inputs[FITTED][self.options.fractions.index(scale)] if FITTED in inputs else {}
        shown = {}
        for name, wanted in self.tasks.inputs.items():
            if wanted.draw is not None:
                shown[name] = wanted.draw(self._fit_rows(inputs["rows"], fit), tuple(ops.shape(fitted)[1:3]))
            elif name in before:
                shown[name] = before[name]
            else:
                frames = self._fit_frames(inputs[name], inputs["sizes"], scale) if name in inputs else fitted
                shown[name] = preprocess.normalize(frames, self.card.normalization)
        return shown, fit

    def _fit_frames(self, frames: Any, sizes: Any, scale: Fraction) -> Any:
        """`fit_images` of other frames, or of every frame of clips."""
        if len(frames.shape) == 4:
            return self.fit_images(frames, sizes, scale)[0]
        _, count, height, width, channels = ops.shape(frames)
        folded = ops.reshape(frames, (-1, height, width, channels))
        fitted, _ = self.fit_images(folded, ops.repeat(sizes, count, axis=0), scale)
        return ops.reshape(fitted, (-1, count, *ops.shape(fitted)[1:]))

    def _fit_rows(self, rows: Mapping[str, Any], fit: Any) -> dict[str, Any]:
        """Rows in pixels of the images to rows in pixels of the network's input."""
        motions = {**{field.name: field.motion for field in self.tasks.fields}, **self.tasks.motions}
        scale, shift = fit[:, None, :2], fit[:, None, 2:]
        return {name: _move_there(value, motions.get(name), scale, shift) for name, value in rows.items()}

    def answer(self, shown: Any) -> dict[str, Any]:
        """What the network makes of what it sees.

        Args:
            shown: As `show` makes it, or the images alone as `fit_images` makes them, not normalised.

        Returns:
            {head: [B, h/4, w/4, channels]} without activation, or what `losses.gather_cells` takes instead.
        """
        alone = not isinstance(shown, Mapping)
        inputs = {"image": preprocess.normalize(shown, self.card.normalization)} if alone else shown
        if self.options.flip:
            wanted, colors = self.tasks.inputs, self.card.normalization
            inputs = {name: flip.both_sides(value, wanted[name], colors) for name, value in inputs.items()}
        if self.options.flip:  # Maps are joined whole.
            outputs = self._whole(as_argument(inputs))
            return flip.join_sides({name: maps[-1] for name, maps in outputs.items()}, self.tasks.heads)
        return {name: maps[-1] for name, maps in self._at_cells(as_argument(inputs)).items()}

    def find(self, maps: dict[str, Any], fit: Any, extras: Mapping[str, Any], points: Any = None) -> dict[str, Any]:
        """Maps to objects.

        Args:
            maps: What `answer` returned.
            fit: [B, 4] as `fit_images` returns it.
            extras: {name: [B, ...]} that the tasks take, of what the maps' input was fitted from.
            points: [B, P, 2] (x, y) in pixels of what was fitted: what is there, in this order, instead of the best of
                all. The nearest cell stands for a point beyond the map.

        Returns:
            {field: [B, K, ...]}, boxes and points in pixels of what was fitted.
        """
        scale, shift = fit[:, None, :2], fit[:, None, 2:]
        cells = None if points is None else _cells(points * scale + shift, ops.shape(maps["heatmap"])[1:3])
        found = self.tasks.decode({name: [values] for name, values in maps.items()}, cells)
        motions = self.tasks.motions
        found = {name: _move_back(value, motions.get(name), scale, shift) for name, value in found.items()}
        if self.tasks.shifted_sizes and "boxes" in found:
            found["boxes"] = affine.with_sides_added(found["boxes"], -shift / scale)
        return self.tasks.place(found, extras)

    def cut(self, found: dict[str, Any], sizes: Any) -> dict[str, Any]:
        """Boxes cut to their images, where a task says so.

        Args:
            found: {field: [B, K, ...]}, boxes in pixels of the images.
            sizes: [B, 2] height and width of each image.
        """
        if not self.tasks.clipped:
            return found
        last = ops.cast(sizes, "float32")[:, ::-1] - 1
        moved = {}
        for name, motion in self.tasks.motions.items():
            if motion == "boxes" and name in found:
                limit = ops.concatenate([last, last], axis=-1)
                limit = ops.reshape(limit, (-1, *(1 for _ in found[name].shape[1:-1]), 4))
                moved[name] = ops.minimum(ops.maximum(found[name], 0.0), limit)
        return {**found, **moved}

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What `show` takes, and "name" [B, ...] of each extra, to {field: [B, K, ...]}.

        Boxes are in pixels of each image, as extras are.
        """
        extras = {extra.name: inputs[extra.name] for extra in self.tasks.extras}
        fractions, parts, looks = self.options.fractions, [], {}
        looked = Fraction(1) if Fraction(1) in fractions else fractions[0]
        for scale in fractions:
            shown, fit = self.show(inputs, scale)
            maps = self.answer(shown)
            parts.append(self.cut(self.find(maps, fit, extras), inputs["sizes"]))
            if self.looks and scale == looked:
                looks = _look(self.fit_images(inputs["images"], inputs["sizes"], scale)[0], maps)
        if not self.options.merges:
            return {**parts[0], **looks}
        found = {name: ops.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        return {**soft_nms.keep_best(found, parts[0]["scores"].shape[1], self.options.stale_rows), **looks}


class PointGraph(DetectorGraph):
    """Images and points in them in, what is at these points out."""

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What `DetectorGraph` takes, and "points" [B, P, 2] (x, y) in pixels of each image, to {field: [B, P, ...]}.

        Rows are in the order of the points; "class_scores" [B, P, C] is among them.
        """
        extras = {extra.name: inputs[extra.name] for extra in self.tasks.extras}
        shown, fit = self.show(inputs)
        return self.cut(self.find(self.answer(shown), fit, extras, inputs["points"]), inputs["sizes"])


class FrameGraph(DetectorGraph):
    """One frame of a video in, what the network sees of it out, for those that it sees more than once; see `frames`."""

    def call(self, inputs: dict[str, Any]) -> list[Any]:
        """{"images" [1, H, W, 3] uint8, "sizes" [1, 2] int32} to what is seen, [1, h, w, 3] normalised, per scale."""
        images, sizes = inputs["images"], inputs["sizes"]
        fitted = [self.fit_images(images, sizes, scale)[0] for scale in self.options.fractions]
        return [preprocess.normalize(seen, self.card.normalization) for seen in fitted]

    def fit(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What `call` takes, and `frames.FITTED`, what it answers; all of it tensors."""
        return {**keras.tree.map_structure(ops.convert_to_tensor, inputs), FITTED: on_device(self, inputs)}


class WindowGraph(DetectorGraph):
    """One window of a larger image in, the objects of its core out, in its pixels; see `detector.tiles`."""

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"images" [B, h, w, 3] uint8, "cores" [B, 4] int32, "corners" [B, 2] float32} to {field: [B, K, ...]}."""
        seen = ops.cast(inputs["images"], "float32") / 255.0
        maps = self.answer(seen)
        looks = _look(seen, maps) if self.looks else {}
        maps["heatmap"] = tiles.only_core(maps["heatmap"], inputs["cores"])
        corners = inputs["corners"]
        return {**self.find(maps, ops.concatenate([ops.ones_like(corners), -corners], axis=-1), {}), **looks}


def _cells(points: Any, grid: tuple[Any, Any]) -> Any:
    """[B, P] int32 (y * w + x) of points [B, P, 2] in pixels of the network's input."""
    height, width = grid
    column, row = (ops.cast(ops.floor(points[..., axis] / STRIDE), "int32") for axis in (0, 1))
    return ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)


def _look(seen: Any, maps: Mapping[str, Any]) -> dict[str, Any]:
    return {SEEN: seen, HEATMAP: ops.sigmoid(ops.cast(maps["heatmap"], "float32"))}


def _move_back(value: Any, motion: str | None, scale: Any, shift: Any) -> Any:
    """Cells of the output grid to pixels of the image, for fields [B, K, ..., 2 n] that move with it."""
    if motion is None:
        return value
    shape = ops.shape(value)
    points = ops.reshape(value, (shape[0], -1, 2)) * STRIDE
    if motion != "vectors":
        points = points - shift
    return ops.reshape(points / scale, shape)


def _move_there(value: Any, motion: str | None, scale: Any, shift: Any) -> Any:
    """Pixels of the image to pixels of the network's input, for fields [B, N, ..., 2 n] that move with it."""
    if motion not in MOVING:
        return value
    shape = ops.shape(value)
    points = ops.reshape(ops.cast(value, "float32"), (shape[0], -1, 2)) * scale
    return ops.reshape(points if motion == "vectors" else points + shift, shape)
