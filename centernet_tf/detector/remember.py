"""One frame of a video at a time inside a graph: the memory goes in with the frame, and comes out with its objects.

What goes in and out is a state of named arrays of fixed shapes, each with one row for its one video:

    frames    [1] int32     frames seen so far; 0 begins a video, whatever the others hold
    model     [1] int32     number of the model that made it, so that no other takes it for its own
    previous  [1, H, W, 3]  the last frame, where the network sees it
    NAME      [1, ...]      what the task that associates remembers

Zeros throughout are the state of a video that begins, with the frame itself as the previous one.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from centernet_tf.detector import frames
from centernet_tf.errors import UsageError
from centernet_tf.points.task_set import TaskSet

FRAMES, MODEL, PREVIOUS = "frames", "model", "previous"
Shapes = dict[str, tuple[tuple[int, ...], str]]  # {name: (shape, type)}


def check(tasks: TaskSet) -> None:
    """Raises UsageError where no graph can carry what a model remembers."""
    association, names = tasks.associate, ", ".join(task.name for task in tasks.tasks)
    if association is None:
        seen = [*frames.shown(tasks.inputs), *(name for name, one in tasks.inputs.items() if one.draw is not None)]
        raise UsageError(
            f"This model of {names} sees {' and '.join(seen)} of a video but remembers nothing from frame to frame, "
            "and exported files take frames one by one. Use the model file itself."
        )
    if association.graph is None:
        raise UsageError(
            f"This model of {names} associates objects over time by settings that only the host knows, so no exported "
            "file can. Use the model file itself, or change them."
        )
    further = {name: one.frames for name, one in frames.shown(tasks.inputs).items() if one.frames != (-1,)}
    if further or any(find.level == "pair" for find in tasks.finds):
        raise UsageError(
            f"This model of {names} sees frames {further} or finds pairs, and exported files that remember hold the "
            "last frame and objects. Use the model file itself."
        )


def is_needed(tasks: TaskSet) -> bool:
    """Whether a model sees or remembers more than one image at a time.

    One that only the host associates sees single images, and its exports do too: whoever calls them associates.
    """
    carries = tasks.associate is not None and tasks.associate.graph is not None
    return carries or bool(frames.shown(tasks.inputs)) or frames.are_drawn(tasks.inputs)


def number_of(network: keras.Model) -> int:
    """[0, 2^31) by which a state knows its model: a checksum of the weights."""
    number = 0
    for weight in network.get_weights():
        number = zlib.crc32(weight.tobytes(), number)
    return number & 0x7FFFFFFF


class Remembered:
    """What a graph remembers of one video.

    Args:
        tasks: Of the network; `check` accepts them.
        count: Objects K that it finds in a frame.
        number: Of the model, as `number_of` gives it.
    """

    behind = None  # see `clips.Held`: what is found is of the frame that comes in

    def __init__(self, tasks: TaskSet, count: int, number: int):
        self.count, self.number = count, number
        self._graph = tasks.associate.graph
        self.shows_previous = [*frames.shown(tasks.inputs)]
        self.draws = frames.are_drawn(tasks.inputs)

    def shapes(self) -> Shapes:
        """Of the whole state but `previous`, whose height and width are those of the frames."""
        memory = self._graph.start(self.count)
        own = {
            name: ((1, *values.shape), keras.backend.standardize_dtype(values.dtype)) for name, values in memory.items()
        }
        return {FRAMES: ((1,), "int32"), MODEL: ((1,), "int32"), **own}

    def seen(self, images: Any, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the network sees beside the frame, as `DetectorGraph.show` takes it.

        Args:
            images: [1, H, W, 3] the frame.
            state: As it came out with the frame before.
        """
        begins = ops.equal(state[FRAMES], 0)
        given: dict[str, Any] = {}
        for name in self.shows_previous:
            given[name] = ops.where(begins[:, None, None, None], images, state[PREVIOUS])
        if self.draws:
            rows = self._graph.recall(self._memory(state))
            given[frames.ROWS] = {name: values[None] for name, values in rows.items()}
        return given

    def step(self, found: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Makes of objects those that are told, and the next state.

        Args:
            found: {field: [1, K, ...]}, best score first.
            state: As it came in with the frame.

        Returns:
            The same fields and what the association adds. Rows of objects that are not told come last, with score 0;
            and the next state without `previous`.
        """
        rows = {name: values[0] for name, values in found.items()}
        told, more, memory = self._graph.step(rows, self._memory(state))
        rows = {**rows, **more}
        place = ops.arange(self.count, dtype="float32") + ops.where(told, 0.0, float(self.count))
        order = ops.cast(ops.top_k(-place, self.count)[1], "int32")
        named = {name: ops.take(values, order, axis=0)[None] for name, values in rows.items()}
        named["scores"] = ops.where(ops.take(told, order)[None], named["scores"], 0.0)
        after = {name: values[None] for name, values in memory.items()}
        model = ops.full((1,), self.number, "int32")
        return named, {FRAMES: state[FRAMES] + 1, MODEL: model, **after}

    def _memory(self, state: Mapping[str, Any]) -> dict[str, Any]:
        begins = ops.equal(state[FRAMES][0], 0)
        start = self._graph.start(self.count)
        return {name: ops.where(begins, values, state[name][0]) for name, values in start.items()}
