"""A data set without a download: drawn shapes on textured ground, with boxes that are right by construction.

Colour, size, tilt and stretch are drawn independently of the class, so that only the outline tells the classes apart.
Image number i of a split depends on nothing but the seed, the split's name and i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.samples import SAMPLES, all_visible, rasterise, region_of, visible_box
from centernet_tf.datasets.drawn.textures import textured_ground
from centernet_tf.datasets.items import Split
from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou

SMALLEST = 8.0  # pixels; below this a star and a circle are the same three pixels
TRIES = 30  # places tried for one object before the scene goes without it
# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (384, 384)},)


def _polygon(corners: int, radius: float = 1.0) -> np.ndarray:
    angles = np.arange(corners) * (2 * np.pi / corners)
    return radius * np.stack([np.sin(angles), -np.cos(angles)], axis=-1)


def _star() -> np.ndarray:
    return _polygon(10) * np.where(np.arange(10) % 2, 0.42, 1.0)[:, None]


def _cross(arm: float = 0.34) -> np.ndarray:
    quarter = np.array([[arm, -1.0], [arm, -arm], [1.0, -arm]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


# Closed curves of each class around the origin; a second curve is a hole.
OUTLINES: dict[str, tuple[np.ndarray, ...]] = {
    "circle": (_polygon(64),),
    "triangle": (_polygon(3),),
    "rectangle": (np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]),),
    "star": (_star(),),
    "ring": (_polygon(64), _polygon(64, 0.55)),
    "cross": (_cross(),),
}
CLASSES = tuple(OUTLINES)


@dataclass(frozen=True)
class Scene:
    """What a scene may contain. The defaults suit a small network at 128 x 128; `Scene.at` makes it harder.

    Attributes:
        objects: Fewest and most objects of an image; fewer are drawn where no room is left.
        sizes: Shortest and longest longer side of a box, as a fraction of the image's shorter side.
        stretch: The most that one axis of a shape is longer than the other.
        hidden: The largest fraction of an object that later objects and the image's edge may take away.
        outside: The largest fraction of a box' side that may lie beyond the image's edge.
        iou: The largest IoU of two boxes when placed.
        spacing: Smallest distance of two box centres when placed, as a fraction of the image's shorter side.
        tint: The fraction of objects in their class' own hue; the others have any colour, so only the shape tells.
        contrast: Smallest distance of an object's colour from what surrounds it, RGB levels, 0 to 441.
        texture: Strength of the ground's pattern, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
        lines: Most distracting lines and arcs on the ground.
    """

    objects: tuple[int, int] = (1, 4)
    sizes: tuple[float, float] = (0.2, 0.5)
    stretch: float = 1.5
    hidden: float = 0.25
    outside: float = 0.0
    iou: float = 0.2
    spacing: float = 0.08
    tint: float = 1.0
    contrast: float = 110.0
    texture: float = 0.35
    noise: float = 0.02
    lines: int = 4

    def __post_init__(self) -> None:
        low, high = self.objects
        if not 0 <= low <= high <= 250:
            raise UsageError(f"shapes: objects {self.objects} must be two counts, fewest first, from 0 to 250.")
        small, large = self.sizes
        if not 0 < small <= large <= 1:
            raise UsageError(f"shapes: sizes {self.sizes} must be two fractions of the image, smallest first, up to 1.")
        if self.stretch < 1:
            raise UsageError(f"shapes: stretch {self.stretch} must be at least 1.")
        for name in ("hidden", "outside", "iou", "spacing", "tint", "texture", "noise"):
            if not 0 <= getattr(self, name) < 1 + (name in ("texture", "tint")):
                raise UsageError(f"shapes: {name} {getattr(self, name)} must be from 0 to below 1.")

    @classmethod
    def at(cls, difficulty: float) -> "Scene":
        """The scene between the defaults (0) and crowded, tiny, half hidden, faint and noisy (1).

        Raises:
            UsageError: The difficulty is not from 0 to 1.
        """
        if not 0 <= difficulty <= 1:
            raise UsageError(f"shapes: difficulty {difficulty} must be from 0 to 1.")
        easy = cls()

        def between(start: float, end: float) -> float:
            return start + difficulty * (end - start)

        return cls(
            objects=(1, round(between(easy.objects[1], 30))),
            sizes=(between(easy.sizes[0], 0.05), between(easy.sizes[1], 0.4)),
            stretch=between(easy.stretch, 2.5),
            hidden=between(easy.hidden, 0.7),
            outside=between(easy.outside, 0.4),
            iou=between(easy.iou, 0.6),
            spacing=between(easy.spacing, 0.02),
            tint=between(easy.tint, 0.0),
            contrast=between(easy.contrast, 40.0),
            texture=between(easy.texture, 0.8),
            noise=between(easy.noise, 0.08),
            lines=round(between(easy.lines, 20)),
        )


def draw_scene(
    seed: int | Sequence[int], size: tuple[int, int] = (128, 128), scene: Scene | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws one image; the same arguments always draw the same one.

    Args:
        seed: One or more whole numbers from 0, such as (seed, number of the image).
        size: Height and width in pixels, at least 32 each.
        scene: What the image may contain.

    Returns:
        Image [H, W, 3] uint8, RGB; boxes [N, 4] float32, left, top, right, bottom in pixels of the image, tight around
        what is visible of each object, in quarters of a pixel; classes [N] int64, positions in `CLASSES`.

    Raises:
        UsageError: The size is too small.
    """
    return draw_samples(seed, size, scene)[:3]


def draw_samples(
    seed: int | Sequence[int], size: tuple[int, int] = (128, 128), scene: Scene | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What `draw_scene` draws, and who is seen at each sample: [H * SAMPLES, W * SAMPLES] uint8, 1 the first object."""
    if min(size) < 32:
        raise UsageError(f"shapes: size {size[0]}x{size[1]} is too small; height and width must be at least 32.")
    scene = scene or Scene()
    # One stream each: the ground stays the same whatever is placed on it.
    ground, things, grain = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    image = textured_ground(ground, size, scene.texture, scene.lines)
    boxes, classes, owners = _objects(things, image, scene)
    if scene.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * scene.noise)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), boxes, classes, owners


def read(
    count: int,
    size: tuple[int, int] = (128, 128),
    *,
    seed: int = 0,
    split: str = "train",
    scene: Scene | None = None,
) -> Split:
    """A split of drawn images.

    Args:
        count: Number of images.
        size: Height and width in pixels, at least 32 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their images differ.
        split: "train", "val", ...
        scene: What the images may contain.

    Returns:
        Names of the classes, and the items in ascending order.

    Raises:
        UsageError: There would be no images, or the seed is negative.
    """
    scene = scene or Scene()

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        image, boxes, classes = draw_scene(numbers, size, scene)
        return {"source": image, "boxes": boxes, "classes": classes}

    items = DrawnItems("shapes", count, seed, split, draw)
    draw_scene((seed, 0), size, Scene(objects=(0, 0)))  # complains of the size before any writing starts
    return Split(CLASSES, items)


def _objects(rng: np.random.Generator, image: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paints objects onto the image, later ones over earlier ones; boxes, classes and samples of `draw_samples`."""
    height, width = image.shape[:2]
    owners = np.zeros((height * SAMPLES, width * SAMPLES), np.uint8)
    placed: list[tuple[np.ndarray, float, int]] = []  # box as placed, area before anything is hidden, class
    for _ in range(rng.integers(scene.objects[0], scene.objects[1] + 1)):
        kind = int(rng.integers(len(CLASSES)))
        for _ in range(TRIES):
            curves, box, area = _pose(rng, OUTLINES[CLASSES[kind]], (height, width), scene)
            if _clear_of(box, [other for other, *_ in placed], scene, min(height, width)):
                region = region_of(box, (height, width))
                mask = rasterise(curves, region)
                fine = tuple(slice(part.start * SAMPLES, part.stop * SAMPLES) for part in region)
                if all_visible(owners, owners[fine], mask, [*(area for _, area, _ in placed), area], scene.hidden):
                    owners[fine][mask > 0] = len(placed) + 1
                    placed.append((box, area, kind))
                    colors = colors_of(rng, kind, scene.tint)
                    shade = rng.uniform(-25, 25, 2)
                    paint(image[region], mask, standing_out(colors, image[region], scene.contrast), shade)
                    break
    boxes = [visible_box(owners, number) for number in range(1, len(placed) + 1)]
    return np.array(boxes, np.float32).reshape(-1, 4), np.array([kind for *_, kind in placed], np.int64), owners


def _pose(
    rng: np.random.Generator, outline: tuple[np.ndarray, ...], size: tuple[int, int], scene: Scene
) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Stretches, tilts, scales and places an outline: its curves [P, 2] (x, y), its box, its area in samples."""
    stretch = np.exp(rng.uniform(-1, 1, 2) * np.log(scene.stretch) / 2)
    tilt = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    curves = [curve * stretch @ turn for curve in outline]
    low, high = curves[0].min(axis=0), curves[0].max(axis=0)
    fractions = np.maximum(scene.sizes, SMALLEST / min(size))
    scale = min(size) * np.exp(rng.uniform(*np.log(fractions))) / (high - low).max()
    extent = scale * (high - low)
    margin = np.array(scene.outside) * extent
    corner = rng.uniform(-margin, np.maximum(np.array(size[::-1]) - extent + margin, -margin))
    curves = [corner + scale * (curve - low) for curve in curves]
    outer, *holes = [cv2.contourArea(curve.astype(np.float32)) * SAMPLES**2 for curve in curves]
    return curves, np.concatenate([corner, corner + extent]), outer - sum(holes)


def _clear_of(box: np.ndarray, others: list[np.ndarray], scene: Scene, side: int) -> bool:
    """Whether a box keeps the agreed distance from the boxes before it."""
    if not others:
        return True
    rest = np.array(others)
    apart = np.hypot(*((box[:2] + box[2:] - rest[:, :2] - rest[:, 2:]) / 2).T)
    return bool(np.all(box_iou(box[None], rest) <= scene.iou) and np.all(apart >= scene.spacing * side))


def colors_of(rng: np.random.Generator, kind: int, tint: float) -> np.ndarray:
    """Colours to choose from, [16, 3] float32 RGB: shades of the class' hue, or any."""
    if rng.random() >= tint:
        return rng.uniform(0, 255, (16, 3)).astype(np.float32)
    hue = (kind / len(CLASSES) + rng.uniform(-0.04, 0.04, 16)) % 1 * 360
    shades = np.stack([hue, rng.uniform(0.6, 1, 16), rng.uniform(0.3, 1, 16)], axis=-1)
    return cv2.cvtColor(shades[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0] * 255


def standing_out(candidates: np.ndarray, around: np.ndarray, contrast: float) -> np.ndarray:
    """The first colour [3] of the candidates [N, 3] that differs from what lies around [rows, columns, 3]."""
    height, width = around.shape[:2]
    seen = around[:: max(1, height // 12), :: max(1, width // 12)].reshape(-1, 3)
    near = np.mean(np.linalg.norm(candidates[:, None] - seen, axis=-1) < contrast, axis=-1)
    fits = np.flatnonzero(near < 0.1)
    return candidates[fits[0] if len(fits) else near.argmin()]


def paint(patch: np.ndarray, mask: np.ndarray, color: np.ndarray, shade: np.ndarray) -> None:
    """Paints the masked samples onto a patch [rows, columns, 3] of the image."""
    height, width = patch.shape[:2]
    slope = np.linspace(-shade[0], shade[0], height)[:, None] + np.linspace(-shade[1], shade[1], width)
    coverage = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)[..., None] / np.float32(255)
    patch += coverage * (color + slope[..., None].astype(np.float32) - patch)
