"""An ONNX file, for runtimes beside TensorFlow: the network and its decode, any batch and input size."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf
from keras import ops

from centernet_tf.detector.clips import pictures_of, seen_by, side_by_side, stack, taken_apart
from centernet_tf.detector.detector import Image
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError
from centernet_tf.exports.about import ABOUT, about_text, check_single_image, usual_extras
from centernet_tf.exports.answers import BOXES, SCORES, answer_names
from centernet_tf.exports.folding import inference_network
from centernet_tf.exports.onnx_int8 import quantized
from centernet_tf.exports.phone import PhoneGraph
from centernet_tf.exports.representative import check_quantize, representative
from centernet_tf.exports.tfod import in_pixels, without_nan
from centernet_tf.host.files import telling, write_bytes
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.model.split import FEATURES
from centernet_tf.points.task_set import TaskSet

OPSET = 18
QUANTIZATIONS = ("none", "int8")


class OnnxGraph(PhoneGraph):
    """Images of one size in, TFOD's outputs out, for any batch and any sides that are multiples of the stride."""

    def call(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Images [B, H, W, 3], and {name: [B, ...]} of `arguments` for these very pixels."""
        return self.answer(self.network(self.normalize(images), training=False), ops.shape(images)[:3], given)

    def answer(self, outputs: Mapping[str, Any], shape: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The network's maps to the outputs, for so many images of this height and width."""
        batch, height, width = shape
        found = self.tasks.place(in_pixels(self.tasks.decode(outputs), self.tasks), given)
        sizes = ops.broadcast_to(ops.stack([height, width]), (batch, 2))
        return without_nan(_as_numbers(self.name_answers(found, sizes, height, width)))


class OnnxClips(OnnxGraph):
    """As `OnnxGraph`, of clips [B, P, H, W, 3], the pictures of each in order of time.

    The network is in two parts, for the converter confuses the sides of clips that are folded, unfolded and folded.

    Args:
        network: As there.
        card: As there.
        tasks: As there.
        answers: As there.
    """

    def __init__(self, network: keras.Model, card: InputCard, tasks: TaskSet, answers: Sequence[str]):
        each, together = taken_apart(network, tasks)
        super().__init__(each, card, tasks, answers)
        self.together = together

    def call(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Clips, and {name: [B, ...]} of `arguments` for the pixels of their present frames."""
        height, width, channels = ops.shape(images)[2:]
        wanted = seen_by(self.tasks)
        seen = stack(self.normalize(ops.reshape(images, (-1, height, width, channels))), wanted)
        made = {name: side_by_side(maps, wanted) for name, maps in self.network(seen, training=False).items()}
        maps = {**self.together(made[FEATURES], training=False), **made}
        outputs = {head.name: [maps[head.name]] for head in self.tasks.heads}
        return self.answer(outputs, (ops.shape(images)[0], height, width), given)


def export_onnx(
    model: str | Path | tuple[keras.Model, ModelCard],
    out: str | Path,
    reframed: bool = False,
    quantize: Literal["none", "int8"] = "none",
    images: Iterable[Image] | None = None,
) -> Path:
    """Writes an ONNX file.

    It takes "input" [B, H, W, 3] float32 RGB in 0..255, sides multiples of the network's stride, and answers
    "detection_boxes" [B, K, 4] top, left, bottom, right as fractions of the input, "detection_classes" [B, K] from
    0, "detection_scores" [B, K] and "num_detections" [B], all float32, and what else is found, see `answers`. What the
    model takes beside pixels is further inputs [B, ...] under the extras' names: of the input's pixels, to which
    `Extra.fit` takes those of the image by the way it came to the input's size, which is the caller's. A model of clips
    takes "input" [B, K, H, W, 3] instead, and answers what is found around their present frames. The file's metadata
    has the names of the classes, one on each line, the height and width it was made for, and model.json.

    Args:
        model: Model file, or network and card.
        out: File to write, .onnx.
        reframed: Also answer what lies over boxes, laid out on the input.
        quantize: "int8" computes trunk and heads in eight bits, the decode and the sampling of deformable layers in
            float; of single images.
        images: For int8: images as the model will see them; up to 100 are used.

    Returns:
        The file.

    Raises:
        UsageError: The name ends otherwise, the extra is not installed, Keras runs on another backend, there is
            nothing to lay out, or images are missing or given for nothing.
        DataError: An image cannot be read.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise UsageError(f"{out}: an ONNX file's name ends in .onnx; try {out.with_suffix('.onnx')}.")
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise UsageError(f"{out}: {error.name} is missing. Install it: pip install 'centernet_tf[onnx]'.") from None
    check_quantize(quantize, QUANTIZATIONS, images)
    network, card = model if isinstance(model, tuple) else load_model(model)
    if quantize == "int8":
        # The converter leaves some normalisations alone, and eight bits before them share one range among all channels.
        network = inference_network(network)
    tasks = card.task_set(flat=True)
    wanted = seen_by(tasks)
    if wanted is None or quantize == "int8":
        check_single_image(tasks, "an ONNX file" if quantize == "none" else "an ONNX file in eight bits")
    names = answer_names(tasks.finds, reframed)
    graph = (OnnxGraph if wanted is None else OnnxClips)(network, card.input, tasks, names)
    clip = () if wanted is None else (len(pictures_of(wanted)),)
    signature = [tf.TensorSpec((None, *clip, None, None, 3), tf.float32, name="input")]
    signature += [tf.TensorSpec((None, *one.shape[1:]), one.dtype, name=one.name) for one in graph.arguments]
    content, _ = tf2onnx.convert.from_function(tf.function(graph.serve), signature, opset=OPSET)
    # The converter names outputs Identity, Identity:0, ... in the order of their sorted names.
    _rename(content, dict(zip((output.name for output in content.graph.output), sorted(names))))
    if quantize == "int8":
        usual = usual_extras(tasks.extras)
        seen = representative(DetectorGraph(network, tasks, card.input), images)
        with telling(out):
            content = quantized(content, ({"input": image, **usual} for image in seen))
    about = {"classes": "\n".join(card.classes), "height": str(card.input.height), "width": str(card.input.width)}
    about[ABOUT] = about_text(card)
    onnx.helper.set_model_props(content, about)
    onnx.checker.check_model(content)
    write_bytes(out, content.SerializeToString())
    return out


def _as_numbers(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of 0 where score or box is NaN, and sides of 0, for `without_nan`.

    The converter makes products of its `where`, and 0 times NaN is NaN; it keeps only those whose condition is `isnan`.
    """
    boxes, scores = answers[BOXES], answers[SCORES]
    spoilt = ops.isnan(scores + ops.sum(boxes, axis=-1))
    return {**answers, BOXES: ops.where(ops.isnan(boxes), 0.0, boxes), SCORES: ops.where(spoilt, 0.0, scores)}


def _rename(model: Any, names: dict[str, str]) -> None:
    for value in model.graph.output:
        value.name = names[value.name]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
