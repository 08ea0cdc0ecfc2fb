"""Pixels of a sample on the host, as steps of a stream: decoded, recoloured, fitted or stretched, erased."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import tensorflow as tf

from centernet_tf.data.augment import Augmentation, recolored
from centernet_tf.data.distorted import distorted
from centernet_tf.data.erased import erased
from centernet_tf.data.example import ENCODED, FILENAME, SOURCE_ID, spec
from centernet_tf.data.fitted import letterboxed
from centernet_tf.data.stretched import stretched
from centernet_tf.points.task import Input
from centernet_tf.preprocess import Resample
from centernet_tf.properties.property import Property


def decoded(
    records: Sequence[tf.Tensor], properties: Sequence[Property]
) -> tuple[list[tf.Tensor], list[dict[str, tf.Tensor]]]:
    """Images [H, W, 3] uint8 RGB of serialized records, and their other lists by key, without names."""
    lists = [tf.io.parse_single_example(one, spec(properties)) for one in records]
    images = [tf.io.decode_image(one.pop(ENCODED)[0], channels=3, expand_animations=False) for one in lists]
    for one in lists:
        for key in (FILENAME, SOURCE_ID):
            del one[key]
    return images, lists


def with_colors(
    images: Sequence[tf.Tensor], augment: Augmentation | None, vivid: tf.Tensor, distortion: tf.Tensor
) -> list[tf.Tensor]:
    """Images [H, W, 3] uint8 with the colours that `Sample.vivid` and `Sample.distortion` say; distorted ones float."""
    changed = list(images)
    if augment is not None and (augment.hsv_saturation or augment.hsv_value):
        changed = [tf.numpy_function(recolored, [image, vivid], tf.uint8, stateful=False) for image in changed]
    if augment is not None and augment.distort_probability:
        changed = [tf.numpy_function(distorted, [image, distortion], tf.float32, stateful=False) for image in changed]
    return changed


def side_by_side(pictures: Mapping[int, tf.Tensor], inputs: Mapping[str, Input]) -> dict[str, tf.Tensor]:
    """What the network sees of one sample.

    Args:
        pictures: {number of a frame from the present one: [h, w, 3]}.
        inputs: Of the network; those that are drawn are left out.

    Returns:
        {input: [h, w, 3 S], or [T, h, w, 3 S] of clips}, S pictures one behind the other in the channels.
    """
    made = {}
    for name, wanted in inputs.items():
        if wanted.draw is None:
            seen = [pictures[number] for number in wanted.pictures]
            groups = [seen[start : start + wanted.stacked] for start in range(0, len(seen), wanted.stacked)]
            frames = [tf.concat(group, axis=-1) if len(group) > 1 else group[0] for group in groups]
            made[name] = tf.stack(frames) if len(frames) > 1 else frames[0]
    return made


def warped(
    image: tf.Tensor, matrix: tf.Tensor, size: tuple[int, int], fill: float, resample: Resample = "bilinear"
) -> tf.Tensor:
    """The input [h, w, 3] of the image's type; OpenCV's warp is six times as fast as TensorFlow's operator."""

    def warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        border = (fill,) * 3
        if resample == "area":
            pixels, matrix = letterboxed(pixels, matrix, size, fill)
        return cv2.warpAffine(pixels, matrix.astype(np.float64), size[::-1], flags=cv2.INTER_LINEAR, borderValue=border)

    return tf.ensure_shape(tf.numpy_function(warp, [image, matrix], image.dtype, stateful=False), (*size, 3))


def stretched_image(
    image: tf.Tensor, matrix: tf.Tensor, size: tuple[int, int], color: Sequence[float], directed: bool
) -> tf.Tensor:
    """The input [h, w, 3] float32, not rounded; arguments as of `stretched.stretched`."""

    def stretch(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return stretched(pixels, matrix, size, color, directed)

    return tf.ensure_shape(tf.numpy_function(stretch, [image, matrix], tf.float32, stateful=False), (*size, 3))


def with_hole(image: tf.Tensor, chance: tf.Tensor, areas: tuple[float, float], seed: Sequence[tf.Tensor]) -> tf.Tensor:
    """The input [h, w, 3], with this chance after `erased.erased`; seed, epoch and place decide."""

    def erase(pixels: np.ndarray, chance: float, *numbers: int) -> np.ndarray:
        # One number more than the sample's own, which would repeat its chance.
        return erased(pixels, np.random.default_rng([*numbers, 1]), chance, areas)

    return tf.ensure_shape(tf.numpy_function(erase, [image, chance, *seed], image.dtype, stateful=False), image.shape)
