"""A TFLite file for phones: the network, and by default its decode, in operators that every LiteRT runtime has."""

import contextlib
import itertools
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow.lite.tools import flatbuffer_utils

from centernet_tf.centers import Centers
from centernet_tf.detector import Picture, as_image
from centernet_tf.detector_graph import DetectorGraph
from centernet_tf.errors import DataError, UsageError
from centernet_tf.export import decoder
from centernet_tf.export.answers import NAMES, SCORES, answer_names, in_pixels, tfod_answers
from centernet_tf.export.camera_files import camera_text, cameras_of
from centernet_tf.export.metadata import add_metadata
from centernet_tf.export.quantize import quantized
from centernet_tf.model_file import InputCard, ModelCard, load_model
from centernet_tf.task import TaskSet

MAX_OBJECTS = 10  # TFOD's, which its sample apps expect.
REPRESENTATIVE = 100  # Images whose values set the ranges of eight-bit numbers.
Quantization = Literal["none", "float16", "int8"]
# How far a file's scores may lie from the model's: any further, and it is another model. What a file costs in accuracy
# is measured on data, not here.
LIMITS = {"none": 1e-3, "float16": 0.03, "int8": 0.3}
DECODES = ("graph", "boxes", "none")


class PhoneGraph(keras.Model):
    """One image of fixed size in, and its camera where objects are placed; TFOD's outputs or the network's maps out.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: Its input, with the fixed size.
        tasks: How its maps are decoded; None to answer with the last stack's maps, without activation.
        answers: Which of TFOD's outputs it gives; all there are if None.

    Attributes:
        placed: Whether it takes cameras.
    """

    def __init__(
        self, network: keras.Model, card: InputCard, tasks: TaskSet | None, answers: Sequence[str] | None = None
    ):
        super().__init__(name="phone", dtype="float32")
        self.network = network
        self.card = card
        self.tasks = tasks
        self.answers = answers
        self.placed = tasks is not None and tasks.placed and (answers is None or set(answers) > set(NAMES))
        self.built = True

    def normalize(self, images: Any) -> Any:
        """As `preprocess.normalize` of [B, H, W, 3] RGB in 0..255, in one operator that quantises without loss."""
        order = [2, 1, 0] if self.card.order == "bgr" else [0, 1, 2]
        std = np.array(self.card.std)
        kernel = np.eye(3)[:, order] / (255 * std)
        bias = -np.array(self.card.mean) / std
        return ops.conv(images, np.float32(kernel)[None, None]) + np.float32(bias)

    def call(self, images: Any, cameras: Any = None) -> dict[str, Any]:
        """Images [B, H, W, 3] and, where objects are placed, cameras [B, 3, 4] of these very pixels."""
        outputs = self.network(self.normalize(images), training=False)
        if self.tasks is None:
            return {name: maps[-1] for name, maps in outputs.items()}
        found = in_pixels(self.tasks.decode(outputs), self.tasks)
        found = self.tasks.place(found, cameras) if self.placed else found
        answers = tfod_answers(found, np.array([[self.card.height, self.card.width]]), class_offset=0)
        return {name: answers[name] for name in self.answers or answers}


def export_tflite(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    size: tuple[int, int] | None = None,
    quantize: Quantization = "none",
    decode: Literal["graph", "boxes", "none"] = "graph",
    images: Iterable[Picture] | None = None,
    max_objects: int = MAX_OBJECTS,
) -> Path:
    """Writes a TFLite file.

    It takes "input" [1, H, W, 3] float32 RGB in 0..255. How an image comes to that size is the caller's; boxes are
    shares of it. With the decode it answers, in this order and under the names of `answers` in its signature: boxes
    [1, K, 4], classes [1, K] counted from 0, scores [1, K] and the count [1], and what else is found, all float32. A
    model of boxes in space takes "camera" [1, 3, 4] float32 as its second input: that of the input's pixels, which is
    `geometry.camera.move_camera` of the image's and the way the image came to that size. Without the decode, it answers
    with the heads' maps [1, H/4, W/4, channels] float32 without activation, as `export.decoder` reads them. Class names
    and MediaPipe's metadata are in the file, and the camera of training as camera.json.

    Args:
        model: Model file, or network and card.
        out: File to write, .tflite.
        size: Height and width of the input in pixels, multiples of the stride; the card's if left out.
        quantize: "float16" halves the weights, and computes in float32 where float16 is not faster. "int8" computes
            trunk and heads in eight bits, the decode and the sampling of deformable layers in float.
        decode: Whether the graph decodes; "boxes" leaves joints and space out, for clients that take the four outputs
            only.
        images: For int8: pictures as the model will see them; up to 100 are used.
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
    # With fewer objects, each still finds its joints among all that are in the image.
    joint_peaks = max(card.max_objects, Centers.joint_peaks)
    card = card.model_copy(update={"input": fixed, "max_objects": max_objects})
    tasks = card.task_set(flat=True, joint_peaks=joint_peaks)
    answers = {"graph": answer_names(tasks), "boxes": NAMES}.get(decode)
    graph = PhoneGraph(network, fixed, tasks if answers else None, answers)
    if decode != "graph" and "size" not in {head.name for head in tasks.heads}:
        raise UsageError(f"decode {decode!r}: this model knows boxes in space only, which need 'graph' and a camera.")
    cameras = cameras_of(card) if graph.placed else None
    seen = np.random.default_rng(0).uniform(0, 255, (1, fixed.height, fixed.width, 3)).astype(np.float32)
    with saved_graph(graph) as directory:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(directory))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize == "int8":
            detector = DetectorGraph(network, tasks, fixed)
            fitted = [_fit(detector, picture) for picture in itertools.islice(images, REPRESENTATIVE)]
            if not fitted:
                raise UsageError("int8 needs representative images, and there are none among those given.")
            seen = fitted[0]
            more = {} if cameras is None else {"camera": cameras}
            content = quantized(converter, lambda: ({"input": image, **more} for image in fitted))
        else:
            if quantize == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            content = converter.convert()
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    names = order_outputs(parsed, answers or [head.name for head in tasks.heads])
    order_inputs(parsed)
    content = add_metadata(parsed, names, card.classes, camera_text(card) if graph.placed else None)
    _compare(content, names, graph, [seen] if cameras is None else [seen, cameras], LIMITS[quantize])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
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
            "int8 needs images as the model will see them, to learn the range of its numbers. Give some of training's "
            "(--data)."
            if images is None
            else f"quantize {quantize!r} uses no images; only int8 does."
        )
    if max_objects < 1:
        raise UsageError(f"max_objects is {max_objects}; expected 1 or more.")


def _fit(graph: DetectorGraph, picture: Picture) -> np.ndarray:
    image = as_image(picture)
    fitted, _ = graph.fit_images(image[None], np.array([image.shape[:2]], np.int32))
    return ops.convert_to_numpy(fitted) * 255


def _compare(
    content: bytes, names: Sequence[str], graph: PhoneGraph, inputs: Sequence[np.ndarray], limit: float
) -> None:
    """Raises DataError where a file does not score an image as the graph it was made from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It asks to use LiteRT's own package, which need not be here.
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for place, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(place["index"], value)
    interpreter.invoke()
    found = {name: interpreter.get_tensor(one["index"]) for name, one in zip(names, interpreter.get_output_details())}
    expected = {name: ops.convert_to_numpy(value) for name, value in graph(*inputs).items()}
    if SCORES not in names:
        found, expected = (
            {SCORES: decoder.decode(maps["heatmap"], maps["offset"], maps["size"])[2]} for maps in (found, expected)
        )
    # Scores are sorted, so equal ones that come in another order do not matter here.
    apart = float(np.abs(found[SCORES] - expected[SCORES]).max())
    if not apart <= limit:
        raise DataError(
            f"the TFLite file scores an image {apart:.2g} away from the model, more than {limit:g}. Nothing was "
            "written. If the model finds objects in pictures, please report this."
        )


@contextlib.contextmanager
def saved_graph(graph: PhoneGraph) -> Iterator[Path]:
    """Saves a graph for a moment.

    The converter reads SavedModels only: given Keras's functions it writes files without weights.
    """
    shape = (1, graph.card.height, graph.card.width, 3)
    signature = [tf.TensorSpec(shape, tf.float32, name="input")]
    if graph.placed:
        signature.append(tf.TensorSpec((1, 3, 4), tf.float32, name="camera"))
    with tempfile.TemporaryDirectory() as directory:
        archive = keras.export.ExportArchive()
        archive.track(graph)
        archive.add_endpoint("serving_default", graph.call, input_signature=signature)
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


def order_inputs(model: Any) -> None:
    """Puts the image of a parsed TFLite model before the camera, where it has one."""
    (signature,) = model.signatureDefs
    tensors = {one.name.decode(): one.tensorIndex for one in signature.inputs}
    names = [name for name in ("input", "camera") if name in tensors]
    model.subgraphs[signature.subgraphIndex].inputs = np.array([tensors[name] for name in names], np.int32)
