"""Every field of an object: its name, type, unit, how it moves with the image, and what pads it.

One table serves the records, the augmentation, the padding and the inverse map of predictions, so a task that needs a
new field adds a line here and nothing else learns its name.
"""

import dataclasses
from typing import Literal

Motion = Literal["fixed", "boxes", "points", "vectors"]


@dataclasses.dataclass(frozen=True)
class Field:
    """One property of the objects in an image, kept as an array [N, *shape].

    Attributes:
        name: Key in a sample.
        dtype: NumPy name of the type.
        shape: Shape behind the leading number of objects.
        motion: How a 2x3 matrix moves it: boxes (left, top, right, bottom), points (x, y), vectors (no translation), or
            not at all.
        fill: Value of padded rows.
        meaning: What it is, with unit and frame.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    motion: Motion
    fill: float
    meaning: str


FIELDS = {
    field.name: field
    for field in (
        Field("boxes", "float32", (4,), "boxes", 0.0, "left, top, right, bottom in pixels"),
        Field("classes", "int32", (), "fixed", -1, "0-based class index; -1 in padded rows"),
        Field("crowd", "bool", (), "fixed", False, "the box covers a group; COCO's iscrowd"),
    )
}
