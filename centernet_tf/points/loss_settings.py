"""Settings of the loss: the section `loss` of a run's YAML."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from centernet_tf.points.centers import Box, Regression
from centernet_tf.points.task import Section

Weight = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


class LossSettings(Section):
    """What counts how much in the loss; the defaults are the original's."""

    weights: dict[str, Weight] = pydantic.Field(default_factory=dict)
    """How much terms of the loss count, by the names that they have in the log: {size: 0.5}. All others keep theirs, as
    the originals have them: size 0.1, or 5 where `box` is not sides, and most others 1.
    """

    regression: Regression = "l1"
    """How errors of offsets within a cell and of sizes are measured: by L1, or by smooth L1, which spares small ones.
    """

    corrected_radius: bool = False
    """Draw Gaussians with the radius that CornerNet derives. The published code's, with which all published weights
    were trained, is some three times as large.
    """

    ignore_crowd: bool = False
    """Neither learn boxes of crowds nor count what is found in them as false. The original learns them as objects."""

    ignored_area: bool = False
    """Leave the whole box of an ignored object unjudged, not just its centre."""

    ignore_high: float | None = pydantic.Field(None, gt=0, lt=1)
    """Score from which a cell without an object costs nothing, for labels that miss objects; 0.85 in CenterNet2's code.
    Null for none.
    """

    box: Box = "sides"
    """How boxes are compared with the truth: by their sides, as in the original, or as wholes by IoU, GIoU, DIoU or
    CIoU, which costs accuracy where objects are smaller than 32 pixels.
    """

    area: float = pydantic.Field(0.0, ge=0, le=1)
    """Learn a box in all cells whose distance from its centre is at most this part of half its sides: 0.54 in TTFNet. 0
    for the centre's cell alone, as in the original.
    """

    ellipse: float = pydantic.Field(0.0, ge=0, le=1)
    """Gaussians of centres follow the box's shape, with radii of this part of half its sides: 0.54 in TTFNet. 0 for
    circles, as in the original.
    """

    class_weights: Literal["balanced"] | dict[str, Weight] = pydantic.Field(default_factory=dict)
    """How much classes count in the heatmap's loss, {cat: 2}, 1 for all others; balanced lets all count alike, however
    many objects they have.
    """

    def options(self, objects: Mapping[str, int]) -> dict[str, Any]:
        """The settings as `Centers` takes them.

        Args:
            objects: How many objects of each class are trained on.
        """
        options = self.model_dump()
        if self.class_weights == "balanced":
            options["class_weights"] = balanced(objects)
        return options


def balanced(objects: Mapping[str, int]) -> dict[str, float]:
    """Weights of classes by which each counts alike, 1 in the mean of all objects.

    The number of objects over that of classes and that of the class's own, as scikit-learn's `class_weight="balanced"`;
    1 of classes without objects, which are none of those that are counted.
    """
    present = [count for count in objects.values() if count]
    each = sum(present) / max(len(present), 1)
    return {name: each / count if count else 1.0 for name, count in objects.items()}
