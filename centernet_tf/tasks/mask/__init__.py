"""Instance masks: a coarse shape at each centre, times a saliency map of the image (CenterMask, Wang et al., 2020).

Or, as an option, small networks whose weights each centre tells (CondInst, Tian et al., 2020), see `dynamic`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term, unmirrored
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.masks import SIDE, Masks
from centernet_tf.tasks.mask import decode, dynamic, losses, targets
from centernet_tf.tasks.mask.mirror import MirrorShape

THRESHOLDS = {"product": 0.4, "dynamic": 0.5}
MARGINS = {"product": 0.0, "dynamic": 0.5}
PRODUCT_ONLY = ("side", "saliency", "direct", "samples")
DICE_WEIGHT = 3.0  # of CenterNet-CondInst


class Mask(TaskSettings):
    """Objects as boxes with masks."""

    head: Literal["product", "dynamic"] = "product"
    """How masks are told: product of a coarse shape and a map of the image, which never leaves its box (CenterMask), or
    dynamic, by small convolutions whose weights each centre tells (CondInst), which may.
    """

    side: int = pydantic.Field(32, ge=2, le=64)
    """Of head product: rows and columns of the shape that each centre has."""

    saliency: Literal["agnostic", "class"] = "class"
    """Of head product: one map of what belongs to objects for each class, as the paper's best has, or one for all
    (agnostic).
    """

    direct: bool = False
    """Of head product: train that map on the masks, too, not only its product with the shapes. Its weight is
    loss.weights: {saliency: 1}.
    """

    samples: int = pydantic.Field(28, ge=2, le=128)
    """Of head product: rows and columns of the points of a box at which masks are compared with the truth."""

    mask_side: pydantic.PositiveInt | None = None
    """Rows and columns of masks in the records, and of those that are found. Null for the records'."""

    threshold: float | None = pydantic.Field(None, ge=0, lt=1)
    """Probability above which a pixel belongs to an object. Null for the original's: 0.4 of product, 0.5 of dynamic."""

    margin: float | None = pydantic.Field(None, ge=0, le=2)
    """Of head dynamic: what a mask shows beyond its box on every side, as a part of its width and height. Null for 0.5.
    """

    @pydantic.model_validator(mode="after")
    def _of_its_head(self) -> "Mask":
        if self.head == "product" and self.margin:
            raise ValueError(f"margin is {self.margin}, but masks of head product end with their box. Leave it out")
        for name in PRODUCT_ONLY if self.head == "dynamic" else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is a setting of head product, and head is dynamic. Leave it out")
        side, margin = self.mask_side or SIDE, self.property.margin
        beyond = side * margin / (1 + 2 * margin)
        if beyond % 1:
            raise ValueError(
                f"with margin {margin}, {beyond:.2f} of {side} columns of a mask lie left of its box, which are no "
                "whole ones. Try 0.5"
            )
        return self

    def complete(self, records: Any) -> "Mask":
        known = records.property(Masks.name)
        if known is None:
            raise UsageError(
                f"{records.directory}: its dataset.yaml has no masks, which task 'mask' needs. Write the records with "
                "masks, from annotations that have them."
            )
        if self.mask_side not in (None, known.side):
            raise UsageError(
                f"mask.mask_side: {self.mask_side}, but masks of {records.directory} have {known.side} rows and "
                "columns. Leave the setting out."
            )
        try:
            return type(self).model_validate({**self.model_dump(), "mask_side": known.side})
        except pydantic.ValidationError as error:
            raise UsageError(f"mask: {error.errors()[0]['ctx']['error']}.") from None

    @property
    def property(self) -> Masks:
        """Masks as records hold them and as they are found."""
        threshold = THRESHOLDS[self.head] if self.threshold is None else self.threshold
        margin = MARGINS[self.head] if self.margin is None else self.margin
        return Masks(side=self.mask_side or SIDE, threshold=threshold, margin=margin)

    def build(self, centers: Centers) -> Task:
        heads, terms, encode, decode_masks = self._product(centers) if self.head == "product" else self._dynamic()

        def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            found = centers.decode(outputs, peaks)
            return {**found, **decode_masks(outputs, peaks, found["boxes"])}

        return Task(
            name="mask",
            heads=(*centers.heads(), *heads),
            terms=(*centers.terms(), *terms),
            encode=lambda rows, located: {**centers.encode(rows, located), **encode(rows, located)},
            decode=find,
            fields=(*SHARED, self.property.fields[0]),
            finds=(Find("masks"),),
            property=self.property,
        )

    def _product(self, centers: Centers) -> tuple[Any, ...]:
        """Heads, terms, (rows, located) -> targets, and (outputs, peaks, boxes) -> masks."""
        channels = 1 if self.saliency == "agnostic" else centers.num_classes
        sides = (self.property.side,) * 2
        heads = (
            Head("shape", self.side**2, mirror=MirrorShape(self.side), at_centers=True),
            Head("saliency", channels, mirror=unmirrored),
        )
        terms = [Term("mask", ("shape", "saliency"), losses.product)]
        if self.direct:
            terms.append(Term("saliency", ("saliency",), losses.direct_saliency))

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            made = {"mask": targets.encode(rows, located, self.samples, centers.ltrb, self.saliency == "class")}
            if self.direct:
                made["saliency"] = targets.encode_saliency(rows, located["grid"], channels)
            return made

        return heads, terms, encode, lambda outputs, peaks, boxes: decode.decode(outputs, peaks, boxes, sides)

    def _dynamic(self) -> tuple[Any, ...]:
        """As `_product`. A mirrored image has features and weights of its own, so no mean of the two means anything."""
        sides, margin = (self.property.side,) * 2, self.property.margin
        heads = (
            Head("seg_feat", dynamic.FEATURES, spread=True),
            Head("conv_weight", dynamic.WEIGHTS, at_centers=True, spread=True),
        )
        terms = [Term("mask", ("seg_feat", "conv_weight"), dynamic.dice, DICE_WEIGHT)]

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            return {"mask": dynamic.encode(rows, located)}

        return heads, terms, encode, lambda *found: dynamic.decode(*found, sides, margin)
