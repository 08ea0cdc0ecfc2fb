"""Pose data without a download: drawn persons whose keypoints are known, hidden ones too, and balls, which have none.

Image number i of a split depends on nothing but the seed, the split's name and i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from centernet_tf.datasets.drawn.body import KEYPOINTS, PAIRED, SIDES, Body, Part, strike_pose
from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.samples import SAMPLES, all_visible, rasterise, region_of, visible_box
from centernet_tf.datasets.drawn.stage import Stage
from centernet_tf.datasets.drawn.textures import textured_ground
from centernet_tf.datasets.items import Split
from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton

CLASSES = ("person", "ball")
SMALLEST = 40  # pixels of standing height; of smaller ones neither hands nor eyes are left
TRIES = 30  # places tried for one object before the stage goes without it
BLOCK = 2  # class of what only hides others

_LIKE = {"head": "left_ear", "hand": "wrist", "foot": "ankle"}
# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (384, 384)},)


def _sigma(keypoint: str) -> float:
    """That of the same keypoint of COCO's people."""
    side, _, name = keypoint.rpartition("_")
    other = _LIKE.get(name, name)
    return COCO_PERSON.sigmas[COCO_PERSON.keypoints.index(f"{side}_{other}" if side else other)]


PERSON = Skeleton.from_dict(
    {
        "keypoints": KEYPOINTS,
        "flip_pairs": [[f"{side}_{name}" for side in SIDES] for name in PAIRED],
        "limbs": [
            *(["head", f"{side}_shoulder"] for side in SIDES),
            *([f"{SIDES[0]}_{name}", f"{SIDES[1]}_{name}"] for name in ("shoulder", "hip")),
            *(
                [f"{side}_{one}", f"{side}_{other}"]
                for side in SIDES
                for one, other in (
                    ("shoulder", "elbow"), ("elbow", "hand"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "foot")
                )
            ),
        ],
        "sigmas": {name: _sigma(name) for name in KEYPOINTS},
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Figures:
    """A drawn image and what is in it.

    Attributes:
        image: [H, W, 3] uint8, RGB.
        boxes: [N, 4] float32, left, top, right, bottom in pixels, tight around what is visible of each object.
        classes: [N] int64, positions in `CLASSES`.
        area: [N] float32, pixels^2 that are visible.
        keypoints: [N, 13, 3] float32, x and y in pixels, 2 visible, 1 hidden by something in the image, 0 outside of
            it; all 0 for balls.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    area: np.ndarray
    keypoints: np.ndarray


def draw_figures(seed: int | Sequence[int], size: tuple[int, int] = (128, 128), stage: Stage | None = None) -> Figures:
    """Draws one image; the same arguments always draw the same one.

    Args:
        seed: One or more whole numbers from 0, such as (seed, number of the image).
        size: Height and width in pixels, at least 64 each.
        stage: What the image may contain.

    Raises:
        UsageError: The size is too small.
    """
    if min(size) < 64:
        raise UsageError(f"figures: size {size[0]}x{size[1]} is too small; height and width must be at least 64.")
    stage = stage or Stage()
    # One stream each: the ground stays the same whatever is placed on it.
    ground, things, grain = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    easel = _Easel(textured_ground(ground, size, stage.texture, stage.lines), stage)
    kinds = [0] * things.integers(stage.persons[0], stage.persons[1] + 1)
    kinds += [1] * things.integers(stage.balls + 1)
    kinds = [*things.permutation(kinds), *[BLOCK] * things.integers(stage.blocks + 1)]
    for kind in kinds:
        for _ in range(TRIES):
            if easel.add(things, int(kind)):
                break
    image = easel.image
    if stage.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * stage.noise)
    return easel.finished(np.clip(image + 0.5, 0, 255).astype(np.uint8))


class _Easel:
    """An image in the making: later objects over earlier ones."""

    def __init__(self, image: np.ndarray, stage: Stage) -> None:
        self.image, self.stage = image, stage
        self.size = image.shape[:2]
        fine = tuple(side * SAMPLES for side in self.size)
        self.owners = np.zeros(fine, np.uint8)  # who is seen at each sample: 1 is the first object
        self.parts = np.zeros(fine, np.uint8)  # and which of its parts
        self.placed: list[tuple[int, Body, float]] = []  # class, body, samples before anything is hidden

    def add(self, rng: np.random.Generator, kind: int) -> bool:
        """Paints one object at a random place; False where it would hide too much or be hidden."""
        body = self._place(rng, kind)
        if kind != BLOCK and not self._clear(body.box):
            return False
        region = region_of(body.box, self.size)
        if region[0].start >= region[0].stop or region[1].start >= region[1].stop:
            return False
        masks = [rasterise([part.curve], region) for part in body.parts]
        whole = np.max(masks, axis=0)
        area = _area(body)
        areas = [*(each for *_, each in self.placed), area]
        fine = tuple(slice(part.start * SAMPLES, part.stop * SAMPLES) for part in region)
        # A block may lie half outside without harm.
        if kind == BLOCK:
            areas[-1] = 0.0
        if not all_visible(self.owners, self.owners[fine], whole, areas, self.stage.hidden):
            return False
        self.placed.append((kind, body, area))
        self.owners[fine][whole > 0] = len(self.placed)
        colors = _colors(rng, self.image[region], self.stage.contrast)
        for number, (part, mask) in enumerate(zip(body.parts, masks)):
            self.parts[fine][mask > 0] = number
            _paint(self.image[region], mask, colors[part.color])
        return True

    def finished(self, image: np.ndarray) -> Figures:
        numbers = [number for number, (kind, *_) in enumerate(self.placed, start=1) if kind != BLOCK]
        kept = [self.placed[number - 1] for number in numbers]
        keypoints = np.zeros((len(kept), len(KEYPOINTS), 3), np.float32)
        for row, number, (kind, body, _) in zip(keypoints, numbers, kept):
            if kind == 0:
                row[:] = self._keypoints(number, body)
        return Figures(
            image=image,
            boxes=np.array([visible_box(self.owners, number) for number in numbers], np.float32).reshape(-1, 4),
            classes=np.array([kind for kind, *_ in kept], np.int64),
            area=np.array([np.count_nonzero(self.owners == number) for number in numbers], np.float32) / SAMPLES**2,
            keypoints=keypoints,
        )

    def _place(self, rng: np.random.Generator, kind: int) -> Body:
        side = min(self.size)
        if kind == 0:
            body = strike_pose(rng, self.stage.tilt, self.stage.limber, self.stage.turned)
            fractions = np.maximum(self.stage.sizes, SMALLEST / side)
            body = body.placed(side * np.exp(rng.uniform(*np.log(fractions))), np.zeros(2))
        elif kind == 1:
            angles = np.arange(48) * (2 * np.pi / 48)
            radius = side * rng.uniform(0.06, 0.14)
            body = Body(np.zeros((0, 2)), (Part(radius * np.stack([np.cos(angles), np.sin(angles)], -1), "ball", ()),))
        else:
            half = side * rng.uniform(0.04, 0.14, 2)
            corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            body = Body(np.zeros((0, 2)), (Part(corners, "block", ()),))
        low, high = body.box[:2], body.box[2:]
        margin = self.stage.outside * (high - low)
        corner = rng.uniform(-margin, np.maximum(np.array(self.size[::-1]) - (high - low) + margin, -margin))
        return body.placed(1.0, corner - low)

    def _clear(self, box: np.ndarray) -> bool:
        """Whether a box keeps the agreed distance from the boxes before it."""
        rest = np.array([body.box for kind, body, _ in self.placed if kind != BLOCK]).reshape(-1, 4)
        apart = np.hypot(*((box[:2] + box[2:] - rest[:, :2] - rest[:, 2:]) / 2).T)
        close = apart < self.stage.spacing * min(self.size)
        return not (close.any() or (box_iou(box[None], rest) > self.stage.iou).any())

    def _keypoints(self, number: int, body: Body) -> np.ndarray:
        """[13, 3] keypoints of a person: visible where the pixel shows mostly a part that carries the keypoint."""
        rows = np.zeros((len(body.keypoints), 3))
        height, width = self.size
        for index, (x, y) in enumerate(body.keypoints):
            if not (0 <= x < width and 0 <= y < height):
                continue
            row, column = int(y * SAMPLES), int(x * SAMPLES)
            near = tuple(slice(max(place - SAMPLES // 2, 0), place + SAMPLES // 2 + 1) for place in (row, column))
            carriers = [place for place, part in enumerate(body.parts) if index in part.keypoints]
            seen = (self.owners[near] == number) & np.isin(self.parts[near], carriers)
            rows[index] = x, y, 2 if seen.mean() >= 0.5 else 1
        return rows


def read(
    count: int,
    size: tuple[int, int] = (128, 128),
    *,
    seed: int = 0,
    split: str = "train",
    stage: Stage | None = None,
) -> Split:
    """A split of drawn images.

    Args:
        count: Number of images.
        size: Height and width in pixels, at least 64 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their images differ.
        split: "train", "val", ...
        stage: What the images may contain.

    Returns:
        Names of the classes, the items in ascending order, and the keypoints of the persons.

    Raises:
        UsageError: There would be no images, or the seed is negative.
    """
    stage = stage or Stage()

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        drawn = draw_figures(numbers, size, stage)
        rows = {"keypoints": drawn.keypoints[..., :2], "keypoint_labels": drawn.keypoints[..., 2].astype(np.int32)}
        return {
            "source": drawn.image, "boxes": drawn.boxes, "classes": drawn.classes, "area": drawn.area, "rows": rows
        }  # fmt: skip

    items = DrawnItems("figures", count, seed, split, draw)
    draw_figures((seed, 0), size, Stage(persons=(0, 0), balls=0, blocks=0))  # complains of the size before any writing
    return Split(CLASSES, items, (Keypoints(skeleton=PERSON),))


def _area(body: Body) -> float:
    """Samples that all parts cover together, wherever the image ends."""
    low = np.floor(body.box[:2]) - 1
    extent = np.ceil(body.box[2:] - low).astype(int) + 1
    region = (slice(0, int(extent[1])), slice(0, int(extent[0])))
    return float(np.count_nonzero(np.max([rasterise([part.curve - low], region) for part in body.parts], axis=0)))


def _colors(rng: np.random.Generator, patch: np.ndarray, contrast: float) -> dict[str, np.ndarray]:
    """A colour for each kind of part that stands out from the ground; skin is light and hair dark."""
    height, width = patch.shape[:2]
    seen = patch[:: max(1, height // 12), :: max(1, width // 12)].reshape(-1, 3)

    def apart(candidates: np.ndarray) -> np.ndarray:
        near = np.mean(np.linalg.norm(candidates[:, None] - seen, axis=-1) < contrast, axis=-1)
        fits = np.flatnonzero(near < 0.1)
        return candidates[fits[0] if len(fits) else near.argmin()].astype(np.float32)

    shirt, trousers, ball, block = (apart(rng.uniform(0, 255, (16, 3))) for _ in range(4))
    tone = np.array([255, 214, 180]) * rng.uniform(0.72, 1.0, (16, 1)) + rng.uniform(-12, 12, (16, 3))
    return {
        "skin": apart(np.clip(tone, 0, 255)),
        "hair": (np.array([60, 40, 30]) * rng.uniform(0.2, 1.0)).astype(np.float32),
        "shirt": shirt,
        "sleeve": shirt * np.float32(0.75),
        "trousers": trousers,
        "shoe": rng.uniform(0, 90, 3).astype(np.float32),
        "mark": np.where(shirt.mean() > 150, 30, 235) * np.ones(3, np.float32),
        "ball": ball,
        "block": block,
    }


def _paint(patch: np.ndarray, mask: np.ndarray, color: np.ndarray) -> None:
    """Paints the masked samples onto a patch [rows, columns, 3] of the image, with a darker rim."""
    height, width = patch.shape[:2]
    core = cv2.erode(mask, np.ones((3, 3), np.uint8))
    for part, tone in ((mask, 0.6 * color), (core, color)):
        coverage = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)[..., None] / np.float32(255)
        patch += coverage * (tone.astype(np.float32) - patch)
