"""Drawn shapes with their masks: which pixels are seen of each, where others stand before it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.samples import visible_mask
from centernet_tf.datasets.drawn.shapes import CLASSES, Scene, draw_samples
from centernet_tf.datasets.items import Split
from centernet_tf.properties.masks import Masks, runs

# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (384, 384)},)


def read(
    count: int,
    size: tuple[int, int] = (128, 128),
    *,
    seed: int = 0,
    split: str = "train",
    scene: Scene | None = None,
) -> Split:
    """A split of the images that `shapes.read` draws, with masks; areas are those of the masks.

    A pixel belongs to the object that is seen in more than half of it, so that no pixel belongs to two.

    Args:
        count: Number of images.
        size: Height and width in pixels, at least 32 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their images differ.
        split: "train", "val", ...
        scene: What the images may contain.

    Returns:
        Names of the classes, the items in ascending order, and the property masks.

    Raises:
        UsageError: There would be no images, the seed is negative, or the size is too small.
    """
    scene = scene or Scene()

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        image, boxes, classes, owners = draw_samples(numbers, size, scene)
        masks = [visible_mask(owners, number) for number in range(1, len(boxes) + 1)]
        counts = [runs.of_pixels(mask, size[::-1], corner) for mask, corner in masks]
        return {
            "source": image,
            "boxes": boxes,
            "classes": classes,
            "area": [runs.area(one) for one in counts],
            "rows": {"segmentations": np.array([runs.write_counts(one) for one in counts], object)},
        }

    items = DrawnItems("shapes", count, seed, split, draw)
    draw_samples((seed, 0), size, Scene(objects=(0, 0)))  # complains of the size before any writing starts
    return Split(CLASSES, items, (Masks(),))
