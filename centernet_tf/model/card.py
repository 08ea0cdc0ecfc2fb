"""The card of a model: everything besides the weights that is needed to use a network or to continue training it."""

from typing import Annotated, Any, Literal

import pydantic

from centernet_tf import preprocess
from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import TaskSettings
from centernet_tf.points.task_set import TaskSet
from centernet_tf.tasks import build_tasks, check_tasks, read_task

FORMAT = 1
Score = Annotated[float, pydantic.Field(ge=0, le=1)]
# Of pixels in 0..1; a deviation of 0 would make every pixel infinite.
Mean = Annotated[float, pydantic.Field(allow_inf_nan=False, ge=-1e3, le=1e3)]
Deviation = Annotated[float, pydantic.Field(allow_inf_nan=False, ge=1e-6, le=1e6)]


class InputCard(pydantic.BaseModel):
    """How an image becomes the network's input.

    Attributes:
        mode: "fixed" fits every image into height x width; "keep" keeps its resolution and pads to the stride.
        height: Of the fixed input in pixels; training's size where the resolution is kept.
        width: Likewise.
        stride: Sides of an input are multiples of it.
        mean: Normalisation, see `preprocess.Normalization`; likewise `std` and `order`.
        std: See mean.
        order: See mean.
        fill: Grey level around an image that does not fill the input, 0 to 255.
        resample: How an image is scaled to a fixed input: "bilinear" as `preprocess.warp`, of the four nearest pixels,
            or "area" as `preprocess.letterbox`, of all that a pixel covers, as FairMOT does.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    mode: Literal["fixed", "keep"] = "fixed"
    height: pydantic.PositiveInt
    width: pydantic.PositiveInt
    stride: pydantic.PositiveInt
    mean: tuple[Mean, Mean, Mean] = preprocess.COCO_MEAN
    std: tuple[Deviation, Deviation, Deviation] = preprocess.COCO_STD
    order: Literal["bgr", "rgb"] = "bgr"
    fill: float = pydantic.Field(0.0, ge=0, le=255)
    resample: preprocess.Resample = "bilinear"

    @property
    def normalization(self) -> preprocess.Normalization:
        """As the graph takes it."""
        return preprocess.Normalization(self.mean, self.std, self.order)

    def resized(self, size: tuple[int, int] | None) -> "InputCard":
        """A card for fixed inputs of this height and width in pixels, or, for None, one that keeps the resolution.

        Raises:
            UsageError: A side is no multiple of the stride; the message names the nearest size.
        """
        if size is None:
            return self.model_copy(update={"mode": "keep"})
        height, width = nearest = tuple(max(self.stride, round(side / self.stride) * self.stride) for side in size)
        if nearest != tuple(size):
            raise UsageError(
                f"size {size[0]}x{size[1]} is not a multiple of {self.stride}, which this network needs. "
                f"Try {height}x{width}."
            )
        return self.model_copy(update={"mode": "fixed", "height": height, "width": width})


class ModelCard(pydantic.BaseModel):
    """What a network is.

    Attributes:
        format: Version of this card.
        tasks: What the network predicts: {task: its settings}, complete, as JSON holds them.
        backbone: Its trunk.
        classes: Names in channel order.
        max_objects: Detections per image, and objects trained on.
        class_specific_size: Whether the size head has two channels per class.
        ltrb: Whether the size head has the distances to the four edges instead of width and height.
        iou_aware: How much the IoU that a head of its own tells counts in scores, see `points.centers.Centers`; 0 where
            there is no such head.
        head_channels: Width of the hidden convolution of each head, 0 for none; the backbone's own if None. Of some
            heads by their names.
        input: How an image becomes its input.
        thresholds: Of each class, fitted on validation images: detections that score above are kept where nobody says
            otherwise. None where none were fitted.
        about: Where it comes from: settings, data, score. For people; nothing reads it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    tasks: dict[str, dict[str, Any]]
    backbone: str
    classes: tuple[str, ...]
    max_objects: pydantic.PositiveInt
    class_specific_size: bool = False
    ltrb: bool = False
    iou_aware: float = pydantic.Field(0.0, ge=0, lt=1)
    head_channels: pydantic.NonNegativeInt | dict[str, pydantic.NonNegativeInt] | None = None
    input: InputCard
    thresholds: tuple[Score, ...] | None = None
    about: dict[str, Any] = {}

    @pydantic.field_validator("tasks")
    @classmethod
    def _complete_settings(cls, tasks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Checks the settings of each task, and adds those that have defaults."""
        check_tasks(list(tasks))
        return {name: read_task(name, values).model_dump(mode="json") for name, values in tasks.items()}

    @pydantic.model_validator(mode="after")
    def _one_threshold_each(self) -> "ModelCard":
        if self.thresholds is not None and len(self.thresholds) != len(self.classes):
            raise ValueError(f"thresholds: {len(self.thresholds)} of {len(self.classes)} classes. Give one for each.")
        return self

    @property
    def settings(self) -> dict[str, TaskSettings]:
        """The tasks as `build_tasks` takes them."""
        return {name: read_task(name, values) for name, values in self.tasks.items()}

    def task_set(self, **options: Any) -> TaskSet:
        """The tasks of this network; options are further settings of `Centers`, which only training needs."""
        centers = Centers(
            num_classes=len(self.classes),
            max_objects=self.max_objects,
            class_specific_size=self.class_specific_size,
            ltrb=self.ltrb,
            iou_aware=self.iou_aware,
            class_names=self.classes,
            **options,
        )
        return build_tasks(self.settings, centers)
