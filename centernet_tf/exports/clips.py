"""The signatures of a SavedModel that sees clips: K frames at once, a whole video, or its frames one by one.

    serving_default  input_tensor  uint8 [B, K, H, W, 3]    clips, RGB, any height and width
    float_image      input_tensor  float32 [B, K, H, W, 3]  the same with values from 0 to 255
    image_bytes      image_bytes   string [B, K]            the frames as files; those of a clip have one size
    video            input_tensor  uint8 [N, H, W, 3]       all frames of a video, or a part of it
    video_bytes      image_bytes   string [N]               the same as files
    stream           input_tensor  uint8 [1, H, W, 3]       the next frame of a video
    stream_bytes     image_bytes   string [1]               the same as a file

A clip is answered with what is found around its present frame. A video is answered with that of each of its frames,
[N, ...]: there is a clip around each, and where the video begins or ends its first or last frame stands for those
beyond, as in `detector.follow`. Of a part, the answers at its ends are of such clips: send as many frames more.

The last two take the state of the video beside the frame, `state_NAME`, and answer with the next one under the same
names, as in `export.video`; zeros begin a video. Answers come `behind` frames late, see assets/model.json, because they
wait for the frames that follow; before, and only then, all scores are 0. At the end of a video, its last frame is sent
as often again. Each frame passes the trunk once. Models of optical flow take pictures of flow, of each frame as many as
they see of it, each once; they and models that keep the resolution of images have no `stream`.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from centernet_tf.detector import clips, remember
from centernet_tf.detector.clips import Clips, Held, taken_apart
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.exports.answers import COUNT, SCORES
from centernet_tf.exports.carried import PREFIX
from centernet_tf.exports.tfod import tfod_answers
from centernet_tf.exports.video import Endpoint
from centernet_tf.points.centers import STRIDE

STREAM, STREAM_BYTES, VIDEO, VIDEO_BYTES = "stream", "stream_bytes", "video", "video_bytes"
# Images and what makes files to them: [N] -> fitted [N, h, w, 3], fit [N, 4], height and width [N, 2].
FitFiles = Callable[[Any, DetectorGraph], tuple[Any, Any, Any]]


class _Served:
    """The parts of a network as functions of their own, so that the file holds each once and not in each signature."""

    def __init__(self, graph: DetectorGraph, network: keras.Model, xla: bool):
        card, wanted = graph.card, clips.seen_by(graph.tasks)
        each, together = taken_apart(network, graph.tasks)
        channels = {name: values.shape[-1] for name, values in each.output.items()}
        side = (None, None) if card.mode == "keep" else (card.height, card.width)
        grid = tuple(one and one // STRIDE for one in side)
        extras = {one.name: tf.TensorSpec((None, *one.shape), tf.float32) for one in graph.tasks.extras}
        windows = {
            name: tf.TensorSpec((None, *grid, len(wanted.frames) * count), each.output[name].dtype)
            for name, count in channels.items()
        }
        find = [windows, tf.TensorSpec((None, 4)), tf.TensorSpec((None, 2), tf.int32), extras]

        @tf.function(input_signature=[tf.TensorSpec((None, *side, wanted.channels))], autograph=False, jit_compile=xla)
        def run_each(frames: Any) -> dict[str, Any]:
            return each(frames, training=False)

        run_together = tf.function(together, jit_compile=True) if xla else together

        @tf.function(input_signature=find, autograph=False)
        def search(seen: Any, fit: Any, sizes: Any, extras: Any) -> dict[str, Any]:
            found = clips.search(graph, run_together, seen, fit, sizes, extras)
            return tfod_answers(found, sizes, 1, graph.tasks.properties)

        def cast(seen: dict[str, Any]) -> dict[str, Any]:
            return {name: tf.cast(values, windows[name].dtype) for name, values in seen.items()}

        self.clips = Clips(wanted, card.normalization, lambda frames, training: run_each(frames))
        self.search = lambda seen, *others: search(cast(seen), *others)


def endpoints(
    graph: DetectorGraph, network: keras.Model, held: Held | None, fit_files: FitFiles, xla: bool = False
) -> list[Endpoint]:
    """All signatures: names, functions, arguments.

    Args:
        graph: Of the model.
        network: As it is exported.
        held: What is held of a video whose frames come one by one, if they can.
        fit_files: Makes files to what the graph sees.
        xla: Compile the network with XLA.
    """
    served = _Served(graph, network, xla)
    count, present = len(served.clips.pictures), served.clips.present
    names = [extra.name for extra in graph.tasks.extras]
    extras = [tf.TensorSpec((None, *extra.shape), tf.float32, extra.name) for extra in graph.tasks.extras]

    def fit_images(pixels: Any) -> tuple[Any, Any, Any]:
        shape = tf.shape(pixels)
        sizes = tf.broadcast_to(shape[1:3], (shape[0], 2))
        return (*graph.fit_images(pixels, sizes), sizes)

    # Functions of their own too, each of which several signatures share.
    specs = {dtype: [tf.TensorSpec((None, None, None, 3), dtype)] for dtype in (tf.uint8, tf.float32)}
    fits = {dtype: tf.function(fit_images, spec, autograph=False) for dtype, spec in specs.items()}
    fit_all = tf.function(lambda files: fit_files(files, graph), [tf.TensorSpec((None,), tf.string)], autograph=False)

    def fit_pixels(pixels: Any) -> tuple[Any, Any, Any]:
        return fits[pixels.dtype](pixels)

    def of_clips(fitted: Any, fit: Any, sizes: Any, values: Any) -> dict[str, Any]:
        fit, sizes = fit[present::count], sizes[present::count]
        return served.search(served.clips.of_clips(fitted), fit, sizes, dict(zip(names, values)))

    def pixels(input_tensor: Any, *values: Any) -> dict[str, Any]:
        shape = tf.shape(input_tensor)
        return of_clips(*fit_pixels(tf.reshape(input_tensor, (-1, shape[2], shape[3], 3))), values)

    def image_bytes(image_bytes: Any, *values: Any) -> dict[str, Any]:
        fitted, fit, sizes = fit_all(tf.reshape(image_bytes, (-1,)))
        clip = tf.reshape(sizes, (-1, count, 2))
        with tf.control_dependencies([tf.debugging.assert_equal(clip, clip[:, :1], _SIZES)]):
            return of_clips(tf.identity(fitted), fit, sizes, values)

    def of_video(fitted: Any, fit: Any, sizes: Any, values: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_equal(sizes, sizes[:1], _SIZES)]):
            seen = served.clips.of_video(tf.identity(fitted))
        return served.search(seen, fit, sizes, dict(zip(names, values)))

    def video(input_tensor: Any, *values: Any) -> dict[str, Any]:
        return of_video(*fit_pixels(input_tensor), values)

    def video_bytes(image_bytes: Any, *values: Any) -> dict[str, Any]:
        return of_video(*fit_all(image_bytes), values)

    shape = (None, count, None, None, 3)
    signatures: list[Endpoint] = [
        ("serving_default", pixels, [tf.TensorSpec(shape, tf.uint8, "input_tensor"), *extras]),
        ("float_image", pixels, [tf.TensorSpec(shape, tf.float32, "input_tensor"), *extras]),
        ("image_bytes", image_bytes, [tf.TensorSpec(shape[:2], tf.string, "image_bytes"), *extras]),
        (VIDEO, video, [tf.TensorSpec((None, *shape[2:]), tf.uint8, "input_tensor"), *extras]),
        (VIDEO_BYTES, video_bytes, [tf.TensorSpec((None,), tf.string, "image_bytes"), *extras]),
    ]
    if held is None:
        return signatures
    state = held.shapes()
    specs = [tf.TensorSpec(one, dtype, PREFIX + name) for name, (one, dtype) in state.items()]

    def step(fitted: Any, fit: Any, sizes: Any, values: Any) -> dict[str, Any]:
        given = dict(zip([*names, *state], values))
        with tf.control_dependencies(_faults(sizes, given, held.number)):
            made = served.clips.of_frame(tf.identity(fitted))
        seen, after = held.join(made, given, sizes)
        answers = served.search(seen, fit, sizes, {name: given[name] for name in names})
        answers |= {name: held.told(answers[name], given) for name in (SCORES, COUNT)}
        return {**answers, **{PREFIX + name: value for name, value in after.items()}}

    def stream(input_tensor: Any, *values: Any) -> dict[str, Any]:
        return step(*fit_pixels(input_tensor), values)

    def stream_bytes(image_bytes: Any, *values: Any) -> dict[str, Any]:
        return step(*fit_all(image_bytes), values)

    frame = tf.TensorSpec((1, *shape[2:]), tf.uint8, "input_tensor")
    return [
        *signatures,
        (STREAM, stream, [frame, *extras, *specs]),
        (STREAM_BYTES, stream_bytes, [tf.TensorSpec((1,), tf.string, "image_bytes"), *extras, *specs]),
    ]


def _faults(sizes: Any, given: dict[str, Any], number: int) -> list[Any]:
    """Assertions: the state is this model's, and of frames of this size."""
    begins = tf.equal(given[remember.FRAMES][0], 0)
    ours = tf.logical_or(begins, tf.equal(given[remember.MODEL][0], number))
    alike = tf.logical_or(begins, tf.reduce_all(tf.equal(sizes, given[clips.SIZE])))
    told = "Give the state that came out with the frame before, or zeros to begin a video."
    return [
        tf.debugging.Assert(ours, [f"The state is of another model than {number}:", given[remember.MODEL], told]),
        tf.debugging.Assert(alike, ["The frame has another size than the one before:", sizes, told]),
    ]


_SIZES = "The frames of a clip or a video must be of one size."
