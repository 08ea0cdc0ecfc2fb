"""Settings of the loss: the section `loss` of a run's YAML."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from centernet_tf.points.centers import Box, Regression
from centernet_tf.points.task import Section

Weight = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


class LossSettings(Section):
    """What counts how much in the loss; the defaults are the original's.

    Each but `class_weights: balanced` is the attribute of `Centers` of its name.
    """

    weights: dict[str, Weight] = pydantic.Field(default_factory=dict)
    regression: Regression = "l1"
    corrected_radius: bool = False
    ignore_crowd: bool = False
    ignored_area: bool = False
    ignore_high: float | None = pydantic.Field(None, gt=0, lt=1)
    box: Box = "sides"
    area: float = pydantic.Field(0.0, ge=0, le=1)
    ellipse: float = pydantic.Field(0.0, ge=0, le=1)
    class_weights: Literal["balanced"] | dict[str, Weight] = pydantic.Field(default_factory=dict)

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
