"""What every exported file says of its model, as one JSON text, and what the model takes of each image beside pixels.

    {"classes": [name], "tasks": {name: settings}, "properties": {name: settings}, "extras": {name: usual or null},
     "state": what is carried from frame to frame; null or nothing where images are single,
     "fill": grey level around images that do not fill the input; 0 where nothing says so,
     "resample": how images are scaled to the input; "bilinear" where nothing says so,
     "thresholds": [score] of the classes, above which detections are kept; nothing where none were fitted. The graph
         answers all its detections whatever they score; leaving some out is up to its caller}

Classes and properties are for clients (`properties.read_properties`); by its tasks a runner knows how images and
extras are fitted.
"""

import dataclasses
import json
from collections.abc import Sequence

import keras
import numpy as np

from centernet_tf.detector import remember
from centernet_tf.detector.clips import Held, seen_by
from centernet_tf.detector.extras import complete
from centernet_tf.errors import UsageError
from centernet_tf.exports.carried import PREFIX, State
from centernet_tf.geometry.affine import Window
from centernet_tf.model.card import ModelCard
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Association, Extra, Input
from centernet_tf.points.task_set import TaskSet
from centernet_tf.preprocess import Resample
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
        fill: Grey level around images there.
        resample: How they are scaled there.
        shifted_sizes: Whether what an image is shifted by on its way into the input takes from the sizes of its boxes.
        state: What it carries from frame to frame; None where it takes single images.
        associate: What makes its detections of a video belong together, for its caller to do; None where nothing does,
            or the file.
        clip: What its network sees, where that is clips of videos; else None.
        clipped: Whether found boxes are cut to the last pixels of images, which a file that is given fitted images
            does not know.
        thresholds: Of each class, above which detections are kept, where they were fitted; for its caller to apply.
    """

    classes: tuple[str, ...]
    properties: tuple[Property, ...]
    extras: tuple[Extra, ...]
    window: Window = "longer side"
    fill: float = 0.0
    resample: Resample = "bilinear"
    shifted_sizes: bool = False
    state: State | None = None
    associate: Association | None = None
    clip: Input | None = None
    clipped: bool = False
    thresholds: tuple[float, ...] | None = None


def check_single_image(tasks: TaskSet, kind: str) -> None:
    """Raises UsageError where a model sees or remembers more than one image at a time, which this kind cannot."""
    if remember.is_needed(tasks):
        raise UsageError(
            f"This model sees or remembers several images of a video, and {kind} takes single images. Export a "
            "SavedModel or a TFLite file with the decode in it, or use the model file itself."
        )


def remembered_by(network: keras.Model, tasks: TaskSet, count: int) -> remember.Remembered | None:
    """What the graph of a model remembers that finds so many objects; None where it takes single images.

    Raises:
        UsageError: It sees or remembers what no exported file can.
    """
    if not remember.is_needed(tasks):
        return None
    remember.check(tasks)
    return remember.Remembered(tasks, count, remember.number_of(network))


def about_text(card: ModelCard, remembered: remember.Remembered | Held | None = None) -> str:
    """The JSON text of a model, and of the state of its videos."""
    tasks = card.task_set()
    content = {
        "classes": card.classes,
        "tasks": card.tasks,
        "properties": as_plain(one.exported() for one in tasks.properties),
        **card.input.model_dump(include={"fill", "resample"}, exclude_defaults=True),
        **({} if card.thresholds is None else {"thresholds": card.thresholds}),
        "extras": {extra.name: extra.usual for extra in tasks.extras},
        "state": None if remembered is None else state_of(remembered).as_plain(),
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def state_of(remembered: remember.Remembered | Held) -> State:
    """What a file says of its state."""
    arrays = {PREFIX + name: shape for name, shape in remembered.shapes().items()}
    return State(remembered.number, arrays, bool(remembered.shows_previous), remembered.behind)


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
        state = State.from_plain(content["state"]) if content.get("state") else None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where}: {ABOUT} in it is damaged ({error!r}). Export the model again.") from None
    check_tasks(list(tasks))
    settings = {name: TASKS[name].model_validate(values) for name, values in tasks.items()}
    built = build_tasks(settings, Centers(len(classes), class_names=classes))
    # What no graph can do, the host does.
    hosted = built.associate is not None and built.associate.graph is None
    return About(
        classes,
        read_properties(properties, where),
        built.extras,
        built.window,
        float(content.get("fill", 0)),
        content.get("resample", "bilinear"),
        built.shifted_sizes,
        state,
        built.associate if hosted else None,
        seen_by(built),
        built.clipped,
        tuple(content["thresholds"]) if content.get("thresholds") else None,
    )


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
