"""An ONNX file, for runtimes beside TensorFlow: the network and its decode, any batch and input size."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.export.answers import answer_names, in_pixels, tfod_answers
from centernet_tf.export.camera_files import CAMERA, camera_text
from centernet_tf.export.tflite import PhoneGraph
from centernet_tf.model_file import ModelCard, load_model

OPSET = 18


class OnnxGraph(PhoneGraph):
    """Images of one size in, TFOD's outputs out, for any batch and any sides that are multiples of the stride."""

    def call(self, images: Any, cameras: Any = None) -> dict[str, Any]:
        """Images [B, H, W, 3] and, where objects are placed, cameras [B, 3, 4] of these very pixels."""
        batch, height, width, _ = ops.shape(images)
        found = in_pixels(self.tasks.decode(self.network(self.normalize(images), training=False)), self.tasks)
        found = self.tasks.place(found, cameras) if self.placed else found
        sizes = ops.broadcast_to(ops.stack([height, width]), (batch, 2))
        return tfod_answers(found, sizes, class_offset=0)


def export_onnx(model: str | Path | tuple[keras.Model, ModelCard], out: str | Path) -> Path:
    """Writes an ONNX file.

    It takes "input" [B, H, W, 3] float32 RGB in 0..255, sides multiples of the network's stride, and answers
    "detection_boxes" [B, K, 4] top, left, bottom, right as shares of the input, "detection_classes" [B, K] counted from
    0, "detection_scores" [B, K] and "num_detections" [B], all float32, and what else is found, see `answers`. A model
    of boxes in space takes "camera" [B, 3, 4] too: of the input's pixels, which is `geometry.camera.move_camera` of the
    image's and the way it came to the input's size, which is the caller's. The file's metadata has the names of the
    classes, one on each line, the height and width it was made for, and the camera of training.

    Args:
        model: Model file, or network and card.
        out: File to write, .onnx.

    Returns:
        The file.

    Raises:
        UsageError: The name ends otherwise, the extra is not installed, or Keras runs on another backend.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise UsageError(f"{out}: an ONNX file's name ends in .onnx; try {out.with_suffix('.onnx')}.")
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise UsageError(f"{out}: {error.name} is missing. pip install 'centernet_tf[onnx]'.") from None
    network, card = model if isinstance(model, tuple) else load_model(model)
    tasks = card.task_set(flat=True)
    graph = OnnxGraph(network, card.input, tasks)
    signature = [tf.TensorSpec((None, None, None, 3), tf.float32, name="input")]
    if graph.placed:
        signature.append(tf.TensorSpec((None, 3, 4), tf.float32, name="camera"))
    content, _ = tf2onnx.convert.from_function(tf.function(graph.call), signature, opset=OPSET)
    # The converter names outputs Identity, Identity:0, ... in the order of their sorted names.
    _rename(content, dict(zip((output.name for output in content.graph.output), sorted(answer_names(tasks)))))
    about = {"classes": "\n".join(card.classes), "height": str(card.input.height), "width": str(card.input.width)}
    if graph.placed:
        about[CAMERA] = camera_text(card)
    onnx.helper.set_model_props(content, about)
    onnx.checker.check_model(content)
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(content, str(out))
    return out


def _rename(model: Any, names: dict[str, str]) -> None:
    for value in model.graph.output:
        value.name = names[value.name]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
