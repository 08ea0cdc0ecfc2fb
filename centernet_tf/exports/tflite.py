"""A TFLite file for phones: the network, and by default its decode, in operators that every LiteRT runtime has."""

import contextlib
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow.lite.tools import flatbuffer_utils

from centernet_tf.detector import remember
from centernet_tf.detector.clips import Held, held_by, seen_by, taken_apart
from centernet_tf.detector.detector import Image
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports import decoder
from centernet_tf.exports.about import about_text, check_single_image, remembered_by, usual_extras
from centernet_tf.exports.answers import NAMES, SCORES, answer_names
from centernet_tf.exports.metadata import add_metadata
from centernet_tf.exports.phone import PhoneClips, PhoneGraph, PhoneVideo
from centernet_tf.exports.quantize import quantized
from centernet_tf.exports.representative import check_quantize, representative
from centernet_tf.host.files import telling, write_bytes
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.points.centers import Centers
from centernet_tf.points.task_set import TaskSet

MAX_OBJECTS = 10  # TFOD's, which its sample apps expect.
Quantization = Literal["none", "float16", "int8"]
# How far a file's scores may lie from the model's: any further, and it is another model. What a file costs in accuracy
# is measured on data, not here.
LIMITS = {"none": 1e-3, "float16": 0.03, "int8": 0.3}
DECODES = ("graph", "boxes", "none")


def export_tflite(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    size: tuple[int, int] | None = None,
    quantize: Quantization = "none",
    decode: Literal["graph", "boxes", "none"] = "graph",
    images: Iterable[Image] | None = None,
    max_objects: int | None = None,
    reframed: bool = False,
) -> Path:
    """Writes a TFLite file.

    It takes "input" [1, H, W, 3] float32 RGB in 0..255. How an image comes to that size is the caller's; boxes are
    fractions of it. With the decode it answers, in this order and under the names of `answers` in its signature: boxes
    [1, K, 4], classes [1, K] counted from 0, scores [1, K] and the count [1], and what else is found, all float32. What
    the model takes beside pixels is further inputs [1, ...] float32 under the extras' names: of the input's pixels, to
    which `Extra.fit` takes those of the image by the way it came to that size. A model of videos takes the state of
    the video besides, and answers with the next one; see `detector.remember`, and `detector.clips` of those that see
    clips, whose answers come some frames late. Without the decode, the file answers
    with the heads' maps [1, H/4, W/4, channels] float32 without activation, as `export.decoder` reads them. Class names
    and MediaPipe's metadata are in the file, and model.json with what else there is to know.

    Args:
        model: Model file, or network and card.
        out: File to write, .tflite.
        size: Height and width of the input in pixels, multiples of the stride; the card's if left out.
        quantize: "float16" halves the weights, and computes in float32 where float16 is not faster. "int8" computes
            trunk and heads in eight bits, the decode and the sampling of deformable layers in float.
        decode: Whether the graph decodes; "boxes" leaves out what else is found, for clients that take the four
            outputs only.
        images: For int8: images as the model will see them; up to 100 are used.
        max_objects: Detections K; 10 if left out, as many as the model's where it follows videos.
        reframed: Also answer what lies over boxes, laid out on the input; of single images, with the
            whole decode.

    Returns:
        The file.

    Raises:
        UsageError: An option does not exist or does not fit the network; images are missing or given for nothing.
        DataError: An image cannot be read, or the file does not answer as the model does.
    """
    out = Path(out)
    _check(out, quantize, decode, images, max_objects)
    network, card = model if isinstance(model, tuple) else load_model(model)
    fixed = card.input.resized(size or (card.input.height, card.input.width))
    # With fewer objects, each still finds its parts among all that are in the image.
    candidates = max(card.max_objects, Centers.candidates)
    follows, sees_clips = remember.is_needed(card.task_set()), seen_by(card.task_set()) is not None
    max_objects = max_objects or (card.max_objects if follows else MAX_OBJECTS)
    card = card.model_copy(update={"input": fixed, "max_objects": max_objects})
    tasks = card.task_set(flat=True, candidates=candidates)
    if follows and (decode != "graph" or quantize == "int8"):
        check_single_image(tasks, f"a TFLite file with quantize {quantize!r} and decode {decode!r}")
    remembered = _held(network, tasks, fixed) if sees_clips else remembered_by(network, tasks, max_objects)
    if reframed and (follows or decode != "graph"):
        raise UsageError("reframed: only files of single images with the whole decode have it. Leave it out.")
    answers = {"graph": answer_names(tasks.finds, reframed), "boxes": NAMES}.get(decode)
    if remembered is None:
        graph = PhoneGraph(network, fixed, tasks if answers else None, answers)
    elif sees_clips:
        graph = PhoneClips(taken_apart(network, tasks), fixed, tasks, remembered)
    else:
        graph = PhoneVideo(network, fixed, tasks, remembered)
    if decode != "graph" and "size" not in {head.name for head in tasks.heads}:
        raise UsageError(
            f"decode {decode!r}: this model has no boxes of its own, without what else it finds. Use 'graph'."
        )
    usual = {one.name: np.zeros(one.shape, one.dtype) for one in graph.arguments}
    usual |= usual_extras(tasks.extras) if graph.places else {}
    seen = np.random.default_rng(0).uniform(0, 255, (1, fixed.height, fixed.width, 3)).astype(np.float32)
    # The converter reads from and writes to the disk on its way.
    with telling(out, kinds=(tf.errors.OpError,)), saved_graph(graph) as directory:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(directory))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize == "int8":
            fitted = representative(DetectorGraph(network, tasks, fixed), images)
            seen = fitted[0]
            content = quantized(converter, lambda: ({"input": image, **usual} for image in fitted))
        else:
            if quantize == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            content = converter.convert()
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    names = order_outputs(parsed, answers or [head.name for head in tasks.heads])
    order_inputs(parsed, [one.name for one in graph.arguments])
    about = about_text(card, remembered)
    content = add_metadata(parsed, names, card.classes, about, {one.name: one.meaning for one in graph.arguments})
    _compare(content, names, graph, {"input": seen, **graph.under_way(seen, usual)}, LIMITS[quantize])
    write_bytes(out, content)
    return out


def _check(out: Path, quantize: str, decode: str, images: Any, max_objects: int) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"a TFLite file is written by TensorFlow, but Keras runs on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow; the model file is the same."
        )
    if out.suffix != ".tflite":
        raise UsageError(f"{out}: a TFLite file's name ends in .tflite; try {out.with_suffix('.tflite')}.")
    if decode not in DECODES:
        raise UsageError(f"decode is {decode!r}; expected {' or '.join(DECODES)}.")
    check_quantize(quantize, LIMITS, images)
    if max_objects is not None and max_objects < 1:
        raise UsageError(f"max_objects is {max_objects}; expected 1 or more.")


def _held(network: keras.Model, tasks: TaskSet, card: InputCard) -> Held:
    """The state of a model of clips. Raises UsageError where frames cannot come one by one."""
    held = held_by(network, tasks, card)
    if held is None:
        raise UsageError(
            "A TFLite file takes the frames of a video one by one, and this model sees several pictures of each, or "
            "frames that are no neighbours. Export a SavedModel or an ONNX file, which take clips."
        )
    return held


def _compare(
    content: bytes, names: Sequence[str], graph: PhoneGraph, inputs: Mapping[str, np.ndarray], limit: float
) -> None:
    """Raises DataError where a file does not score an image as the graph it was made from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It asks to use LiteRT's own package, which need not be here.
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for place, value in zip(interpreter.get_input_details(), inputs.values()):
        interpreter.set_tensor(place["index"], value)
    interpreter.invoke()
    found = {name: interpreter.get_tensor(one["index"]) for name, one in zip(names, interpreter.get_output_details())}
    image, *values = inputs.values()
    given = {one.name: value for one, value in zip(graph.arguments, values)}
    expected = {name: ops.convert_to_numpy(value) for name, value in graph(image, given).items()}
    if SCORES not in names:
        # Scores only, which every kind of size leaves as they are.
        found, expected = (
            {SCORES: decoder.decode(maps["heatmap"], maps["offset"], maps["size"])[2]} for maps in (found, expected)
        )
    # Scores are sorted, so equal ones that come in another order do not matter here.
    apart = float(np.abs(found[SCORES] - expected[SCORES]).max())
    if not apart <= limit:
        raise DataError(
            f"the TFLite file scores an image {apart:.2g} away from the model, more than {limit:g}. Nothing was "
            "written. If the model finds objects in images, please report this."
        )


@contextlib.contextmanager
def saved_graph(graph: PhoneGraph) -> Iterator[Path]:
    """Saves a graph for a moment.

    The converter reads SavedModels only: given Keras's functions it writes files without weights.
    """
    shape = (1, graph.card.height, graph.card.width, 3)
    signature = [tf.TensorSpec(shape, tf.float32, name="input")]
    signature += [tf.TensorSpec(one.shape, one.dtype, name=one.name) for one in graph.arguments]
    with tempfile.TemporaryDirectory() as directory:
        archive = keras.export.ExportArchive()
        archive.track(graph)
        archive.add_endpoint("serving_default", graph.serve, input_signature=signature)
        archive.write_out(directory, verbose=False)
        yield Path(directory)


def order_outputs(model: Any, first: Sequence[str]) -> tuple[str, ...]:
    """Puts the outputs of a parsed TFLite model into a fixed order.

    The converter permutes them, and many clients read them by position.

    Args:
        model: What `flatbuffer_utils.read_model_from_bytearray` returned; it is changed.
        first: Names in its signature. Outputs of other names follow in alphabetical order.

    Returns:
        The names in the order of the outputs.
    """
    (signature,) = model.signatureDefs
    tensors = {output.name.decode(): output.tensorIndex for output in signature.outputs}
    names = (*first, *sorted(set(tensors) - set(first)))
    model.subgraphs[signature.subgraphIndex].outputs = np.array([tensors[name] for name in names], np.int32)
    return names


def order_inputs(model: Any, further: Sequence[str]) -> None:
    """Puts the image of a parsed TFLite model before its other arguments, these in their order."""
    (signature,) = model.signatureDefs
    tensors = {one.name.decode(): one.tensorIndex for one in signature.inputs}
    names = ["input", *further]
    model.subgraphs[signature.subgraphIndex].inputs = np.array([tensors[name] for name in names], np.int32)
