"""The table of tasks, and their union on one trunk."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from centernet_tf.errors import UsageError, closest
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import TaskSettings, first_problem
from centernet_tf.points.task_set import TaskSet
from centernet_tf.tasks.action import Action
from centernet_tf.tasks.box3d import Box3d
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.hoi import Hoi
from centernet_tf.tasks.mask import Mask
from centernet_tf.tasks.pose import Pose
from centernet_tf.tasks.reid import Reid
from centernet_tf.tasks.track import Track

TASKS: dict[str, type[TaskSettings]] = {
    "detect": Detect,
    "pose": Pose,
    "box3d": Box3d,
    "track": Track,
    "reid": Reid,
    "action": Action,
    "mask": Mask,
    "hoi": Hoi,
}


def check_tasks(names: Sequence[str]) -> None:
    """Checks names of tasks that share one trunk.

    Raises:
        UsageError: No task, an unknown one, or one named twice.
    """
    for name in names:
        if name not in TASKS:
            raise UsageError(f"Unknown task {name!r}.{closest(name, TASKS)} Known: {', '.join(sorted(TASKS))}.")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"Tasks {list(names)}: name at least one, and each only once.")


def read_task(name: str, values: Mapping[str, Any]) -> TaskSettings:
    """The settings of a task, from plain values such as those of a model card.

    Raises:
        UsageError: The task is unknown, or its settings are.
    """
    check_tasks([name])
    try:
        return TASKS[name].model_validate(values)
    except pydantic.ValidationError as error:
        raise UsageError(f"{name}.{first_problem(error)}.") from None


def build_tasks(tasks: Mapping[str, TaskSettings], centers: Centers) -> TaskSet:
    """Joins tasks on one trunk.

    Args:
        tasks: {key of `TASKS`: settings}, at least one.
        centers: Settings of the points they share.

    Returns:
        The union of their heads and terms, with one encode and one decode.

    Raises:
        UsageError: No task or an unknown one; settings that do not suffice or exclude each other; a weight of a term
            that none of them has.
    """
    check_tasks(list(tasks))
    centers.check()
    built = tuple(settings.build(centers) for settings in tasks.values())
    # The original of one task rounds, that of another does not; a heatmap has one radius for both. Likewise its terms.
    located = dataclasses.replace(
        centers,
        whole_sides=any(task.whole_sides for task in built),
        whole_boxes=any(task.whole_boxes for task in built),
        every_row=all(task.every_row for task in built),
        every_object=any(task.every_object for task in built),
    )
    made = TaskSet(built, located.locate, centers.peaks, centers.weights, centers.peaks_at)
    terms = [term.name for term in made.terms]
    for name in centers.weights:
        if name not in terms:
            raise UsageError(f"loss.weights: no term {name!r}.{closest(name, terms)} Known here: {', '.join(terms)}.")
    return made
