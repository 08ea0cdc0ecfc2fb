"""Instance masks: a coarse shape at each centre, times a saliency map of the image (CenterMask, Wang et al., 2020)."""

from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term, unmirrored
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.masks import SIDE, Masks
from centernet_tf.tasks.mask import decode, losses, targets
from centernet_tf.tasks.mask.mirror import MirrorShape


class Mask(TaskSettings):
    """Objects as boxes with masks.

    Attributes:
        side: Rows and columns of the shape that each centre has, S.
        saliency: Whether all classes share one map of what belongs to any object, or each has its own; the paper's best
            has.
        direct: Train the saliency on the union of the masks, too, instead of its product with shapes alone; the paper
            says it helps where classes have their own. Its weight is `loss.weights: {saliency: ...}`.
        samples: Rows and columns of the points of a box at which its mask is compared with the truth, n.
        mask_side: Rows and columns of masks in the records, and of those that are found; the records' if left out.
        threshold: Probability above which a pixel belongs to an object.
    """

    side: int = pydantic.Field(32, ge=2, le=64)
    saliency: Literal["agnostic", "class"] = "class"
    direct: bool = False
    samples: int = pydantic.Field(28, ge=2, le=128)
    mask_side: pydantic.PositiveInt | None = None
    threshold: float = pydantic.Field(0.4, ge=0, lt=1)

    def complete(self, records: Any) -> "Mask":
        known = records.property(Masks.name)
        if known is None:
            raise UsageError(
                f"{records.directory}: its dataset.yaml has no masks, which task 'mask' needs. Write the records from "
                "annotations that have them, such as COCO's polygons."
            )
        if self.mask_side not in (None, known.side):
            raise UsageError(
                f"mask.mask_side: {self.mask_side}, but masks of {records.directory} have {known.side} rows and "
                "columns. Leave the setting out."
            )
        return self.model_copy(update={"mask_side": known.side})

    @property
    def property(self) -> Masks:
        """Masks as records hold them and as they are found."""
        return Masks(side=self.mask_side or SIDE, threshold=self.threshold)

    def build(self, centers: Centers) -> Task:
        channels = 1 if self.saliency == "agnostic" else centers.num_classes
        direct = (Term("saliency", ("saliency",), losses.direct_saliency),) if self.direct else ()

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            found = {**centers.encode(rows, located)}
            found["mask"] = targets.encode(rows, located, self.samples, centers.ltrb, self.saliency == "class")
            if self.direct:
                found["saliency"] = targets.encode_saliency(rows, located["grid"], channels)
            return found

        def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            found, sides = centers.decode(outputs, peaks), (self.property.side,) * 2
            return {**found, **decode.decode(outputs, peaks, found["boxes"], sides)}

        return Task(
            name="mask",
            heads=(
                *centers.heads(),
                Head("shape", self.side**2, mirror=MirrorShape(self.side), at_centers=True),
                Head("saliency", channels, mirror=unmirrored),
            ),
            terms=(*centers.terms(), Term("mask", ("shape", "saliency"), losses.product), *direct),
            encode=encode,
            decode=find,
            fields=(*SHARED, self.property.fields[0]),
            finds=(Find("masks"),),
            property=self.property,
        )
