"""What every exported file says of its model, as one JSON text, and what the model takes of each image beside pixels.

    {"classes": [name], "tasks": {name: settings}, "properties": {name: settings}, "extras": {name: usual or null}}

Classes and properties are for clients (`properties.read_properties`); by its tasks a runner knows how images and
extras are fitted.
"""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from centernet_tf.detector import frames
from centernet_tf.detector.extras import complete
from centernet_tf.errors import UsageError
from centernet_tf.geometry.affine import Window
from centernet_tf.model.card import ModelCard
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Extra
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties import as_plain, read_properties
from centernet_tf.properties.property import Property
from centernet_tf.tasks import TASKS, build_tasks, check_tasks

ABOUT = "model.json"  # Name of the file or the entry that holds it.


@dataclasses.dataclass(frozen=True)
class About:
    """What a file says of its model.

    Attributes:
        classes: Names in channel order.
        properties: What it finds of objects besides box and class.
        extras: What it takes of each image beside its pixels.
        window: What of an image fills its input's width, where its caller fits images to it.
        shifted_sizes: Whether what an image is shifted by on its way into the input takes from the sizes of its boxes.
    """

    classes: tuple[str, ...]
    properties: tuple[Property, ...]
    extras: tuple[Extra, ...]
    window: Window = "longer side"
    shifted_sizes: bool = False


def check_single_image(tasks: TaskSet) -> None:
    """Raises UsageError where a model sees more than one image at a time, which exported files do not take."""
    further = [*frames.shown(tasks.inputs), *(name for name, wanted in tasks.inputs.items() if wanted.draw is not None)]
    if further:
        raise UsageError(
            f"This model sees {' and '.join(further)} of a video, and exported files take single images. Use the model "
            "file itself."
        )


def about_text(card: ModelCard) -> str:
    """The JSON text of a model."""
    tasks = card.task_set()
    content = {
        "classes": card.classes,
        "tasks": card.tasks,
        "properties": as_plain(tasks.properties),
        "extras": {extra.name: extra.usual for extra in tasks.extras},
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def read_about(text: str, where: str) -> About:
    """What `about_text` wrote.

    Args:
        text: It.
        where: Name of the file, for messages.

    Raises:
        UsageError: It is damaged, or a task in it is unknown.
        DataError: A property in it is unknown.
    """
    try:
        content = json.loads(text)
        classes, tasks, properties = tuple(content["classes"]), content["tasks"], content["properties"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where}: {ABOUT} in it is damaged ({error!r}). Export the model again.") from None
    check_tasks(list(tasks))
    settings = {name: TASKS[name].model_validate(values) for name, values in tasks.items()}
    built = build_tasks(settings, Centers(len(classes), class_names=classes))
    return About(classes, read_properties(properties, where), built.extras, built.window, built.shifted_sizes)


def usual_extras(extras: Sequence[Extra]) -> dict[str, np.ndarray]:
    """{name: [1, ...]}, the usual value of each, with which an export is tried out.

    Raises:
        UsageError: One has none.
    """
    if missing := [extra.name for extra in extras if extra.usual is None]:
        raise UsageError(
            f"the model file has no usual {missing[0]}, with which the export would be compared with the model. Set it "
            "in the settings of training, or convert the model again."
        )
    return {name: value[None] for name, value in complete({}, extras).items()}
