"""The signatures of a SavedModel that follows objects over the frames of a video.

    track         input_tensor  uint8 [1, H, W, 3]  one frame, RGB      also as serving_default
    track_bytes   image_bytes   string [1]          one frame as a file

Each takes the state of the video beside it, `state_NAME`, and answers with the next one under the same names, beside
the outputs of `export.answers`. Whoever calls holds the state, so that one server follows any number of videos, and any
of several servers takes the next frame. Zeros begin a video; the frame stands for the one before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from centernet_tf.detector import remember
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.detector.remember import Remembered
from centernet_tf.exports.carried import PREFIX, PREVIOUS, PREVIOUS_BYTES
from centernet_tf.exports.tfod import tfod_answers

TRACK, TRACK_BYTES = "track", "track_bytes"
Endpoint = tuple[str, Callable[..., dict[str, Any]], list[tf.TensorSpec]]


def endpoints(graph: DetectorGraph, remembered: Remembered, decode: Callable[[Any], Any]) -> list[Endpoint]:
    """All signatures: names, functions, arguments.

    Args:
        graph: Of the model.
        remembered: What it remembers.
        decode: A file's bytes to [H, W, 3] uint8.
    """
    names = [extra.name for extra in graph.tasks.extras]
    extras = [tf.TensorSpec((None, *extra.shape), tf.float32, extra.name) for extra in graph.tasks.extras]
    shapes = remembered.shapes()
    state = [tf.TensorSpec(shape, dtype, PREFIX + name) for name, (shape, dtype) in shapes.items()]

    # A function of its own, so that the file holds the network once and not once for each signature.
    @tf.function(autograph=False)
    def run(frame: Any, previous: Any, *values: Any) -> dict[str, Any]:
        return _run(graph, remembered, frame, previous, dict(zip([*names, *shapes], values)))

    def track(input_tensor: Any, *values: Any) -> dict[str, Any]:
        previous, values = (values[0], values[1:]) if remembered.shows_previous else (input_tensor, values)
        answers = run(input_tensor, previous, *values)
        return {**answers, **({PREVIOUS: input_tensor} if remembered.shows_previous else {})}

    def track_bytes(image_bytes: Any, *values: Any) -> dict[str, Any]:
        file, values = (values[0], values[1:]) if remembered.shows_previous else (image_bytes, values)
        begins = tf.equal(values[len(names)][0], 0)
        file = tf.where(begins, image_bytes, file)
        answers = run(decode(image_bytes[0])[None], decode(file[0])[None], *values)
        return {**answers, **({PREVIOUS_BYTES: image_bytes} if remembered.shows_previous else {})}

    def arguments(name: str, shape: Sequence[int | None], dtype: Any, previous: str) -> list[tf.TensorSpec]:
        further = [tf.TensorSpec(shape, dtype, previous)] if remembered.shows_previous else []
        return [tf.TensorSpec(shape, dtype, name), *further, *extras, *state]

    pixels = arguments("input_tensor", (1, None, None, 3), tf.uint8, PREVIOUS)
    files = arguments("image_bytes", (1,), tf.string, PREVIOUS_BYTES)
    return [("serving_default", track, pixels), (TRACK, track, pixels), (TRACK_BYTES, track_bytes, files)]


def answer(graph: DetectorGraph, remembered: Remembered, frame: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the signature for pixels answers of a frame, the next state without the frame; `given` as it takes it."""
    values = {name.removeprefix(PREFIX): value for name, value in given.items()}
    return _run(graph, remembered, tf.constant(frame), values.get(remember.PREVIOUS, frame), values)


def _run(
    graph: DetectorGraph, remembered: Remembered, frame: Any, previous: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Answers and the next state without the frame; `given` holds extras and the state."""
    begins = tf.equal(given[remember.FRAMES][0], 0)
    with tf.control_dependencies(_faults(frame, previous, given[remember.MODEL], remembered.number, begins)):
        previous = tf.cond(begins, lambda: frame, lambda: previous)
        previous.set_shape(frame.shape)
    sizes = tf.shape(frame)[None, 1:3]
    seen = remembered.seen(frame, {**given, remember.PREVIOUS: previous})
    shown, fit = graph.show({"images": frame, "sizes": sizes, **seen})
    found = graph.find(graph.answer(shown), fit, given)
    found, state = remembered.step(found, given)
    answers = tfod_answers(found, sizes, 1, graph.tasks.properties)
    return {**answers, **{PREFIX + name: value for name, value in state.items()}}


def _faults(frame: Any, previous: Any, model: Any, number: int, begins: Any) -> list[Any]:
    """Assertions: the state is this model's, and of frames of this size."""
    ours = tf.logical_or(begins, tf.equal(model[0], number))
    alike = tf.logical_or(begins, tf.reduce_all(tf.equal(tf.shape(frame), tf.shape(previous))))
    told = "Give the state that came out with the frame before, or zeros to begin a video."
    return [
        tf.debugging.Assert(ours, [f"The state is of another model than {number}:", model, told]),
        tf.debugging.Assert(alike, ["The frame has another size than the one before:", tf.shape(frame), told]),
    ]
