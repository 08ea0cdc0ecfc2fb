"""Pixels to what a network eats, in graph form: warp, colour, normalise; the same for training and inference."""

import dataclasses
from typing import Any, Literal

from keras import ops

# Statistics of COCO's pixels in 0..1, in the order blue, green, red (official code, `datasets/dataset/coco.py`).
COCO_MEAN = (0.40789654, 0.44719302, 0.47026115)
COCO_STD = (0.28863828, 0.27408164, 0.27809835)

# How pixels of an image become those of a fixed input, see `RESAMPLES`.
Resample = Literal["bilinear", "area"]

# Blue, green, red weights of OpenCV's grey.
GREY = (0.114, 0.587, 0.299)


@dataclasses.dataclass(frozen=True)
class Normalization:
    """(pixel / 255 - mean) / std, in the network's own channel order.

    Attributes:
        mean: Per channel, in 0..1.
        std: Per channel, in 0..1.
        order: "bgr" as the official weights want, or "rgb".
    """

    mean: tuple[float, float, float] = COCO_MEAN
    std: tuple[float, float, float] = COCO_STD
    order: str = "bgr"


def _taps(scale: Any, shift: Any, length: int, source: Any) -> list[tuple[Any, Any]]:
    """Two source pixels for each target pixel along one axis, and their weights; outside pixels weigh nothing."""
    position = (ops.arange(length, dtype="float32") - shift[:, None]) / scale[:, None]  # [B, length]
    first = ops.floor(position)
    pairs = []
    for pixel, weight in ((first, first + 1 - position), (first + 1, position - first)):
        pixel = ops.cast(ops.clip(pixel, -1, ops.cast(source, "float32")), "int32")
        inside = ops.cast(ops.logical_and(pixel >= 0, pixel < source), "float32")
        pairs.append((ops.clip(pixel, 0, source - 1), weight * inside))
    return pairs


def _resample(images: Any, rows: list[tuple[Any, Any]], columns: list[tuple[Any, Any]]) -> Any:
    """[B, H, W, C] at pairs of source pixels and weights for each target row [B, h] and column [B, w]: [B, h, w, C]."""
    batch, height, width, channels = ops.shape(images)
    image = ops.arange(batch, dtype="int32")[:, None]
    flat = ops.reshape(images, (-1, width * channels))
    lines = sum(
        ops.cast(ops.take(flat, image * height + row, axis=0), "float32") * weight[..., None] for row, weight in rows
    )  # [B, h, W * C]
    flat = ops.reshape(lines, (-1, channels))
    length = ops.shape(lines)[1]
    start = ops.reshape(ops.arange(batch * length, dtype="int32") * width, (batch, length, 1))
    return sum(ops.take(flat, start + column[:, None], axis=0) * weight[:, None, :, None] for column, weight in columns)


def warp(images: Any, fit: Any, size: tuple[Any, Any], fill: float = 0.0, sizes: Any = None) -> Any:
    """Scales, mirrors and shifts images, bilinear, black or of another grey outside.

    Without rotation the two axes are separate, so an image costs two reads per axis and pixel; what OpenCV's
    `warpAffine` does with the same matrix, without its rounding.

    Args:
        images: [B, H, W, 3] any type.
        fit: [B, 4] float32: scale x, scale y, shift x, shift y in pixels: target = scale * source + shift. A negative
            scale mirrors.
        size: Height h and width w of the target in pixels.
        fill: Grey level outside.
        sizes: [B, 2] int32 height and width of each image, where it is smaller than H x W and black beyond; only a fill
            other than black asks for them.

    Returns:
        [B, h, w, 3] float32 in the range of the images.
    """
    _, height, width, _ = ops.shape(images)
    if fill:
        if sizes is not None:
            height, width = sizes[:, :1], sizes[:, 1:]
        images = ops.cast(images, "float32") - fill
    rows = _taps(fit[:, 1], fit[:, 3], size[0], height)
    warped = _resample(images, rows, _taps(fit[:, 0], fit[:, 2], size[1], width))
    return warped + fill if fill else warped


def _resize_taps(sides: Any, targets: Any, length: Any) -> list[tuple[Any, Any]]:
    """As `_taps`, for pixels whose centres lie at half numbers, and a border that goes on."""
    ratio = ops.cast(sides, "float32") / ops.cast(targets, "float32")
    position = (ops.arange(length, dtype="float32") + 0.5) * ratio[:, None] - 0.5
    last = ops.cast(sides, "float32")[:, None] - 1
    position = ops.clip(position, 0.0, last)
    first = ops.floor(position)
    inside = ops.cast(ops.arange(length, dtype="int32") < targets[:, None], "float32")
    second = ops.minimum(first + 1, last)
    pairs = ((first, first + 1 - position), (second, position - first))
    return [(ops.cast(pixel, "int32"), weight * inside) for pixel, weight in pairs]


def resize(images: Any, sizes: Any, targets: Any, canvas: tuple[Any, Any]) -> Any:
    """Scales images to sizes of their own, bilinear; what OpenCV's `resize` does, without its rounding.

    Unlike `warp`, it maps the images' outlines onto each other, not the centres of their first pixels.

    Args:
        images: [B, H, W, 3] any type, each in the upper left corner.
        sizes: [B, 2] int32 height and width of each image.
        targets: [B, 2] int32 wanted height and width, at least 1.
        canvas: Height h and width w in pixels that hold all targets.

    Returns:
        [B, h, w, 3] float32 in the range of the images, black beyond each target.
    """
    rows = _resize_taps(sizes[:, 0], targets[:, 0], canvas[0])
    return _resample(images, rows, _resize_taps(sizes[:, 1], targets[:, 1], canvas[1]))


def letterbox(images: Any, fit: Any, size: tuple[int, int], fill: float = 0.0, sizes: Any = None) -> Any:
    """Fits images into an input as FairMOT does: by OpenCV's `INTER_AREA`, on whole pixels, in whole grey levels.

    Where an image shrinks, a pixel is the mean of what it covers; where it grows, OpenCV interpolates, with weights of
    its own. `warp` with `affine.fixed_fit` shows the same within a pixel, but reads four pixels however many there are.

    Args:
        images: [B, H, W, 3] any type.
        fit: [B, 4] float32 as `warp` takes it. Only the scale counts: it is centred by whole pixels.
        size: Height h and width w of the input in pixels.
        fill: Grey level around the image; a half is rounded to the even level, as all are.
        sizes: [B, 2] int32 height and width of each image, where it is smaller than H x W.

    Returns:
        [B, h, w, 3] float32 in whole numbers of the range of the images.
    """
    _, height, width, _ = ops.shape(images)
    sides = ops.cast(ops.convert_to_tensor([[height, width]]) if sizes is None else sizes, "float32")
    targets = ops.maximum(ops.round(sides * fit[:, 1::-1]), 1.0)
    starts = ops.round((ops.convert_to_tensor(size, "float32") - targets) / 2 - 0.1)
    shrinks = ops.all(sides >= targets, axis=-1)[:, None]
    places = [ops.arange(length, dtype="float32") - starts[:, axis, None] for axis, length in enumerate(size)]
    rows, columns = (_AreaTaps(places[axis], sides[:, axis, None], targets[:, axis, None], shrinks) for axis in (0, 1))
    fitted = _resample_area(images, rows, columns, size)
    # Where it halves, OpenCV rounds a half up, elsewhere to the even level.
    halves = ops.cast(ops.all(ops.equal(sides, 2 * targets), axis=-1), "float32")[:, None, None, None]
    inside = ops.logical_and(rows.inside[:, :, None], columns.inside[:, None])[..., None]
    return ops.round(ops.where(inside, fitted + halves / 8, fill))


class _AreaTaps:
    """What OpenCV's `INTER_AREA` reads along one axis.

    Args:
        place: [B, length] target pixels, from 0 where the image begins.
        side: [B, 1] length of the image.
        target: [B, 1] length that it gets.
        shrinks: [B, 1] whether neither of its axes grows.
    """

    def __init__(self, place: Any, side: Any, target: Any, shrinks: Any):
        self.inside = ops.logical_and(place >= 0, place < target)
        self.side, self.shrinks = side, shrinks
        place = ops.clip(place, 0.0, target - 1)
        # Products before quotients, so that neighbours agree on where one ends and the other begins.
        self.start, self.end = place * side / target, ops.minimum((place + 1) * side / target, side)
        self.first = ops.minimum(ops.floor(self.start), side - 1)
        # Growing, a pixel that begins in a source pixel and ends in the next has the part of the next that it reaches.
        beyond = (place + 1) - (self.first + 1) * target / side
        self.part = ops.where(self.first < side - 1, ops.maximum(beyond - ops.floor(beyond), 0.0), 0.0)
        self.part = ops.where(beyond > 0, self.part, 0.0)
        self.count = ops.cast(ops.max(ops.ceil(side / target)), "int32") + 1

    def total(self, read: Any, shape: tuple[Any, ...]) -> Any:
        """The sum of read(source pixels [B, length] int32, their weights [B, length]) of the shape, tap after tap."""

        def add(tap: Any, total: Any) -> Any:
            tap = ops.cast(tap, "float32")
            pixel = self.first + tap
            covered = ops.minimum(self.end, pixel + 1) - ops.maximum(self.start, pixel)
            mean = ops.maximum(covered, 0.0) / (self.end - self.start)
            between = ops.where(tap == 0, 1 - self.part, ops.where(tap == 1, self.part, 0.0))
            weight = ops.where(self.shrinks, mean, between)
            return total + read(ops.cast(ops.minimum(pixel, self.side - 1), "int32"), weight)

        return ops.fori_loop(0, self.count, add, ops.zeros(shape, "float32"))


def _resample_area(images: Any, rows: _AreaTaps, columns: _AreaTaps, size: tuple[int, int]) -> Any:
    """As `_resample`, of however many source pixels: [B, h, w, C] float32."""
    batch, height, width, channels = ops.shape(images)
    image = ops.arange(batch, dtype="int32")[:, None]
    flat = ops.reshape(images, (-1, width * channels))
    lines = rows.total(
        lambda row, weight: ops.cast(ops.take(flat, image * height + row, axis=0), "float32") * weight[..., None],
        (batch, size[0], width * channels),
    )
    pixels = ops.reshape(lines, (-1, channels))
    start = ops.reshape(ops.arange(batch * size[0], dtype="int32") * width, (batch, size[0], 1))
    return columns.total(
        lambda column, weight: ops.take(pixels, start + column[:, None], axis=0) * weight[:, None, :, None],
        (batch, size[0], size[1], channels),
    )


RESAMPLES = {"bilinear": warp, "area": letterbox}


def _pictures(images: Any) -> list[Any]:
    """The pictures [..., 3] that stand one behind the other."""
    return [images[..., start : start + 3] for start in range(0, images.shape[-1], 3)]


def recolor(images: Any, color: Any) -> Any:
    """Brightness, contrast, saturation and lighting, folded by the input pipeline into six numbers an image.

    Args:
        images: [B, h, w, 3] float32 RGB in 0..1, or several pictures, one behind the other in 3 S channels.
        color: [B, 6] float32: factors of the image, of its mean grey and of its grey, then what is added to red, green
            and blue. (1, 0, 0, 0, 0, 0) changes nothing.

    Returns:
        [B, h, w, 3] float32, not clipped, as in the original.
    """
    if images.shape[-1] > 3:
        return ops.concatenate([recolor(one, color) for one in _pictures(images)], axis=-1)
    color = color[:, None, None]
    grey = ops.sum(images * ops.convert_to_tensor(GREY[::-1], "float32"), axis=-1, keepdims=True)
    mean = ops.mean(grey, axis=(1, 2), keepdims=True)
    return images * color[..., :1] + mean * color[..., 1:2] + grey * color[..., 2:3] + color[..., 3:]


def normalize(images: Any, normalization: Normalization) -> Any:
    """Makes a network's input.

    Args:
        images: [..., h, w, 3] float32 RGB in 0..1. Black borders are black here, so they do not become 0. Or several
            pictures, one behind the other in 3 S channels.
        normalization: The network's.

    Returns:
        [..., h, w, 3] float32, each picture in the network's channel order.
    """
    if images.shape[-1] > 3:
        return ops.concatenate([normalize(one, normalization) for one in _pictures(images)], axis=-1)
    if normalization.order == "bgr":
        images = ops.flip(images, axis=-1)
    mean = ops.convert_to_tensor(normalization.mean, "float32")
    return (images - mean) / ops.convert_to_tensor(normalization.std, "float32")
