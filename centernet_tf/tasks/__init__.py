"""The table of tasks, and their union on one trunk."""

import dataclasses
from collections.abc import Callable, Sequence

from centernet_tf.centers import Centers
from centernet_tf.errors import UsageError, closest
from centernet_tf.task import Task, TaskSet
from centernet_tf.tasks.box3d import box3d
from centernet_tf.tasks.detect import detect
from centernet_tf.tasks.pose import pose

TASKS: dict[str, Callable[[Centers], Task]] = {"detect": detect, "pose": pose, "box3d": box3d}


def build_tasks(names: Sequence[str], centers: Centers) -> TaskSet:
    """Joins tasks on one trunk.

    Args:
        names: Keys of `TASKS`, at least one.
        centers: Settings of the points they share.

    Returns:
        The union of their heads and terms, with one encode and one decode.

    Raises:
        UsageError: No task, an unknown one, or one named twice; or a weight of a term that none of them has.
    """
    for name in names:
        if name not in TASKS:
            raise UsageError(f"Unknown task {name!r}.{closest(name, TASKS)} Known: {', '.join(sorted(TASKS))}.")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"Tasks {list(names)}: name at least one, and each only once.")
    tasks = tuple(TASKS[name](centers) for name in names)
    # The original of one task rounds, that of another does not; a heatmap has one radius for both.
    located = dataclasses.replace(centers, whole_sides=any(task.whole_sides for task in tasks))
    made = TaskSet(tasks, located.locate, centers.peaks, centers.weights)
    terms = [term.name for term in made.terms]
    for name in centers.weights:
        if name not in terms:
            raise UsageError(f"loss.weights: no term {name!r}.{closest(name, terms)} Known here: {', '.join(terms)}.")
    return made
