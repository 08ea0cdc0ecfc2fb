"""The settings of one run: its own, its sections, and a section for each task."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pydantic
from pydantic_core import PydanticCustomError

from centernet_tf.config.evaluate_settings import EvaluateSettings
from centernet_tf.config.train_settings import TrainSettings
from centernet_tf.data.augment_settings import AugmentSettings
from centernet_tf.data.data_settings import DataSettings
from centernet_tf.points.loss_settings import LossSettings
from centernet_tf.points.task import Section, TaskSettings
from centernet_tf.tasks import TASKS, check_tasks


class Settings(Section):
    """What a run learns, with which network, and what it starts from.

    The settings of each task that is trained are a section under the task's name; `settings_type` adds them.
    """

    task: tuple[str, ...] = ("detect",)
    """What is learnt: one task, or several on one backbone, [detect, track]. Each has a section of settings under its
    name.
    """

    backbone: str = "resnet18"
    """The network's trunk, by its name in the table of backbones. The feature pyramids, resnet18_fpn and
    mobilenetv2_fpn, train faster from scratch than the original's resnet18; dla34_dcn, the original's default, is its
    most accurate for its run time.
    """

    head_channels: pydantic.NonNegativeInt | dict[str, pydantic.NonNegativeInt] | None = None
    """Width of the 3x3 convolution in each head, 0 for none; of some heads by their names, {size: 128}. Null for the
    backbone's own, as in the original: 64, or 256 of dla34 and hourglass104.
    """

    classes: tuple[str, ...] | None = None
    """Names of the classes in their order, to make sure that the records have these. Null for those of the records."""

    weights: Literal["imagenet"] | Path | None = None
    """What the training starts from: a model file (.keras) or a name that `centernet models` shows, a checkpoint of
    PyTorch (.pth), Keras weights of the trunk, or imagenet, which downloads a trunk that was trained on ImageNet. What
    does not fit, such as heads of other classes, starts anew. Null for random weights.
    """

    max_objects: pydantic.PositiveInt = 100
    """How many objects of an image are learnt at most, and how many are found. Set it to what your fullest image holds;
    further ones are left out.
    """

    class_specific_size: bool = False
    """Learn a width and height for each class instead of one for all."""

    ltrb: bool = False
    """Learn the distances from the centre to the four edges instead of width and height, so that boxes may lie off
    their centre and reach beyond the image.
    """

    iou_aware: float = pydantic.Field(0.0, ge=0, lt=1)
    """Learn how well each box fits, too, and score it by score^(1 - a) IoU^a with this a; 0 for the score alone, as in
    the original.
    """

    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _sections_of_tasks(cls, content: Any) -> Any:
        """Gives every task that is trained its section, so that defaults are filled in and what is missing is told."""
        named = content.get("task", ("detect",)) if isinstance(content, dict) else ()
        named = [named] if isinstance(named, str) else named
        named = named if isinstance(named, list | tuple) else []
        sections = {name: {} for name in named if isinstance(name, str) and name in TASKS}
        return {**sections, **content} if sections else content

    @pydantic.field_validator("task", mode="before")
    @classmethod
    def _one_task(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @pydantic.field_validator("task")
    @classmethod
    def _known_tasks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_tasks(value)
        return value

    @pydantic.model_serializer(mode="wrap")
    def _without_other_tasks(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name not in TASKS or name in self.task}

    @property
    def tasks(self) -> dict[str, TaskSettings]:
        """The settings of each task that is trained."""
        return {name: getattr(self, name) for name in self.task}

    def learning_rate(self) -> float:
        """The peak learning rate, for the images of one update.

        "auto" is the original's linear rule, 1.25e-4 for 32 images. It suits a trained trunk and large batches; with 8
        images and no trained weights it is too low to take off in hours. "scratch" is 5e-4 for 8 images and grows with
        the square root of their number, as Adam's noise does.
        """
        images = self.train.batch_size * self.train.accumulate
        rules = {"auto": 1.25e-4 * images / 32, "scratch": 5e-4 * (images / 8) ** 0.5}
        return rules.get(self.train.learning_rate, self.train.learning_rate)


def settings_type() -> type[Settings]:
    """Settings with a section for each task that is in the table now."""
    return _settings_type(tuple(TASKS.items()))


@functools.cache
def _settings_type(tasks: tuple[tuple[str, type[TaskSettings]], ...]) -> type[Settings]:
    if taken := [name for name, _ in tasks if name in Settings.model_fields]:
        raise ValueError(f"Task {taken[0]!r} has the name of a setting. Give it another in centernet_tf.tasks.TASKS.")
    sections: dict[str, Any] = {
        name: (Annotated[section | None, pydantic.BeforeValidator(_some_section)], None) for name, section in tasks
    }
    return pydantic.create_model("Settings", __base__=Settings, __module__=__name__, **sections)


def _some_section(value: Any) -> Any:
    """Refuses a section that is there but empty, as all other sections do."""
    if value is None:
        raise PydanticCustomError("model_type", "Input should be settings")
    return value


def section_of(section: type[Section], name: str) -> type[Section] | None:
    """The type of a section's section of this name; None for plain settings and unknown names."""
    field = section.model_fields.get(name)
    parts = (get_args(field.annotation) or (field.annotation,)) if field else ()
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)
