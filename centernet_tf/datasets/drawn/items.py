"""The images of a drawn data set as items to write."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from centernet_tf.datasets.items import Item
from centernet_tf.errors import UsageError


class DrawnItems(Sequence[Item]):
    """The images of a split, each drawn when it is asked for.

    Args:
        name: Of the data set, for errors.
        count: Number of images.
        seed: A whole number from 0. One seed serves all splits of a data set, for their images differ.
        split: "train", "val", ...
        draw: (seed, split, number of the image) as whole numbers -> an item's pixels ("source"), boxes, classes and
            whatever else it has. The same numbers must always draw the same image.

    Raises:
        UsageError: There would be no images, or the seed is negative.
    """

    def __init__(
        self, name: str, count: int, seed: int, split: str, draw: Callable[[tuple[int, int, int]], Mapping[str, Any]]
    ) -> None:
        if count < 1 or seed < 0:
            raise UsageError(f"{name}: count {count} and seed {seed}; expected at least 1 image and a seed from 0.")
        self._count, self._draw = count, draw
        # The split's name takes part, so that validation never repeats the training images of the same seed.
        self._seed = (seed, zlib.crc32(split.encode()))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self._count:
            raise IndexError(f"image {index} of {self._count}")
        key = f"{index:08d}"
        return Item(key=key, image_id=index, filename=f"{key}.png", **self._draw((*self._seed, index)))
