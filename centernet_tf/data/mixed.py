"""Several images as one training image: mosaic, mixup and copy-paste, in NumPy.

Each image is cropped, scaled and mirrored as if it were alone; then it takes its place in the input. All have one
change of colour, which is made on the device, but saturation, value and distortion of their own.
"""

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from centernet_tf.data.augment import recolored
from centernet_tf.data.distorted import distorted
from centernet_tf.data.fitted import letterboxed
from centernet_tf.data.pasted import pasted
from centernet_tf.data.sample import Sampler
from centernet_tf.data.seams import OPEN, joined, within
from centernet_tf.preprocess import Resample
from centernet_tf.properties.property import Rows

Picture = tuple[np.ndarray, Rows]  # pixels [H, W, 3] uint8 RGB, and lists by key

# How near to a side of the input, as a part of it, the middle of a mosaic may be; nearer, an image would be a strip.
NEAREST = 0.25

# Both parameters of the beta distribution of how much the first of two blended images counts. 32 keeps it within 0.3
# and 0.7, so that the objects of both are seen: all are trained as if they were alone.
BLEND = 32.0


@dataclasses.dataclass(frozen=True)
class Mixer:
    """Makes one input of several images.

    Attributes:
        sampler: How objects become rows.
        fill: Grey level of what no image covers, 0 to 255.
        resample: How images are scaled.
    """

    sampler: Sampler
    fill: float
    resample: Resample

    def draw(self, name: str, random: np.random.Generator, pictures: Sequence[Picture]) -> tuple[np.ndarray, Rows]:
        """Draws everything and shows the images.

        Args:
            name: Of `MIXES`.
            random: Source of chance.
            pictures: As many as this one takes.

        Returns:
            [h, w, 3] of the network's input, uint8, or float32 where colours are distorted; and unpadded rows of the
            objects of all images in pixels of it.

        Raises:
            ValueError: The lists make no rows.
        """
        _, mix = MIXES[name]
        return mix(self, random, pictures)

    def mosaic(self, random: np.random.Generator, pictures: Sequence[Picture]) -> tuple[np.ndarray, Rows]:
        """Four images around a random middle (Bochkovskiy, Wang, Liao 2020, YOLOv4).

        Each is shown as it would be alone, but smaller, so that it just covers its quarter.
        """
        height, width = self.sampler.size
        across, down = (round(side * random.uniform(NEAREST, 1 - NEAREST)) for side in (width, height))
        image = np.empty((height, width, 3), self.dtype)
        found = []
        for (left, right), (top, bottom), picture in zip(
            [(0, across), (across, width)] * 2, [(0, down)] * 2 + [(down, height)] * 2, pictures
        ):
            place = (left, top, right, bottom)
            shown, rows = self._placed(random, picture, place)
            image[top:bottom, left:right] = shown
            found.append(within(rows, self.sampler.padded, seams(place, self.sampler.size)))
        return image, joined(found, self.sampler.padded)

    def mixup(self, random: np.random.Generator, pictures: Sequence[Picture]) -> tuple[np.ndarray, Rows]:
        """Two images blended, with the objects of both (Zhang, Cisse, Dauphin, Lopez-Paz 2018)."""
        height, width = self.sampler.size
        (first, ours), (second, theirs) = (self._placed(random, one, (0, 0, width, height)) for one in pictures)
        part = random.beta(BLEND, BLEND)
        return cv2.addWeighted(first, part, second, 1 - part, 0), joined([ours, theirs], self.sampler.padded)

    def copy_paste(self, random: np.random.Generator, pictures: Sequence[Picture]) -> tuple[np.ndarray, Rows]:
        """Some objects of the second image on the first, see `pasted`."""
        height, width = self.sampler.size
        below, above = (self._placed(random, one, (0, 0, width, height)) for one in pictures)
        return pasted(random, below, above, self.sampler.padded)

    @property
    def dtype(self) -> str:
        """Of the pixels that it gives."""
        return "float32" if self.sampler.augment.distort_probability else "uint8"

    def _placed(
        self, random: np.random.Generator, picture: Picture, place: tuple[int, int, int, int]
    ) -> tuple[np.ndarray, Rows]:
        """What one image shows in a place (left, top, right, bottom) of the input, and its rows in pixels of that."""
        pixels, lists = picture
        augment, (left, top, right, bottom) = self.sampler.augment, place
        size = int(pixels.shape[0]), int(pixels.shape[1])
        matrix, rows = self.sampler.place(random, lists, size, covering(place, self.sampler.size))
        if augment.hsv_saturation or augment.hsv_value:
            pixels = recolored(pixels, augment.vivid(random))
        if augment.distort_probability:
            pixels = distorted(pixels, augment.distortion(random))
        if self.resample == "area":
            pixels, matrix = letterboxed(pixels, matrix, self.sampler.size, self.fill)
        matrix = matrix - np.array([[0, 0, left], [0, 0, top]])
        border = (self.fill,) * 3
        return cv2.warpAffine(
            pixels, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderValue=border
        ), rows


def covering(place: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """[2, 3] float64: shrinks an input of this height and width about its middle so that it just covers a place in it.

    Args:
        place: Left, top, right, bottom in pixels of the input.
        size: Height and width of the input in pixels.
    """
    corner, far, sides = np.array(place[:2]), np.array(place[2:]), np.array(size[::-1])
    ratio = ((far - corner) / sides).max()
    return np.concatenate([np.eye(2) * ratio, ((corner + far) / 2 - ratio * sides / 2)[:, None]], axis=1)


def seams(place: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """[4] the sides of a place in an input of this height and width, infinite where they are the input's own."""
    return np.where(np.array(place) == (0, 0, *size[::-1]), OPEN, place)


# How many images each takes, the first the one whose turn it is, and how they become one.
MIXES: dict[str, tuple[int, Callable[[Mixer, np.random.Generator, Sequence[Picture]], tuple[np.ndarray, Rows]]]] = {
    "mosaic": (4, Mixer.mosaic),
    "mixup": (2, Mixer.mixup),
    "copy_paste": (2, Mixer.copy_paste),
}
