"""3D data without a download: rendered vehicles and cabinets on flat ground, seen by a camera that is known.

Image number i of a split depends on nothing but the seed, the split's name and i.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from centernet_tf.datasets.items import Item
from centernet_tf.datasets.raycast import render
from centernet_tf.datasets.yard import (
    KINDS,
    Solid,
    Yard,
    choose_camera,
    corners_of,
    place_solids,
    projected_box,
    share_outside,
)
from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import project, rotation_to_alpha

CLASSES = tuple(kind.name for kind in KINDS)
SMALLEST = 4  # pixels of a box' height; what is lower is not labelled at all
FAR = "DontCare"  # what KITTI calls objects too far away to be told
# From these shares of the solid that nothing nearer covers: fully visible, partly hidden, mostly hidden.
SEEN = (0.85, 0.5, 0.25)


@dataclass(frozen=True, eq=False)
class View:
    """A rendered image of N solids, and what is in it; fields as in `Record`.

    Attributes:
        image: [H, W, 3] uint8, RGB.
        camera: [3, 4] float32.
        boxes: [N, 4] float32, left, top, right, bottom in pixels: the projected corners', clipped to the image.
        classes: [N] int64, positions in `CLASSES`, -1 where `names` says DontCare.
        solids: [N, 8] float32: alpha, height, width, length, x, y, z, rotation_y; NaN for DontCare.
        neutral: [N] bool: too far away, or hidden but for less than a quarter.
        truncated: [N] float32, share of the projected box beyond the image's edge.
        occluded: [N] int64, 0 fully visible, 1 partly, 2 mostly hidden.
        names: N names of classes, or DontCare.
    """

    image: np.ndarray
    camera: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    solids: np.ndarray
    neutral: np.ndarray
    truncated: np.ndarray
    occluded: np.ndarray
    names: tuple[str, ...]


def draw_view(seed: int | Sequence[int], size: tuple[int, int] = (192, 320), yard: Yard | None = None) -> View:
    """Renders one image; the same arguments always render the same one.

    Args:
        seed: One or more whole numbers from 0, such as (seed, number of the image).
        size: Height and width in pixels, at least 64 each.
        yard: What the image may contain.

    Raises:
        UsageError: The size is too small.
    """
    if min(size) < 64:
        raise UsageError(f"scenes: size {size[0]}x{size[1]} is too small; height and width must be at least 64.")
    yard = yard or Yard()
    # One stream each: camera and ground stay the same whatever is placed.
    aims, things, paints, light, grain = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(5))
    camera = choose_camera(aims, size, yard.turned)
    solids = place_solids(things, camera, size, yard)
    rendered = render(light, camera, size, solids, _colors(paints, solids, yard.tint), yard.haze)
    image = rendered.image
    if yard.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * yard.noise)
    shown = np.bincount(rendered.owners.ravel(), minlength=len(solids) + 1)[1:]
    seen = shown / np.maximum(rendered.covered, 1)
    image = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return _labelled(image, camera, solids, seen)


class Views(Sequence[Item]):
    """The images of a split as items to write, each rendered when it is asked for."""

    def __init__(self, count: int, size: tuple[int, int], seed: int, split: str, yard: Yard) -> None:
        self._count, self._size, self._yard = count, size, yard
        # The split's name takes part, so that validation never repeats the training images of the same seed.
        self._seed = (seed, zlib.crc32(split.encode()))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self._count:
            raise IndexError(f"view {index} of {self._count}")
        view = draw_view((*self._seed, index), self._size, self._yard)
        key = f"{index:08d}"
        return Item(
            key=key,
            image_id=index,
            source=view.image,
            filename=f"{key}.png",
            boxes=view.boxes,
            classes=view.classes,
            camera=view.camera,
            solids=view.solids,
            neutral=view.neutral,
            truncated=view.truncated,
            occluded=view.occluded,
            names=view.names,
        )


def read(
    count: int,
    size: tuple[int, int] = (192, 320),
    *,
    seed: int = 0,
    split: str = "train",
    yard: Yard | None = None,
) -> tuple[tuple[str, ...], Views]:
    """A split of rendered images.

    Args:
        count: Number of images.
        size: Height and width in pixels, at least 64 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their images differ.
        split: "train", "val", ...
        yard: What the images may contain.

    Returns:
        Names of the classes, and the items in ascending order.

    Raises:
        UsageError: There would be no images, the seed is negative, or the size too small.
    """
    if count < 1 or seed < 0:
        raise UsageError(f"scenes: count {count} and seed {seed}; expected at least 1 image and a seed from 0.")
    draw_view((seed, 0), size, Yard(solids=(0, 0)))  # complains of the size before any writing starts
    return CLASSES, Views(count, size, seed, split, yard or Yard())


def _labelled(image: np.ndarray, camera: np.ndarray, solids: list[Solid], seen: np.ndarray) -> View:
    size = image.shape[:2]
    whole = np.array([projected_box(solid, camera) for solid in solids]).reshape(-1, 4)
    kept = [row for row, box in enumerate(whole) if seen[row] > 0 and box[3] - box[1] >= SMALLEST]
    solids, whole, seen = [solids[row] for row in kept], whole[kept], seen[kept]
    far = np.array([solid.far for solid in solids], bool)
    rows = np.array([_row(solid, camera) for solid in solids], np.float32).reshape(-1, 8)
    kinds = np.array([solid.kind for solid in solids], np.int64)
    return View(
        image=image,
        camera=camera,
        boxes=np.clip(whole, 0, [size[1], size[0]] * 2).astype(np.float32),
        classes=np.where(far, -1, kinds),
        solids=np.where(far[:, None], np.float32(np.nan), rows),
        neutral=far | (seen < SEEN[-1]),
        truncated=np.array([share_outside(box, size) for box in whole], np.float32).clip(0),
        occluded=np.sum([seen < share for share in SEEN[:2]], axis=0).astype(np.int64).reshape(-1),
        names=tuple(FAR if away else CLASSES[kind] for away, kind in zip(far, kinds)),
    )


def _row(solid: Solid, camera: np.ndarray) -> np.ndarray:
    """[8] alpha, height, width, length, x, y, z, rotation_y."""
    camera = np.asarray(camera, np.float64)
    column = project(corners_of(solid).mean(axis=0)[None], camera)[:, 0]
    (alpha,) = rotation_to_alpha(np.array([solid.rotation]), column, camera)
    return np.array([alpha, *solid.dimensions, *solid.location, solid.rotation])


def _colors(rng: np.random.Generator, solids: list[Solid], tint: float) -> np.ndarray:
    """[N, 3] float32, RGB of each solid: a shade of its class' hue, or any."""
    colors = np.zeros((len(solids), 3), np.float32)
    for row, solid in zip(colors, solids):
        any_color = rng.uniform(40, 255, 3)
        hue = (KINDS[solid.kind].hue + rng.uniform(-0.04, 0.04)) % 1 * 360
        shade = np.array([[[hue, rng.uniform(0.5, 0.9), rng.uniform(0.65, 1.0)]]], np.float32)
        row[:] = cv2.cvtColor(shade, cv2.COLOR_HSV2RGB)[0, 0] * 255 if rng.random() < tint else any_color
    return colors
