"""Every field of an object: its name, type, unit, how it moves with the image, and what pads it.

Properties and tasks say which fields they know, so the records, the augmentation, the padding and the inverse map of
predictions learn of a new one without a change. Those that every object has are here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

# Arrays of one image by field: {"boxes": [N, 4], "keypoints": [N, J, 2], ...}. Records, batches and results use the
# same names; what the image has one of, such as its camera, stands among them.
Rows = Mapping[str, np.ndarray]

Motion = Literal["fixed", "boxes", "points", "vectors", "angles", "projections", "patches"]
Level = Literal["object", "image", "pair"]


@dataclasses.dataclass(frozen=True)
class Field:
    """One array of an image's rows.

    Attributes:
        name: Key among the rows.
        dtype: NumPy name of the type.
        shape: Shape behind the leading number of objects or pairs; the whole shape where the image has one.
        motion: How a 2x3 matrix moves it: boxes (left, top, right, bottom), points (x, y), vectors (no translation),
            angles (observation angles in radians, which a mirror turns), projections ([3, 4], from another frame to
            pixels), patches (grids [S, S] over the object's box, whose columns a mirror reverses; nothing may rotate
            them), or not at all.
        fill: Value of padded rows.
        meaning: What it is, with unit and frame.
        order: Where the parts, along the first axis of `shape`, of a mirrored object come from; left and right
            keypoints change places. Empty where they stay.
        labels: Field [N, parts] that is above 0 where a part is annotated; empty where all are.
        level: Whether every object has one, the image has one for all, or every pair of objects.
        refers: Whether its numbers are rows of objects, -1 for none, which are renumbered where objects are left out.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    motion: Motion
    fill: float
    meaning: str
    order: tuple[int, ...] = ()
    labels: str = ""
    level: Level = "object"
    refers: bool = False


FIELDS = {
    field.name: field
    for field in (
        Field("boxes", "float32", (4,), "boxes", 0.0, "left, top, right, bottom in pixels"),
        Field("classes", "int32", (), "fixed", -1, "0-based class index; -1 in padded rows"),
        Field("crowd", "bool", (), "fixed", False, "the box covers a group; COCO's iscrowd"),
        Field("ignored", "bool", (), "fixed", False, "neither wanted nor background, for its class; -1 for all"),
    )
}
SHARED = tuple(FIELDS.values())

# Of annotated objects, whose "boxes" end at the edge of the image.
FULL_BOXES = Field("full_boxes", "float32", (4,), "boxes", 0.0, "boxes as annotated, beyond the image's edge too")

# A task that trains on it can make use of rotated images; the others have no use for boxes that do not rotate.
ROTATED = Field("rotated", "bool", (), "fixed", False, "augmentation rotated the image; boxes did not", level="image")

# A task that trains on it can tell images that show distances as the camera does from those that were zoomed or moved.
JITTERED = Field("jittered", "bool", (), "fixed", False, "augmentation scaled or moved the image", level="image")

# A task that trains on it can tell how far things look in such images.
ZOOM = Field("zoom", "float32", (), "fixed", 1.0, "times as large as without augmentation", level="image")
