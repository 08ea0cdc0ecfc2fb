"""SavedModels that any TensorFlow server runs: pictures in, TFOD's outputs out, nothing of this package needed.

Signatures, each with the outputs of `answers.tfod_answers` and a batch of any size:

    serving_default  input_tensor   uint8 [B, H, W, 3]    RGB, any height and width
    float_image      input_tensor   float32 [B, H, W, 3]  the same with values from 0 to 255
    image_bytes      image_bytes    string [B]            JPEG, PNG, GIF or BMP files, each of its own size
    tf_example       example_bytes  string [B]            serialized tf.train.Example with image/encoded

Models of boxes in space take "camera", float32 [B, 3, 4], beside each of them: metres to pixels of each picture.
assets/camera.json holds the one to give where a picture's own is not known.

Arguments that hold files end in `_bytes`, which REST needs to accept {"b64": ...}. TensorFlow's decoders leave the EXIF
orientation alone and drop transparency, and so do these signatures. A file that cannot be decoded fails its whole batch
with InvalidArgument (400 over REST): an empty answer would pass for an empty picture.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from centernet_tf.detector_graph import DetectorGraph
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.export import serving_files
from centernet_tf.export.answers import SCORES, label_lines, label_map, tfod_answers
from centernet_tf.export.camera_files import CAMERA, camera_text, cameras_of
from centernet_tf.export.folding import inference_network
from centernet_tf.model_file import ModelCard, load_model

# What convolutions compute in, and Keras' policy for it.
PRECISIONS = {"float32": "float32", "bfloat16": "bfloat16"}
# How far the file's answers may lie from the model's, in scores and shares of the image. 16 bits have 8 of mantissa.
LIMITS = {"float32": 1e-3, "bfloat16": 0.1}
ENCODED = "image/encoded"


def export_savedmodel(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    *,
    precision: str = "float32",
    xla: bool = False,
    version: int = 1,
) -> Path:
    """Writes a folder that TensorFlow Serving serves as it is.

    Args:
        model: A model file, or a network and its card.
        out: New folder; its name becomes the served model's. Holds `version`/ with the SavedModel, its label files and
            warm-up requests, model.config, and serving.txt, which says how to run it.
        precision: "float32", or "bfloat16": half the size, and faster where the processor computes in it.
        xla: Compile the network with XLA, which the server must have; each new batch size takes seconds then.
        version: Number of the folder with the SavedModel; servers take the highest.

    Returns:
        The folder with the SavedModel.

    Raises:
        UsageError: `out` exists, the model cannot be read, an option is unknown, or Keras does not run on TensorFlow.
        DataError: The written file answers otherwise than the model.
    """
    out = Path(out)
    _check(out, precision, version)
    network, card = model if isinstance(model, tuple) else load_model(model)
    lines = label_lines(card.classes)
    exported = inference_network(network, PRECISIONS[precision])
    graph = DetectorGraph(_Compiled(exported) if xla else exported, card.task_set(), card.input)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    folder = temporary / str(version)
    try:
        _archive(graph).write_out(folder, verbose=False)
        (folder / "assets").mkdir(exist_ok=True)
        (folder / "assets" / "labels.txt").write_text(lines, encoding="utf-8")
        (folder / "assets" / "label_map.pbtxt").write_text(label_map(card.classes), encoding="utf-8")
        (folder / "assets" / CAMERA).write_text(camera_text(card), encoding="utf-8")
        serving_files.write_warmup(folder, out.name, card)
        serving_files.write_guide(temporary, out.name, card)
        _compare(folder, DetectorGraph(network, card.task_set(), card.input), LIMITS[precision], cameras_of(card))
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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


def _archive(graph: DetectorGraph) -> keras.export.ExportArchive:
    """All signatures, traced."""
    archive = keras.export.ExportArchive()
    side = (None, None) if graph.card.mode == "keep" else (graph.card.height, graph.card.width)

    # A function of its own, so that the file holds the network once and not once for each signature.
    camera = [tf.TensorSpec((None, 3, 4), tf.float32, "camera")] if graph.tasks.placed else []
    seen = [tf.TensorSpec((None, *side, 3)), tf.TensorSpec((None, 4))]

    @tf.function(input_signature=[*seen, *camera], autograph=False)
    def find(fitted: Any, fit: Any, camera: Any = None) -> dict[str, Any]:
        return graph.find(graph.answer(fitted), fit, camera)

    def pixels(input_tensor: Any, *camera: Any) -> dict[str, Any]:
        shape = tf.shape(input_tensor)
        sizes = tf.broadcast_to(shape[1:3], (shape[0], 2))
        return tfod_answers(find(*graph.fit_images(input_tensor, sizes), *camera), sizes, class_offset=1)

    def image_bytes(image_bytes: Any, *camera: Any) -> dict[str, Any]:
        fitted, fit, sizes = _fit_files(image_bytes, graph)
        return tfod_answers(find(fitted, fit, *camera), sizes, class_offset=1)

    def tf_example(example_bytes: Any, *camera: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(example_bytes, {ENCODED: tf.io.FixedLenFeature((), tf.string)})
        return image_bytes(parsed[ENCODED], *camera)

    rows = (None, None, None, 3)
    endpoints = (
        ("serving_default", pixels, tf.TensorSpec(rows, tf.uint8, "input_tensor")),
        ("float_image", pixels, tf.TensorSpec(rows, tf.float32, "input_tensor")),
        ("image_bytes", image_bytes, tf.TensorSpec((None,), tf.string, "image_bytes")),
        ("tf_example", tf_example, tf.TensorSpec((None,), tf.string, "example_bytes")),
    )
    for name, function, spec in endpoints:
        archive.add_endpoint(name, function, input_signature=[spec, *camera])
    return archive


def _fit_files(files: Any, graph: DetectorGraph) -> tuple[Any, Any, Any]:
    """Decodes and fits a batch of image files [B].

    Returns:
        Inputs [B, h, w, 3] and fits [B, 4] as of `fit_images`, and heights and widths [B, 2] int32.
    """
    if graph.card.mode == "keep":
        return _keep_files(files, graph)
    size = (graph.card.height, graph.card.width)

    # Each is fitted before they are stacked, so that one large picture does not pad the others to its size.
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
    message = "This model keeps the resolution of pictures, so those of one request must be of one size."
    with tf.control_dependencies([tf.debugging.assert_equal(sizes, sizes[:1], message)]):
        images = tf.reshape(flat.flat_values, (-1, sizes[0, 0], sizes[0, 1], 3))
    return (*graph.fit_images(images, sizes), sizes)


def _decode(data: Any) -> Any:
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def _compare(folder: Path, graph: DetectorGraph, limit: float, cameras: np.ndarray | None) -> None:
    """Raises DataError where the written file answers noise otherwise than the model it was made from."""
    image = np.random.default_rng(0).integers(0, 256, (1, graph.card.height, graph.card.width, 3), np.uint8)
    sizes = np.array([image.shape[1:3]], np.int32)
    more = {} if cameras is None else {"cameras": cameras}
    expected = tfod_answers(graph({"images": image, "sizes": sizes, **more}), sizes, class_offset=1)
    given = {} if cameras is None else {"camera": tf.constant(cameras)}
    run = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answers = run(input_tensor=tf.constant(image), **given)
    # Scores are sorted, so equal ones that come in another order do not matter here.
    apart = float(np.abs(answers[SCORES] - expected[SCORES]).max())
    if not apart <= limit or not all(np.isfinite(values).all() for values in answers.values()):
        raise DataError(
            f"the written SavedModel scores noise {apart:.2g} away from the model, more than {limit:g}. "
            "Nothing was kept. If the model finds objects in pictures, please report this."
        )
