"""Interactions of persons and objects that a COCO JSON has the boxes of, by their annotation ids."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets import coco
from centernet_tf.datasets.hoi_pairs import Pairs, whole_id
from centernet_tf.datasets.items import Item, Split
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.property import Fault, Rows

NOT_LISTED = Fault("image not listed", "the COCO JSON does not list it; give the JSON that does, or --listed-only")


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The objects of an image that a COCO JSON has.

    Attributes:
        rows: Their rows, by annotation id.
        boxes: [N, 4] left, top, right, bottom in pixels.
        names: [N] of their classes; "" for none.
    """

    rows: Mapping[int, int]
    boxes: np.ndarray
    names: Sequence[str]

    @classmethod
    def of(cls, item: Item, classes: Sequence[str]) -> "Objects":
        ids = [whole_id(name.removeprefix("annotation ")) for name in item.box_names or ()]
        names = [classes[label] if label >= 0 else "" for label in item.classes]
        rows = {number: row for row, number in enumerate(ids) if number is not None}
        return cls(rows, np.asarray(item.boxes).reshape(-1, 4), names)


def read_with(
    instances: str | Path,
    images: str | Path,
    wanted: Mapping[Any, Any],
    key: Callable[[Item], Any],
    gather: Callable[[Any, Objects, Pairs], Rows],
    told: Interactions,
    *,
    listed_only: bool = False,
    **options: Any,
) -> Split:
    """The images of a COCO JSON that somebody told interactions of, with all of their objects.

    Args:
        instances: The COCO JSON.
        images: Folder that its file names start from.
        wanted: What is told of each image, by `key`; the others are no part of the data set.
        key: What tells which image an item is.
        gather: (what is told, the objects, where pairs go) -> further rows of the objects.
        told: The property.
        listed_only: Leave out images that the COCO JSON does not list, such as those of another split.
        options: Of `coco.read`.

    Raises:
        UsageError: As `coco.read`.
        DataError: As `coco.read`.
    """
    split = coco.read(instances, images, **options)
    items, seen = [], set()
    for item in split.items:
        if (number := key(item)) in wanted:
            seen.add(number)
            pairs = Pairs()
            rows = gather(wanted[number], Objects.of(item, split.classes), pairs)
            items.append(dataclasses.replace(item, rows={**item.rows, **pairs.rows(), **rows}, **pairs.fields()))
    if not listed_only:
        items += [_unlisted(place, number, instances) for place, number in enumerate(wanted) if number not in seen]
    return Split(split.classes, items, (*split.properties, told))


def _unlisted(place: int, number: Any, instances: str | Path) -> Item:
    return Item(
        key=f"~{place:08d}",  # behind the keys of `coco`, which are digits
        image_id=-1 - place,
        source=Path(instances),
        filename=f"image {number}" if isinstance(number, int) else str(number),
        boxes=np.zeros((0, 4)),
        classes=[],
        broken=NOT_LISTED,
    )
