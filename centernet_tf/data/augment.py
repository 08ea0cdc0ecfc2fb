"""Random crop, scale, flip and colour of one training image, as numbers: one matrix, and one colour change.

Everything is drawn here and applied elsewhere: the matrix to the image and to every field of its objects, the colour on
the device.
"""

import dataclasses
from typing import Literal

import cv2
import numpy as np

from centernet_tf.data.distorted import PLAIN, draw_distortion
from centernet_tf.data.fitted import Shake, fitted_matrices
from centernet_tf.data.stretched import Cut, Place, draw_canvas, draw_crop
from centernet_tf.geometry import affine

Geometry = Literal["window", "fitted", "stretched"]

BORDER = 128
PLAIN_COLOR = np.array([1, 0, 0, 0, 0, 0], np.float32)

# Principal components of ImageNet's colours, rows in the order blue, green, red (official code, `utils/image.py`).
EIGENVALUES = np.array([0.2141788, 0.01817699, 0.00341571])
EIGENVECTORS = np.array(
    [
        [-0.58752847, -0.69563484, 0.41340352],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.56089297, 0.71832671, 0.41158938],
    ]
)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far a training image is changed: what `augment_settings.AugmentSettings` says, by the same names.

    Of some it says less than holds:

    Attributes:
        crop: Where the geometry is stretched, a crop overlaps with an object by at least 0.1, 0.3, 0.5, 0.7 or 0.9; who
            leaves it in any frame is left out, and boxes are clipped to it.
        shift: Where the geometry is fitted, the most along x of the input's height and along y of its width, with equal
            chance; so are angle, shear and factor.
        geometry: Where it is fitted, boxes turn with the image and are made smaller for it, see `fitted`; those that
            are too small, too long or outside then are left out.
        hsv_saturation: Of the image as it is stored; likewise `hsv_value`.
        hsv_value: See hsv_saturation.
        distort_probability: Of each change by itself, all before the geometry and never clipped, see `distorted`.
        copy_paste: See `pasted`; likewise `mixed` of mosaic and mixup, `erased` of erase, `scales` of multi_scale.
    """

    crop: bool = True
    crop_scales: tuple[float, float] = (0.6, 1.3)
    shift: float = 0.1
    scale: float = 0.4
    jitter_probability: float = 1.0
    shift_each_side: bool = False
    rotate: float = 0.0
    rotate_probability: float = 0.0
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    lighting: float = 0.1
    geometry: Geometry = "window"
    shear: float = 0.0
    scales: tuple[float, float] = (0.5, 1.2)
    hsv_saturation: float = 0.0
    hsv_value: float = 0.0
    expand: float = 4.0
    expand_probability: float = 0.5
    expand_place: Place = "corner"
    distort_probability: float = 0.0
    distort_brightness: float = 32.0
    distort_factors: tuple[float, float] = (0.5, 1.5)
    distort_hue: float = 18.0
    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.2)
    multi_scale: float = 0.0
    close_last: int = 0

    @property
    def mixes(self) -> dict[str, float]:
        """Fraction of the inputs that are made of several images, by the ways of doing so that are wanted."""
        fractions = {"mosaic": self.mosaic, "mixup": self.mixup, "copy_paste": self.copy_paste}
        return {name: fraction for name, fraction in fractions.items() if fraction}

    @property
    def fits(self) -> bool:
        """Whether images are fitted into the input first, and boxes turn with them."""
        return self.geometry == "fitted"

    @property
    def stretches(self) -> bool:
        """Whether images are cut and stretched into the input."""
        return self.geometry == "stretched"

    @property
    def turns(self) -> bool:
        """Whether any image is rotated without its boxes."""
        return self.geometry == "window" and self.rotate > 0 and self.rotate_probability > 0

    @property
    def jitters_all(self) -> bool:
        """Whether every image is scaled or moved."""
        if self.stretches:
            return self.crop or (self.expand_probability == 1 and self.expand > 1)
        return self.crop or self.fits or (self.jitter_probability == 1 and (self.shift > 0 or self.scale > 0))

    def fault(self, clips: bool, window: affine.Window = "longer side") -> str:
        """What settings of this or another geometry would not do, for people; "" where all is well.

        Args:
            clips: Whether samples are frames of videos.
            window: What of an image fills the input's width.
        """
        (low, high), (least, most) = self.scales, self.distort_factors
        if self.stretches != (window == "stretched"):
            kind = "are stretched into the input" if window == "stretched" else "keep their aspect ratio"
            wanted = "stretched" if window == "stretched" else "window"
            return f"geometry: images here {kind}. Set augment.geometry to {wanted}."
        if not least <= most:
            return f"distort_factors: {least:g} to {most:g}; expected two factors, the smallest first."
        if self.erase and clips:
            return "erase: nothing is erased from frames of videos. Set augment.erase to 0."
        if not 0 < self.erase_area[0] <= self.erase_area[1] < 1:
            first, last = self.erase_area
            return f"erase_area: {first:g} to {last:g}; expected two parts between 0 and 1, the smallest first."
        if sum(self.mixes.values()) > 1:
            told = " + ".join(f"{name} {fraction:g}" for name, fraction in self.mixes.items())
            return f"{next(iter(self.mixes))}: {told} is more than 1; an input is made in one of these ways at most."
        if self.fits and self.crop:
            return "crop: a fitted image is not cropped. Set augment.crop to false, or augment.geometry to window."
        if self.fits and clips:
            return "geometry: frames of videos are not fitted. Set augment.geometry to window."
        if not 0 < low <= high:
            return f"scales: {low:g} to {high:g}; expected two factors above 0, the smallest first."
        if self.shear and not self.fits:
            return "shear: windows are not sheared. Set augment.shear to 0, or augment.geometry to fitted."
        return ""

    def matrix(
        self,
        random: np.random.Generator,
        height: int,
        width: int,
        size: tuple[int, int],
        window: affine.Window = "longer side",
    ) -> np.ndarray:
        """Draws the geometry.

        Args:
            random: Source of chance.
            height: Of the image in pixels.
            width: Of the image in pixels.
            size: Height and width of the network's input in pixels.
            window: What of the image fills the input's width before it is changed.

        Returns:
            [2, 3] float64, image pixels to input pixels.
        """
        if self.fits:
            return fitted_matrices(self.shake(random, size), height, width, size)[0]
        center = np.array([width / 2, height / 2])
        side = float(affine.window_side(height, width, window, size))
        if self.crop:
            first, last = (round(10 * scale) for scale in self.crop_scales)
            side *= random.choice(np.arange(first, last + 1) / 10)
            center = np.array([random.integers(border(full), full - border(full)) for full in (width, height)], float)
        elif self.jitter_probability == 1 or random.random() < self.jitter_probability:
            sides = np.array([width, height]) if self.shift_each_side else side
            center += sides * np.clip(random.standard_normal(2) * self.shift, -2 * self.shift, 2 * self.shift)
            side *= np.clip(1 + random.standard_normal() * self.scale, 1 - self.scale, 1 + self.scale)
        angle = 0.0
        # Where nothing is rotated, no chance is spent, so that runs of one seed stay what they are.
        if self.turns and random.random() < self.rotate_probability:
            angle = float(np.clip(random.standard_normal() * self.rotate, -2 * self.rotate, 2 * self.rotate))
        if random.random() < self.flip:
            center[0] = width - center[0] - 1
            return affine.chain(affine.flip_matrix(width), affine.fit_matrix(tuple(center), side, size, angle))
        return affine.fit_matrix(tuple(center), side, size, angle)

    def shake(self, random: np.random.Generator, size: tuple[int, int]) -> Shake:
        """Draws what happens to an image that was fitted into an input of this height and width."""
        angle, shear = random.uniform(-self.rotate, self.rotate), random.uniform(-self.shear, self.shear, 2)
        x, y = random.uniform(-self.shift, self.shift, 2) * size  # x by the height, as in the original
        scale, mirrored = random.uniform(*self.scales), random.random() < self.flip
        return Shake(angle, scale, (x, y), tuple(shear), bool(mirrored))

    def cut(self, random: np.random.Generator, height: int, width: int, boxes: np.ndarray) -> Cut:
        """Draws how an image or clip is cut before it is stretched.

        Args:
            random: Source of chance.
            height: Of the image in pixels.
            width: Of the image in pixels.
            boxes: [N, T, 4] of the objects in each frame, in pixels of the image.
        """
        mirrored, canvas, crop = random.random() < self.flip, None, None
        if mirrored:
            boxes = np.stack([width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], axis=-1)
        if random.random() < self.expand_probability:
            canvas = draw_canvas(random, height, width, self.expand, self.expand_place)
            height, width, top, left = canvas
            boxes = boxes + np.array([left, top, left, top])
        if self.crop:
            crop = draw_crop(random, boxes, height, width)
        return Cut(bool(mirrored), canvas, crop)

    def distortion(self, random: np.random.Generator) -> np.ndarray:
        """Draws the colour change of `distorted`, [5] float32."""
        if not self.distort_probability:
            return PLAIN
        chance = self.distort_probability
        return draw_distortion(random, self.distort_brightness, self.distort_factors, self.distort_hue, chance).numbers

    def vivid(self, random: np.random.Generator) -> np.ndarray:
        """Draws the factors of saturation and value in HSV, [2] float32; see `recolored`."""
        ranges = (self.hsv_saturation, self.hsv_value)
        # No chance is spent where nothing changes, so that runs of one seed stay what they are.
        return np.array([1 + random.uniform(-one, one) if one else 1.0 for one in ranges], np.float32)

    def color(self, random: np.random.Generator) -> np.ndarray:
        """Draws the colour change of `preprocess.recolor`, [6] float32.

        Brightness, contrast and saturation come in random order. Each is linear in the image, in the mean of its grey
        and in its grey, both taken before any of them, so three steps fold into three factors.
        """
        factors = np.array([1.0, 0.0, 0.0])
        for step in random.permutation(3):
            strength = (self.brightness, self.contrast, self.saturation)[step]
            keep = 1 + random.uniform(-strength, strength)
            factors *= keep
            if step > 0:
                factors[step] += 1 - keep
        light = EIGENVECTORS @ (EIGENVALUES * random.normal(0, self.lighting, 3)) if self.lighting else np.zeros(3)
        return np.concatenate([factors, light[::-1]]).astype(np.float32)


def border(full: int, wanted: int = BORDER) -> int:
    """How far a crop's centre stays from the edge: 128 pixels, halved until both borders leave room in between."""
    while full <= 2 * wanted and wanted > 0:
        wanted //= 2
    return wanted


def recolored(pixels: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 3] uint8 RGB, their saturation and value in HSV times two factors, as FairMOT does it."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    scaled = np.minimum(hsv[..., 1:].astype(np.float32) * factors, 255)
    return cv2.cvtColor(np.concatenate([hsv[..., :1], scaled.astype(np.uint8)], axis=-1), cv2.COLOR_HSV2RGB)


def perturbed(
    matrix: np.ndarray, random: np.random.Generator, size: tuple[int, int], shift: float, scale: float
) -> np.ndarray:
    """A matrix that shows a window a little moved and scaled, mirrored and turned as before.

    Args:
        matrix: [2, 3], image to input pixels.
        random: Source of chance.
        size: Height and width of the network's input in pixels.
        shift: Standard deviation of the window's motion, as a fraction of its side; cut at twice that.
        scale: Standard deviation of the change of its side; cut at that.
    """
    shifts = np.clip(random.standard_normal(2) * shift, -2 * shift, 2 * shift)
    factor = np.clip(1 + random.standard_normal() * scale, 1 - scale, 1 + scale)
    ratio = np.hypot(*matrix[:, 0])
    middle = np.array([size[1] / 2, size[0] / 2])
    center = affine.move_points(middle, affine.invert(matrix)) + shifts * size[1] / ratio
    turn = matrix[:, :2] / factor
    return np.concatenate([turn, (middle - turn @ center)[:, None]], axis=1)


def is_plain(
    matrix: np.ndarray, height: int, width: int, size: tuple[int, int], window: affine.Window = "longer side"
) -> bool:
    """Whether a matrix shows the image as `plain_matrix` does, or as its mirror image."""
    straight = plain_matrix(height, width, size, window)
    middle = np.array([width / 2, height / 2])
    moved = affine.move_points(middle, matrix) - affine.move_points(middle, straight)
    return bool(np.allclose(np.abs(matrix[:, :2]), straight[:, :2]) and np.allclose(moved, 0, atol=1e-3))


def plain_matrix(height: int, width: int, size: tuple[int, int], window: affine.Window = "longer side") -> np.ndarray:
    """The image centred: what `Augmentation.matrix` is without chance. [2, 3] float64."""
    if window == "stretched":
        return Cut().matrix(height, width, size)
    return affine.fit_matrix((width / 2, height / 2), affine.window_side(height, width, window, size), size)
