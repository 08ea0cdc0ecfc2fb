"""One way to use a model in any format: an image in, `Detections` in its pixels out."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector.clips import seen_by, shown_to
from centernet_tf.detector.detector import Detector, load
from centernet_tf.detector.found import as_detections
from centernet_tf.errors import UsageError
from centernet_tf.exports.about import ABOUT, About, read_about
from centernet_tf.exports.answers import SCORES, as_exported
from centernet_tf.exports.carried import PREFIX
from centernet_tf.exports.clips import STREAM
from centernet_tf.exports.runner import Runner, clipped
from centernet_tf.geometry import affine
from centernet_tf.model.shipped import find
from centernet_tf.results import Detections

MOST_ABOUT = 1 << 24  # bytes of what a file says of its model


class KerasRunner(Runner):
    """A model file of ours.

    Args:
        path: The file.
        detector: It, if it is open already.
        window: `window` of another runner that this one is compared with.
    """

    kind = "Keras"

    def __init__(
        self,
        path: Path,
        detector: Detector | None = None,
        window: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self.window = window or self.window
        self.detector = detector or load(path)
        properties = tuple(one.exported() for one in self.detector.properties)
        clip, thresholds = seen_by(self.detector.tasks), self.detector.card.thresholds
        about = About(self.detector.names, properties, self.detector.extras, clip=clip, thresholds=thresholds)
        super().__init__(path, about, self.detector.limit, [extra.name for extra in about.extras])

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The detector's own fields, boxes in pixels."""
        *others, height, width, _ = inputs.shape
        if self.detector.card.input.mode == "fixed":
            # As `Detector` pads, so that few shapes need compiling.
            inputs = np.pad(inputs, [(0, 0) for _ in others] + [(0, -height % 64), (0, -width % 64), (0, 0)])
        sizes = np.array([[height, width]], np.int32)
        shown = shown_to(self.detector.tasks, inputs[0]) if self.pictures else {"images": inputs}
        return self.detector.graph.predict_on_batch({**shown, "sizes": sizes, **extras})

    def finish(
        self,
        answers: Mapping[str, np.ndarray],
        inputs: Any,
        fit: np.ndarray,
        image: np.ndarray,
        extras: Mapping[str, np.ndarray],
    ) -> Detections:
        """The fields as exports tell them, boxes clipped."""
        found = as_exported({name: value[0] for name, value in answers.items()}, self.detector.properties)
        made = as_detections(found, self.names, image.shape[1::-1], self.properties, extras)
        return clipped(made, self.window(image))


class SavedModelRunner(Runner):
    """A folder that `centernet export --format savedmodel` wrote.

    Args:
        path: The folder, or the numbered one in it.
        streams: Whether videos go through it frame by frame, where it can, even if it sees clips.
    """

    kind = "SavedModel"
    first_class = 1

    def __init__(self, path: Path, streams: bool = True):
        versions = [folder for folder in path.iterdir() if folder.name.isdigit()]
        folder = max(versions, key=lambda one: int(one.name), default=path)
        about = folder / "assets" / ABOUT
        if not (folder / "saved_model.pb").is_file() or not about.is_file():
            raise UsageError(f"{path}: no SavedModel in it. Give a folder that `centernet export` wrote.")
        self.loaded = tf.saved_model.load(folder)
        self.answer = answer = self.loaded.signatures["serving_default"]
        limit = answer.structured_outputs[SCORES].shape[1]
        inputs = answer.structured_input_signature[1]
        super().__init__(path, read_about(about.read_text(encoding="utf-8"), str(path)), limit, inputs)
        self.state = self.state if streams or self.clip is None else None

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One call of the signature for pixels."""
        return self._call("serving_default", inputs, extras)

    def run_frame(self, inputs: Any, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._call(STREAM if self.pictures else "serving_default", inputs, given)

    def _call(self, signature: str, inputs: Any, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in {"input_tensor": inputs, **given}.items()}
        return {name: value.numpy() for name, value in self.loaded.signatures[signature](**tensors).items()}


class _Fitted(Runner):
    """A model that leaves the fit to its caller."""

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pictures = image.reshape(-1, *image.shape[-3:])
        height, width = image.shape[-3:-1]
        fit = self._fixed_fit(float(height), float(width))
        if self.fills == "stretched":
            sizes, targets = (np.int32([side] * len(pictures)) for side in ((height, width), self.size))
            fitted = preprocess.resize(pictures, sizes, targets, self.size)
        else:
            rows = np.float32([fit] * len(pictures))
            fitted = preprocess.RESAMPLES[self.resample](pictures, rows, self.size, self.fill)
        return ops.convert_to_numpy(fitted).reshape(1, *image.shape[:-3], *self.size, 3), fit

    def window(self, image: np.ndarray) -> np.ndarray:
        """What of the image lies in the input: not all, where it is taller for its width."""
        height, width = image.shape[:2]
        fit = self._fixed_fit(float(height), float(width))
        seen = (np.array([[0, 0], self.size[::-1]]) - fit[2:]) / fit[:2]
        return np.clip(seen, 0, [width, height]).ravel()

    def _fixed_fit(self, height: float, width: float) -> np.ndarray:
        """[4] scale (x, y) and shift (x, y)."""
        if self.fills == "stretched":
            return np.array([self.size[1] / width, self.size[0] / height, 0.0, 0.0])
        side = affine.window_side(height, width, self.fills, self.size)
        scale, left, top = affine.fixed_fit(height, width, self.size, side)
        return np.array([scale, scale, left, top])


class LiteRunner(_Fitted):
    """A .tflite file with the decode in it, run by LiteRT.

    Args:
        path: The file.
        delegate: Use XNNPACK, as runtimes do by default, or the built-in kernels.
        threads: Of the interpreter.
    """

    kind = "TFLite"
    at_once = False

    def __init__(self, path: Path, delegate: bool = True, threads: int | None = None):
        try:
            from ai_edge_litert import interpreter as litert
        except ImportError:
            raise UsageError(f"{path}: LiteRT is missing. pip install 'centernet_tf[tflite]'.") from None
        kernels = litert.OpResolverType.AUTO if delegate else litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self.interpreter = litert.Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=kernels)
            self.interpreter.allocate_tensors()
            self.signature = self.interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"{path}: not a TFLite file that runs here ({error}).") from None
        inputs, outputs = self.signature.get_input_details(), self.signature.get_output_details()
        if SCORES not in outputs or not zipfile.is_zipfile(path):
            raise UsageError(f"{path}: without decode or labels. Export it with --decode graph.")
        about = read_about(_packed(path, ABOUT), str(path))
        super().__init__(path, about, int(outputs[SCORES]["shape"][1]), inputs)
        (self.input,) = {name for name in inputs if not name.startswith(PREFIX)} - {extra.name for extra in self.extras}
        self.size = tuple(int(side) for side in inputs[self.input]["shape"][1:3])

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One call of the signature."""
        return self.signature(**{self.input: inputs}, **extras)


class OnnxRunner(_Fitted):
    """An .onnx file that `centernet export` wrote, run by ONNX Runtime."""

    kind = "ONNX"

    def __init__(self, path: Path, threads: int | None = None):
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(f"{path}: ONNX Runtime is missing. pip install 'centernet_tf[onnx]'.") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        stored = self.session.get_modelmeta().custom_metadata_map
        if ABOUT not in stored:
            raise UsageError(f"{path}: an ONNX file without our metadata. Give one that `centernet export` wrote.")
        self.size = (int(stored["height"]), int(stored["width"]))
        outputs = {output.name: output.shape for output in self.session.get_outputs()}
        inputs = [one.name for one in self.session.get_inputs()]
        super().__init__(path, read_about(stored[ABOUT], str(path)), outputs[SCORES][1], inputs)

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One run of the session."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {"input": inputs, **extras})))


def _packed(path: Path, name: str) -> str:
    """A text in the archive behind a TFLite model. Raises UsageError where there is none that can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).file_size > MOST_ABOUT:
                raise UsageError(f"{path}: {name} in it is larger than {MOST_ABOUT} bytes. Export the model again.")
            return archive.read(name).decode()
    except (KeyError, EOFError, RuntimeError, UnicodeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{path}: {name} in it is missing or damaged ({error}). Export the model again.") from None


def open_runner(path: str | Path) -> Runner:
    """Opens a model by what it is: .keras, .tflite, .onnx, a folder with a SavedModel, or the name of a shipped one.

    Raises:
        UsageError: There is no such file, or it is none of these.
    """
    path = find(path)
    kinds = {".keras": KerasRunner, ".tflite": LiteRunner, ".onnx": OnnxRunner}
    if path.is_dir():
        return SavedModelRunner(path)
    if path.suffix not in kinds:
        raise UsageError(f"{path}: unknown suffix. Known: {', '.join(kinds)}, or a SavedModel's folder.")
    return kinds[path.suffix](path)
