"""Masks: which pixels of its box belong to an object.

A mask travels as a small grid over its object's box, `masks`, which crops, scales and mirrors leave as it is, and, of
annotated objects, as COCO's run lengths at the image's own pixels, `segmentations`, for what has to be exact: metrics,
result files, inspection.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pydantic

from centernet_tf.geometry.patches import paste, widened
from centernet_tf.properties.fields import Field
from centernet_tf.properties.masks import draw, images, records, results, survey
from centernet_tf.properties.masks.scores import CocoMasks
from centernet_tf.properties.metric import Metric
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Answer, Fault, Look, Property, ResultFiles, Rows, Size, Survey

SIDE = 64


class Masks(Property):
    """The masks of objects.

    Rows: "masks" [N, S, S] float32 in 0..1, rows of columns over the object's whole box, `full_boxes` of a record, see
    `geometry.patches`; 0 or 1 of annotated objects, probabilities of found ones. "segmentations" [N] objects, bytes:
    counts of COCO's compressed run lengths of the whole image, b"" where an annotated object has no mask; found objects
    have none, theirs follow from "masks".
    """

    name = "masks"
    keys = records.KEYS
    checks = survey.CHECKS
    broken = "bad_masks"
    coco = ("segmentation",)
    answers = (
        Answer(
            "masks",
            "detection_masks",
            "patches",
            "probability in 0..1 that a part of its box belongs to the object: [height, width] parts of the box",
            "mask",
        ),
    )

    result_files: ClassVar = {
        "label-images": ResultFiles(".png", images.write_label_image, images.is_result, found=True),
        "mask-images": ResultFiles("", images.write_object_images, images.is_empty, found=True),
    }

    side: pydantic.PositiveInt = SIDE
    """Rows and columns of a mask, S."""

    threshold: float = pydantic.Field(0.4, ge=0, le=1)
    """Probability above which a pixel belongs to the object (CenterMask, Wang et al., 2020: 0.4)."""

    margin: float = pydantic.Field(0.0, ge=0)
    """What a mask shows beyond its box on every side, as a part of the box's width and height; 0 for masks that cannot
    leave it.
    """

    @property
    def fields(self) -> tuple[Field, ...]:
        return (
            Field("masks", "float32", (self.side, self.side), "patches", 0.0, "parts of the box that are the object's"),
            Field("segmentations", "object", (), "fixed", b"", "COCO's compressed run lengths of the image"),
        )

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        return records.unpack(lists, boxes, size, self.side)

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        return records.pack(rows, size)

    def fill(self, rows: Rows, count: int) -> Rows:
        # Masks that nobody gave follow in `place`; of thousands of objects, copies of nothing would be large.
        nothing = np.broadcast_to(np.float32(0), (count, self.side, self.side))
        return super().fill({"masks": nothing, **rows}, count)

    def place(self, rows: Rows, boxes: np.ndarray, size: Size) -> Rows:
        return records.place(rows["segmentations"], boxes, size, self.side)

    def faults(self, rows: Rows, size: Size) -> list[Fault | None]:
        return records.faults(rows["segmentations"], size)

    def count(self, rows: Rows, size: Size) -> dict[str, int]:
        return records.count(rows["segmentations"])

    def tell(self, counts: Mapping[str, int]) -> str:
        return records.tell(counts)

    def difference(self, other: Property) -> str:
        return "" if self.side == other.side else f"{self.side} x {self.side} and {other.side} x {other.side} parts"

    def survey(self, notebook: Notebook) -> Survey:
        return survey.MaskSurvey(notebook)

    def outlined(self, rows: Rows) -> np.ndarray | None:
        return draw.outlined(rows)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        return draw.draw_rows(canvas, rows, look, self.threshold, self.margin)

    def at_pixels(self, rows: Rows, size: Size) -> Rows:
        return results.at_pixels(rows, size, self.threshold, self.margin)

    def to_json(self, rows: Rows, digits: int | None) -> list[dict[str, Any]]:
        return results.to_json(rows)

    def to_supervision(self, rows: Rows) -> dict[str, np.ndarray]:
        return {"mask": results.whole_masks(rows)}

    def exported(self) -> "Masks":
        return self.model_copy(update={"side": results.middle_side(self.side, self.margin), "margin": 0.0})

    def laid_out(self, values: Any, boxes: Any, columns: Any, rows: Any) -> Any:
        return paste(values, widened(boxes, self.margin), columns, rows) > self.threshold

    def mismatch(self, model: Property) -> str:
        return ""  # What is scored are pixels, however finely and by whatever threshold they were found.

    def metrics(self, names: Sequence[str], digits: int | None = None, **options: Any) -> list[Metric]:
        return [CocoMasks(names, digits=digits)]
