"""A TFLite file for phones: the network, and by default its decode, in operators that every LiteRT runtime has."""

import contextlib
import itertools
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

from centernet_tf.detector.detector import Image, as_image
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import DataError, UsageError
from centernet_tf.export import decoder
from centernet_tf.export.about import about_text, check_single_image, usual_extras
from centernet_tf.export.answers import NAMES, SCORES, answer_names
from centernet_tf.export.metadata import add_metadata
from centernet_tf.export.quantize import quantized
from centernet_tf.export.tfod import in_pixels, tfod_answers, without_nan
from centernet_tf.host.files import telling, write_bytes
from centernet_tf.losses import whole_map
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Extra
from centernet_tf.points.task_set import TaskSet

MAX_OBJECTS = 10  # TFOD's, which its sample apps expect.
REPRESENTATIVE = 100  # Images whose values set the ranges of eight-bit numbers.
Quantization = Literal["none", "float16", "int8"]
# How far a file's scores may lie from the model's: any further, and it is another model. What a file costs in accuracy
# is measured on data, not here.
LIMITS = {"none": 1e-3, "float16": 0.03, "int8": 0.3}
DECODES = ("graph", "boxes", "none")


class PhoneGraph(keras.Model):
    """One image of fixed size in, with what its tasks take beside pixels; TFOD's outputs or the network's maps out.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: Its input, with the fixed size.
        tasks: How its maps are decoded; None to answer with the last stack's maps, without activation.
        answers: Which of TFOD's outputs it gives; all there are if None.

    Attributes:
        extras: What it takes beside pixels.
    """

    def __init__(
        self, network: keras.Model, card: InputCard, tasks: TaskSet | None, answers: Sequence[str] | None = None
    ):
        super().__init__(name="phone", dtype="float32")
        self.network = network
        self.card = card
        self.tasks = tasks
        self.answers = answers
        self.places = tasks is not None and (answers is None or set(answers) > set(NAMES))
        self.extras: tuple[Extra, ...] = tasks.extras if self.places else ()
        self.built = True

    def normalize(self, images: Any) -> Any:
        """As `preprocess.normalize` of [B, H, W, 3] RGB in 0..255, in one operator that quantises without loss."""
        order = [2, 1, 0] if self.card.order == "bgr" else [0, 1, 2]
        std = np.array(self.card.std)
        kernel = np.eye(3)[:, order] / (255 * std)
        bias = -np.array(self.card.mean) / std
        return ops.conv(images, np.float32(kernel)[None, None]) + np.float32(bias)

    def call(self, images: Any, extras: Mapping[str, Any]) -> dict[str, Any]:
        """Images [B, H, W, 3], and {name: [B, ...]} of `extras` for these very pixels."""
        outputs = self.network(self.normalize(images), training=False)
        if self.tasks is None:
            return {name: whole_map(maps[-1]) for name, maps in outputs.items()}
        found = in_pixels(self.tasks.decode(outputs), self.tasks)
        found = self.tasks.place(found, extras) if self.places else found
        answers = without_nan(tfod_answers(found, np.array([[self.card.height, self.card.width]]), class_offset=0))
        return {name: answers[name] for name in self.answers or answers}

    def serve(self, images: Any, *values: Any) -> dict[str, Any]:
        """`call` with the extras in their order, as signatures of files have them."""
        return self.call(images, {extra.name: value for extra, value in zip(self.extras, values)})


def export_tflite(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    size: tuple[int, int] | None = None,
    quantize: Quantization = "none",
    decode: Literal["graph", "boxes", "none"] = "graph",
    images: Iterable[Image] | None = None,
    max_objects: int = MAX_OBJECTS,
) -> Path:
    """Writes a TFLite file.

    It takes "input" [1, H, W, 3] float32 RGB in 0..255. How an image comes to that size is the caller's; boxes are
    fractions of it. With the decode it answers, in this order and under the names of `answers` in its signature: boxes
    [1, K, 4], classes [1, K] counted from 0, scores [1, K] and the count [1], and what else is found, all float32. What
    the model takes beside pixels is further inputs [1, ...] float32 under the extras' names: of the input's pixels, to
    which `Extra.fit` takes those of the image by the way it came to that size. Without the decode, the file answers
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
        max_objects: Detections K.

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
    about = about_text(card)
    card = card.model_copy(update={"input": fixed, "max_objects": max_objects})
    tasks = card.task_set(flat=True, candidates=candidates)
    check_single_image(tasks)
    answers = {"graph": answer_names(tasks.finds), "boxes": NAMES}.get(decode)
    graph = PhoneGraph(network, fixed, tasks if answers else None, answers)
    if decode != "graph" and "size" not in {head.name for head in tasks.heads}:
        raise UsageError(
            f"decode {decode!r}: this model has no boxes of its own, without what else it finds. Use 'graph'."
        )
    usual = usual_extras(graph.extras)
    seen = np.random.default_rng(0).uniform(0, 255, (1, fixed.height, fixed.width, 3)).astype(np.float32)
    # The converter reads from and writes to the disk on its way.
    with telling(out, kinds=(tf.errors.OpError,)), saved_graph(graph) as directory:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(directory))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize == "int8":
            detector = DetectorGraph(network, tasks, fixed)
            fitted = [_fit(detector, image) for image in itertools.islice(images, REPRESENTATIVE)]
            if not fitted:
                raise UsageError("int8 needs representative images, and there are none among those given.")
            seen = fitted[0]
            content = quantized(converter, lambda: ({"input": image, **usual} for image in fitted))
        else:
            if quantize == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            content = converter.convert()
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    names = order_outputs(parsed, answers or [head.name for head in tasks.heads])
    order_inputs(parsed, graph.extras)
    content = add_metadata(parsed, names, card.classes, about, graph.extras)
    _compare(content, names, graph, {"input": seen, **usual}, LIMITS[quantize])
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
    for name, value, known in (("quantize", quantize, tuple(LIMITS)), ("decode", decode, DECODES)):
        if value not in known:
            raise UsageError(f"{name} is {value!r}; expected {' or '.join(known)}.")
    if (images is None) == (quantize == "int8"):
        raise UsageError(
            "int8 needs images like those the model will see, for calibration. Give some of training's (--data)."
            if images is None
            else f"quantize {quantize!r} uses no images; only int8 does."
        )
    if max_objects < 1:
        raise UsageError(f"max_objects is {max_objects}; expected 1 or more.")


def _fit(graph: DetectorGraph, image: Image) -> np.ndarray:
    pixels = as_image(image)
    fitted, _ = graph.fit_images(pixels[None], np.array([pixels.shape[:2]], np.int32))
    return ops.convert_to_numpy(fitted) * 255


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
    extras = {extra.name: value for extra, value in zip(graph.extras, values)}
    expected = {name: ops.convert_to_numpy(value) for name, value in graph(image, extras).items()}
    if SCORES not in names:
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
    signature += [tf.TensorSpec((1, *extra.shape), tf.float32, name=extra.name) for extra in graph.extras]
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


def order_inputs(model: Any, extras: Sequence[Extra]) -> None:
    """Puts the image of a parsed TFLite model before its extras."""
    (signature,) = model.signatureDefs
    tensors = {one.name.decode(): one.tensorIndex for one in signature.inputs}
    names = ["input", *(extra.name for extra in extras)]
    model.subgraphs[signature.subgraphIndex].inputs = np.array([tensors[name] for name in names], np.int32)
