"""One annotated image in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from centernet_tf.properties.property import Rows, Size

# The rows that every image has; those of properties stand beside them.
BASE = ("boxes", "full_boxes", "classes", "crowd", "difficult", "ignored", "area", "names")


@dataclass(frozen=True, eq=False)
class Record:
    """One annotated image of N objects.

    Attributes:
        image: JPEG or PNG file that decodes to 8-bit grey or RGB.
        format: "jpeg" or "png".
        width: Pixels.
        height: Pixels.
        image_id: Number of the image in its data set, the one COCO result files name.
        filename: Name of the file the image came from.
        boxes: [N, 4] float32 left, top, right, bottom in pixels of the image, inside it.
        classes: [N] int64, 0-based; -1 for ignored objects of no one class.
        crowd: [N] bool, the box surrounds a group that was not labelled one by one.
        difficult: [N] bool, left out of the VOC metric.
        area: [N] float32 pixels^2, of the mask where the source had one, else of the box.
        ignored: [N] bool, neither an object to be found nor background: what looks like the class, or a region nobody
            labelled (class -1). False where not given.
        names: [N] what the source calls the objects, which may be finer than the classes; these where not given.
        rows: What else the objects or the image have, by field of a property.
        full_boxes: [N, 4] float32 as annotated, which reach over the image's edge where objects do; `boxes` where not
            given.
        video: Name of the video that the image is a frame of; "" for a single image.
        frame: Number of the frame in its video.
        time: Seconds since the video began; None where nobody says.
    """

    image: bytes
    format: str
    width: int
    height: int
    image_id: int
    filename: str
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    area: np.ndarray
    ignored: np.ndarray | None = None
    names: Sequence[str] | None = None
    rows: Rows = field(default_factory=dict)
    full_boxes: np.ndarray | None = None
    video: str = ""
    frame: int = 0
    time: float | None = None

    def __post_init__(self) -> None:
        if self.full_boxes is None:
            object.__setattr__(self, "full_boxes", self.boxes)
        if self.ignored is None:
            object.__setattr__(self, "ignored", np.zeros(len(self.boxes), bool))

    @property
    def size(self) -> Size:
        """Width and height of the image in pixels."""
        return self.width, self.height

    def truth(self) -> dict[str, Any]:
        """All rows of the image: those of `BASE`, names as [N] objects, and those of properties."""
        base = {name: getattr(self, name) for name in BASE if name != "names"}
        names = np.array([""] * len(self.boxes) if self.names is None else list(self.names), object)
        return {**base, "names": names, **self.rows}
