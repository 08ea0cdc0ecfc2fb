"""SavedModels that any TensorFlow server runs: images in, TFOD's outputs out, nothing of this package needed.

Signatures, each with the outputs of `tfod.tfod_answers` and a batch of any size:

    serving_default  input_tensor   uint8 [B, H, W, 3]    RGB, any height and width
    float_image      input_tensor   float32 [B, H, W, 3]  the same with values from 0 to 255
    image_bytes      image_bytes    string [B]            JPEG, PNG, GIF or BMP files, each of its own size
    tf_example       example_bytes  string [B]            serialized tf.train.Example with image/encoded
    at_points        input_tensor   uint8 [B, H, W, 3]    and `points` float32 [B, P, 2], (x, y) in pixels

The last tells what is at points that somebody chose, one row for each in their order, and, as
detection_multiclass_scores [B, P, classes], how sure it is of each class. Points that the input does not show are told
as the nearest that it does.

Models that take more of each image than its pixels have an argument for it beside each of these, float32 [B, ...] under
the extra's name. Models that track objects over time have the signatures of `export.video`, those that see clips of
videos those of `export.clips`. assets/model.json says what there is to know of the model, and holds the usual value of
each extra.

Arguments that hold files end in `_bytes`, which REST needs to accept {"b64": ...}. TensorFlow's decoders leave the EXIF
orientation alone and drop transparency, and so do these signatures. A file that cannot be decoded fails its whole batch
with InvalidArgument (400 over REST): an empty answer would pass for an empty image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from centernet_tf.detector.clips import Held, held_by, pictures_of, seen_by, shown_to
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.detector.remember import Remembered
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.exports import about, clips, serving_files, video
from centernet_tf.exports.about import ABOUT, about_text, remembered_by, usual_extras
from centernet_tf.exports.answers import SCORES, answer_names, label_lines, label_map
from centernet_tf.exports.carried import Carried
from centernet_tf.exports.folding import inference_network
from centernet_tf.exports.tfod import tfod_answers
from centernet_tf.host.files import telling, whole_folder, write_text
from centernet_tf.model.card import ModelCard
from centernet_tf.model.file import load_model

# What convolutions compute in, and Keras' policy for it.
PRECISIONS = {"float32": "float32", "bfloat16": "bfloat16"}
# How far the file's answers may lie from the model's, in scores and fractions of the image. 16 bits have 8 of mantissa.
LIMITS = {"float32": 1e-3, "bfloat16": 0.1}
ENCODED = "image/encoded"
CLASS_SCORES = "detection_multiclass_scores"  # TFOD's name; its first column is the background, which we have none of


def export_savedmodel(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    *,
    precision: str = "float32",
    xla: bool = False,
    version: int = 1,
    reframed: bool = False,
) -> Path:
    """Writes a folder that TensorFlow Serving serves as it is.

    Args:
        model: A model file, or a network and its card.
        out: New folder; its name becomes the served model's. Holds `version`/ with the SavedModel, its label files and
            warm-up requests, model.config, and serving.txt, which says how to run it.
        precision: "float32", or "bfloat16": half the size, and faster where the processor computes in it.
        xla: Compile the network with XLA, which the server must have; each new batch size takes seconds then.
        version: Number of the folder with the SavedModel; servers take the highest.
        reframed: Also answer what lies over boxes, laid out on the image, from the signatures for
            pixels: images of a batch of files have no one size. They are as many numbers as detections times pixels.

    Returns:
        The folder with the SavedModel.

    Raises:
        UsageError: `out` exists, the model cannot be read, an option is unknown, or Keras does not run on TensorFlow.
        DataError: The folder cannot be written, or the written model answers otherwise than the given one.
    """
    out = Path(out)
    _check(out, precision, version)
    network, card = model if isinstance(model, tuple) else load_model(model)
    lines = label_lines(card.classes)
    exported = inference_network(network, PRECISIONS[precision])
    tasks = card.task_set()
    sees_clips = seen_by(tasks) is not None
    if sees_clips:
        remembered = held_by(network, tasks, card.input, sized=True)
    else:
        remembered = remembered_by(network, tasks, card.max_objects)
    answer_names(tasks.finds, reframed)  # before the work, for it may refuse
    if reframed and (sees_clips or remembered is not None):
        raise UsageError("reframed: only models of single images have it. Leave it out.")
    graph = DetectorGraph(_Compiled(exported) if xla and not sees_clips else exported, tasks, card.input)
    usual = usual_extras(tasks.extras)
    with whole_folder(out) as temporary:
        folder = temporary / str(version)
        with telling(out, temporary, kinds=(tf.errors.OpError,)):
            _archive(graph, remembered, reframed, xla).write_out(folder, verbose=False)
            write_text(folder / "assets" / "labels.txt", lines)
            write_text(folder / "assets" / "label_map.pbtxt", label_map(card.classes))
            write_text(folder / "assets" / ABOUT, about_text(card, remembered))
            serving_files.write_warmup(folder, out.name, card, remembered)
            serving_files.write_guide(temporary, out.name, card)
        _compare(folder, DetectorGraph(network, tasks, card.input), LIMITS[precision], usual, remembered)
    return out / str(version)


def _check(out: Path, precision: str, version: int) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"a SavedModel is written by TensorFlow, but Keras runs on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow; the model file is the same."
        )
    if out.exists():
        raise UsageError(f"{out}: exists already. Remove it, or give another folder.")
    if precision not in PRECISIONS:
        hint = closest(precision, PRECISIONS)
        raise UsageError(f"Unknown precision {precision!r}.{hint} Known: {', '.join(PRECISIONS)}.")
    if version < 1:
        raise UsageError(f"version is {version}; servers look for folders numbered from 1.")


class _Compiled:
    """A network that XLA compiles wherever the graph around it runs."""

    def __init__(self, network: keras.Model):
        self._run = tf.function(lambda images: network(images, training=False), jit_compile=True)

    def __call__(self, images: Any, training: bool = False) -> Any:
        return self._run(images)


def _archive(
    graph: DetectorGraph, remembered: Remembered | Held | None, reframed: bool, xla: bool
) -> keras.export.ExportArchive:
    """All signatures, traced."""
    archive = keras.export.ExportArchive()
    if seen_by(graph.tasks) is not None:
        traced = clips.endpoints(graph, graph.network, remembered, _fit_files, xla)
    else:
        traced = _endpoints(graph, reframed) if remembered is None else video.endpoints(graph, remembered, _decode)
    for name, function, signature in traced:
        archive.add_endpoint(name, function, input_signature=signature)
    return archive


def _endpoints(graph: DetectorGraph, reframed: bool) -> list[video.Endpoint]:
    """The signatures of a model of single images."""
    side = (None, None) if graph.card.mode == "keep" else (graph.card.height, graph.card.width)

    properties = graph.tasks.properties
    # Functions of their own, so that the file holds the network once and not once for each signature.
    names = [extra.name for extra in graph.tasks.extras]
    extras = [tf.TensorSpec((None, *extra.shape), tf.float32, extra.name) for extra in graph.tasks.extras]
    seen = [tf.TensorSpec((None, *side, 3)), tf.TensorSpec((None, 4))]

    answer = tf.function(graph.answer, input_signature=seen[:1], autograph=False)

    @tf.function(input_signature=[*seen, *extras], autograph=False)
    def find(fitted: Any, fit: Any, *values: Any) -> dict[str, Any]:
        return graph.find(answer(fitted), fit, dict(zip(names, values)))

    def told(found: dict[str, Any], sizes: Any, reframed: Any = None) -> dict[str, Any]:
        return tfod_answers(graph.cut(found, sizes), sizes, 1, properties, reframed)

    def pixels(input_tensor: Any, *values: Any) -> dict[str, Any]:
        shape = tf.shape(input_tensor)
        sizes = tf.broadcast_to(shape[1:3], (shape[0], 2))
        found = find(*graph.fit_images(input_tensor, sizes), *values)
        return told(found, sizes, (shape[1], shape[2]) if reframed else None)

    def at_points(input_tensor: Any, points: Any, *values: Any) -> dict[str, Any]:
        shape = tf.shape(input_tensor)
        sizes = tf.broadcast_to(shape[1:3], (shape[0], 2))
        fitted, fit = graph.fit_images(input_tensor, sizes)
        found = graph.find(answer(fitted), fit, dict(zip(names, values)), points)
        return {**told(found, sizes), CLASS_SCORES: found["class_scores"]}

    def image_bytes(image_bytes: Any, *values: Any) -> dict[str, Any]:
        fitted, fit, sizes = _fit_files(image_bytes, graph)
        return told(find(fitted, fit, *values), sizes)

    def tf_example(example_bytes: Any, *values: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(example_bytes, {ENCODED: tf.io.FixedLenFeature((), tf.string)})
        return image_bytes(parsed[ENCODED], *values)

    rows = (None, None, None, 3)
    endpoints = (
        ("serving_default", pixels, tf.TensorSpec(rows, tf.uint8, "input_tensor")),
        ("float_image", pixels, tf.TensorSpec(rows, tf.float32, "input_tensor")),
        ("image_bytes", image_bytes, tf.TensorSpec((None,), tf.string, "image_bytes")),
        ("tf_example", tf_example, tf.TensorSpec((None,), tf.string, "example_bytes")),
    )
    chosen = [tf.TensorSpec(rows, tf.uint8, "input_tensor"), tf.TensorSpec((None, None, 2), tf.float32, "points")]
    searched = [(name, function, [spec, *extras]) for name, function, spec in endpoints]
    return [*searched, ("at_points", at_points, [*chosen, *extras])]


def _fit_files(files: Any, graph: DetectorGraph) -> tuple[Any, Any, Any]:
    """Decodes and fits a batch of image files [B].

    Returns:
        Inputs [B, h, w, 3] and fits [B, 4] as of `fit_images`, and heights and widths [B, 2] int32.
    """
    if graph.card.mode == "keep":
        return _keep_files(files, graph)
    size = (graph.card.height, graph.card.width)

    # Each is fitted before they are stacked, so that one large image does not pad the others to its size.
    def fit_file(data: Any) -> tuple[Any, Any, Any]:
        image = _decode(data)
        sides = tf.shape(image)[:2]
        fitted, fit = graph.fit_images(image[None], sides[None])
        return tf.ensure_shape(fitted[0], (*size, 3)), fit[0], sides

    specs = (tf.TensorSpec((*size, 3)), tf.TensorSpec((4,)), tf.TensorSpec((2,), tf.int32))
    return tf.map_fn(fit_file, files, fn_output_signature=specs)


def _keep_files(files: Any, graph: DetectorGraph) -> tuple[Any, Any, Any]:
    """As `_fit_files`, where the resolution is kept: one batch has one size."""

    def flatten(data: Any) -> tuple[Any, Any]:
        image = _decode(data)
        return tf.reshape(image, (-1,)), tf.shape(image)[:2]

    specs = (tf.RaggedTensorSpec((None,), tf.uint8, ragged_rank=0), tf.TensorSpec((2,), tf.int32))
    flat, sizes = tf.map_fn(flatten, files, fn_output_signature=specs)
    message = "This model keeps the resolution of images, so those of one request must be of one size."
    with tf.control_dependencies([tf.debugging.assert_equal(sizes, sizes[:1], message)]):
        images = tf.reshape(flat.flat_values, (-1, sizes[0, 0], sizes[0, 1], 3))
    return (*graph.fit_images(images, sizes), sizes)


def _decode(data: Any) -> Any:
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def _compare(
    folder: Path,
    graph: DetectorGraph,
    limit: float,
    extras: Mapping[str, np.ndarray],
    remembered: Remembered | Held | None = None,
) -> None:
    """Raises DataError where the written file answers noise otherwise than the model it was made from."""
    wanted, side = seen_by(graph.tasks), (graph.card.height, graph.card.width, 3)
    shown = (1, *side) if wanted is None else (1, len(pictures_of(wanted)), *side)
    image = np.random.default_rng(0).integers(0, 256, shown, np.uint8)
    sizes = np.array([side[:2]], np.int32)
    given = dict(extras)
    if wanted is not None:
        found = graph({"sizes": sizes, **shown_to(graph.tasks, image[0]), **extras})
        expected = tfod_answers(found, sizes, 1, graph.tasks.properties)
    elif remembered is None:
        found = graph({"images": image, "sizes": sizes, **extras})
        expected = tfod_answers(found, sizes, 1, graph.tasks.properties)
    else:
        given |= Carried(about.state_of(remembered), str(folder)).arguments(image)
        expected = video.answer(graph, remembered, image, given)
    run = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answers = run(input_tensor=tf.constant(image), **{name: tf.constant(values) for name, values in given.items()})
    # Scores are sorted, so equal ones that come in another order do not matter here.
    apart = float(np.abs(answers[SCORES] - expected[SCORES]).max())
    if not apart <= limit or not all(np.isfinite(values).all() for values in answers.values()):
        raise DataError(
            f"the written SavedModel scores noise {apart:.2g} away from the model, more than {limit:g}. "
            "Nothing was kept. If the model finds objects in images, please report this."
        )
