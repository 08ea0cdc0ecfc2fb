"""3D data without a download: rendered vehicles and cabinets on flat ground, seen by a camera that is known.

Image number i of a split depends on nothing but the seed, the split's name and i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.raycast import render
from centernet_tf.datasets.drawn.yard import (
    KINDS,
    Thing,
    Yard,
    choose_camera,
    corners_of,
    fraction_outside,
    place_objects,
    projected_box,
)
from centernet_tf.datasets.items import Split
from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import project, rotation_to_alpha
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import from_columns

CLASSES = tuple(kind.name for kind in KINDS)
SMALLEST = 4  # pixels of a box' height; what is lower is not labelled at all
FAR = "DontCare"  # what KITTI calls objects too far away to be told
# From these fractions of the object that nothing nearer covers: fully visible, partly hidden, mostly hidden.
SEEN = (0.85, 0.5, 0.25)
# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({},)


@dataclass(frozen=True, eq=False)
class View:
    """A rendered image of N objects, and what is in it; fields as in `Record`.

    Attributes:
        image: [H, W, 3] uint8, RGB.
        camera: [3, 4] float32.
        boxes: [N, 4] float32, left, top, right, bottom in pixels: the projected corners', clipped to the image.
        classes: [N] int64, positions in `CLASSES`, -1 where `names` says DontCare.
        columns: [N, 8] float32: alpha, height, width, length, x, y, z, rotation_y; NaN for DontCare.
        ignored: [N] bool: too far away, or hidden but for less than a quarter.
        truncated: [N] float32, fraction of the projected box beyond the image's edge.
        occluded: [N] int64, 0 fully visible, 1 partly, 2 mostly hidden.
        names: N names of classes, or DontCare.
    """

    image: np.ndarray
    camera: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    columns: np.ndarray
    ignored: np.ndarray
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
    camera = choose_camera(aims, size, yard.varied)
    objects = place_objects(things, camera, size, yard)
    rendered = render(light, camera, size, objects, _colors(paints, objects, yard.tint), yard.haze)
    image = rendered.image
    if yard.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * yard.noise)
    shown = np.bincount(rendered.owners.ravel(), minlength=len(objects) + 1)[1:]
    seen = shown / np.maximum(rendered.covered, 1)
    image = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return _labelled(image, camera, objects, seen)


def read(
    count: int,
    size: tuple[int, int] = (192, 320),
    *,
    seed: int = 0,
    split: str = "train",
    yard: Yard | None = None,
) -> Split:
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
    yard = yard or Yard()

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        view = draw_view(numbers, size, yard)
        return {
            "source": view.image,
            "boxes": view.boxes,
            "classes": view.classes,
            "ignored": view.ignored,
            "names": view.names,
            "rows": {
                "camera": view.camera,
                **from_columns(view.columns),
                "truncated": view.truncated,
                "occluded": view.occluded,
            },
        }

    items = DrawnItems("scenes", count, seed, split, draw)
    draw_view((seed, 0), size, Yard(objects=(0, 0)))  # complains of the size before any writing starts
    return Split(CLASSES, items, (Boxes3d(),))


def _labelled(image: np.ndarray, camera: np.ndarray, objects: list[Thing], seen: np.ndarray) -> View:
    size = image.shape[:2]
    whole = np.array([projected_box(thing, camera) for thing in objects]).reshape(-1, 4)
    kept = [row for row, box in enumerate(whole) if seen[row] > 0 and box[3] - box[1] >= SMALLEST]
    objects, whole, seen = [objects[row] for row in kept], whole[kept], seen[kept]
    far = np.array([thing.far for thing in objects], bool)
    rows = np.array([_row(thing, camera) for thing in objects], np.float32).reshape(-1, 8)
    kinds = np.array([thing.kind for thing in objects], np.int64)
    return View(
        image=image,
        camera=camera,
        boxes=np.clip(whole, 0, [size[1], size[0]] * 2).astype(np.float32),
        classes=np.where(far, -1, kinds),
        columns=np.where(far[:, None], np.float32(np.nan), rows),
        ignored=far | (seen < SEEN[-1]),
        truncated=np.array([fraction_outside(box, size) for box in whole], np.float32).clip(0),
        occluded=np.sum([seen < fraction for fraction in SEEN[:2]], axis=0).astype(np.int64).reshape(-1),
        names=tuple(FAR if away else CLASSES[kind] for away, kind in zip(far, kinds)),
    )


def _row(thing: Thing, camera: np.ndarray) -> np.ndarray:
    """[8] alpha, height, width, length, x, y, z, rotation_y."""
    camera = np.asarray(camera, np.float64)
    column = project(corners_of(thing).mean(axis=0)[None], camera)[:, 0]
    (alpha,) = rotation_to_alpha(np.array([thing.rotation]), column, camera)
    return np.array([alpha, *thing.dimensions, *thing.location, thing.rotation])


def _colors(rng: np.random.Generator, objects: list[Thing], tint: float) -> np.ndarray:
    """[N, 3] float32, RGB of each object: a shade of its class' hue, or any."""
    colors = np.zeros((len(objects), 3), np.float32)
    for row, thing in zip(colors, objects):
        any_color = rng.uniform(40, 255, 3)
        hue = (KINDS[thing.kind].hue + rng.uniform(-0.04, 0.04)) % 1 * 360
        shade = np.array([[[hue, rng.uniform(0.5, 0.9), rng.uniform(0.65, 1.0)]]], np.float32)
        row[:] = cv2.cvtColor(shade, cv2.COLOR_HSV2RGB)[0, 0] * 255 if rng.random() < tint else any_color
    return colors
