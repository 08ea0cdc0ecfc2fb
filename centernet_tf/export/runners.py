"""One way to use a model in any format: an image in, `Detections` in its pixels out."""

import dataclasses
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector.detector import Detector, Entry, Image, as_entries, as_image, load
from centernet_tf.detector.extras import complete, moved
from centernet_tf.detector.found import as_detections
from centernet_tf.errors import DataError, UsageError
from centernet_tf.export.about import ABOUT, About, read_about
from centernet_tf.export.answers import SCORES, as_exported, as_found, have_patches
from centernet_tf.export.carried import PREFIX, PREVIOUS, Carried
from centernet_tf.geometry import affine
from centernet_tf.points.task import Extra
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

MOST_ABOUT = 1 << 24  # bytes of what a file says of its model


class Runner:
    """A model in some format; the steps between an image and its objects are methods, so that each can be timed.

    Args:
        path: The file or folder.
        about: What it says of its model.
        limit: Detections per image.
        inputs: Names of its inputs; extras that are none of them it does not take.

    Attributes:
        kind: The format, for people.
        path: The file or folder.
        names: Of the classes.
        properties: What it finds of objects besides box and class.
        extras: What it takes of each image beside its pixels.
        limit: Detections per image.
        size: Height and width of its input where its caller fits images to it, else None.
        fills: What of an image fills the input's width, where its caller fits images to it.
        shifted_sizes: Whether the shift of `fit` takes from the sizes of boxes.
        first_class: Number of the first class in its answers.
        carried: What it remembers between the frames of a video; None where it takes single images.
    """

    kind = ""
    size: tuple[int, int] | None = None
    first_class = 0

    def __init__(self, path: Path, about: About, limit: int, inputs: Iterable[str]):
        self.path, self.limit = path, limit
        self.names: tuple[str, ...] = about.classes
        self.properties: tuple[Property, ...] = about.properties
        self.fills, self.fill, self.resample = about.window, about.fill, about.resample
        self.shifted_sizes = about.shifted_sizes
        taken = set(inputs)
        self.extras: tuple[Extra, ...] = tuple(extra for extra in about.extras if extra.name in taken)
        self.carried = None if about.state is None else Carried(about.state, str(path))

    def fit(self, image: np.ndarray) -> tuple[Any, np.ndarray]:
        """The model's input for an image [H, W, 3] uint8; [scale, left, top] with input = scale * image + (left, top).

        Here the model fits images itself.
        """
        return image[None], np.array([1.0, 0.0, 0.0])

    def fit_extras(self, extras: Mapping[str, np.ndarray], fit: np.ndarray) -> dict[str, np.ndarray]:
        """{name: [...]} of an image to {name: [1, ...]} of the input that `fit` made of it."""
        scale, left, top = fit
        matrix = np.array([[scale, 0, left], [0, scale, top]])
        return moved({name: value[None] for name, value in extras.items()}, self.extras, matrix)

    def window(self, image: np.ndarray) -> np.ndarray:
        """[4] left, top, right, bottom: the part of an image [H, W, 3] that it answers for, to which boxes are cut."""
        return np.array([0, 0, *image.shape[1::-1]], np.float64)

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """TFOD's outputs of one image, boxes as fractions of the input; extras {name: [1, ...]} are of the input."""
        raise NotImplementedError

    def finish(
        self,
        answers: Mapping[str, np.ndarray],
        inputs: Any,
        fit: np.ndarray,
        image: np.ndarray,
        extras: Mapping[str, np.ndarray],
    ) -> Detections:
        """TFOD's outputs to pixels of the image, clipped to it; extras {name: [...]} are of the image."""
        scale, shift = fit[0], fit[1:]

        def in_image(fractions: np.ndarray) -> np.ndarray:
            """Points [..., 2] (y, x) as fractions of the input to (x, y) in pixels of the image."""
            return (fractions[..., ::-1] * np.array(inputs.shape[2:0:-1]) - shift) / scale

        rows = {name: np.asarray(value)[0] for name, value in answers.items()}
        found = as_found(rows, in_image, self.first_class)
        if self.shifted_sizes:  # The file does not know how its caller fitted the image.
            found["boxes"] = ops.convert_to_numpy(affine.with_sides_added(found["boxes"], np.float32(-shift / scale)))
        made = as_detections(found, self.names, image.shape[1::-1], self.properties, extras)
        return clipped(made, self.window(image))

    def __call__(self, image: Image, **extras: Any) -> Detections:
        """Finds objects: every one of the model's K, however low its score. Extras are those of the image."""
        ((_, _, found),) = self.search([(None, image, extras)], threshold=-np.inf)
        return found

    def step(self, frame: Image, **extras: Any) -> Detections:
        """Takes in the next frame of a video, as `detector.follow.Tracker.step` does.

        Raises:
            UsageError: The model takes single images.
            DataError: The frame has another size than those before.
        """
        if self.carried is None:
            raise UsageError(f"{self.path}: takes single images. Export a model of videos, or call it.")
        found = self(frame, **extras)
        return found[found.scores > 0]

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        if self.carried is not None:
            self.carried.reset()

    def stream(
        self, images: Iterable[Image | tuple[Image, Mapping[str, Any]]], threshold: float = 0.0, batch_size: int = 1
    ) -> Iterator[Detections]:
        """As `Detector.stream`, one image at a time."""
        return (found for _, _, found in self.search(as_entries(images), threshold, batch_size))

    def search(
        self, entries: Iterable[Entry], threshold: float = 0.0, batch_size: int = 1
    ) -> Iterator[tuple[Any, np.ndarray, Detections]]:
        """As `Detector.search`, so that a runner is evaluated like a detector; one image at a time."""
        del batch_size
        for key, source, given in entries:
            image, extras = as_image(source), complete(given, self.extras)
            inputs, fit = self.fit(image)
            answers = self._answer(inputs, self.fit_extras(extras, fit))
            found = self.finish(answers, inputs, fit, image, extras)
            yield key, image, found[found.scores > threshold]

    def _answer(self, inputs: Any, given: dict[str, Any]) -> dict[str, np.ndarray]:
        """`run`, and what is carried from frame to frame."""
        if self.carried is None:
            return self.run(inputs, given)
        before = self.carried.arguments(inputs)
        if PREVIOUS in before and before[PREVIOUS].shape != inputs.shape:
            (height, width), (last_height, last_width) = inputs.shape[1:3], before[PREVIOUS].shape[1:3]
            raise DataError(
                f"{self.path}: a frame has {width}x{height} pixels, the one before {last_width}x{last_height}. A video "
                "has frames of one size; `reset` begins another."
            )
        return self.carried.take(self.run(inputs, {**given, **before}), inputs)


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
        about = About(self.detector.names, properties, self.detector.extras)
        super().__init__(path, about, self.detector.limit, [extra.name for extra in about.extras])

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The detector's own fields, boxes in pixels."""
        height, width = inputs.shape[1:3]
        if self.detector.card.input.mode == "fixed":
            # As `Detector` pads, so that few shapes need compiling.
            inputs = np.pad(inputs, ((0, 0), (0, -height % 64), (0, -width % 64), (0, 0)))
        sizes = np.array([[height, width]], np.int32)
        return self.detector.graph.predict_on_batch({"images": inputs, "sizes": sizes, **extras})

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
    """A folder that `centernet export --format savedmodel` wrote."""

    kind = "SavedModel"
    first_class = 1

    def __init__(self, path: Path):
        versions = [folder for folder in path.iterdir() if folder.name.isdigit()]
        folder = max(versions, key=lambda one: int(one.name), default=path)
        about = folder / "assets" / ABOUT
        if not (folder / "saved_model.pb").is_file() or not about.is_file():
            raise UsageError(f"{path}: no SavedModel in it. Give a folder that `centernet export` wrote.")
        self.loaded = tf.saved_model.load(folder)
        self.answer = self.loaded.signatures["serving_default"]
        limit = self.answer.structured_outputs[SCORES].shape[1]
        inputs = self.answer.structured_input_signature[1]
        super().__init__(path, read_about(about.read_text(encoding="utf-8"), str(path)), limit, inputs)

    def run(self, inputs: Any, extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One call of the signature for pixels."""
        tensors = {name: tf.constant(value) for name, value in {"input_tensor": inputs, **extras}.items()}
        return {name: value.numpy() for name, value in self.answer(**tensors).items()}


class _Fitted(Runner):
    """A model that leaves the fit to its caller."""

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = image.shape[:2]
        scale, left, top = self._fixed_fit(float(height), float(width))
        row = np.float32([[scale, scale, left, top]])
        fitted = preprocess.RESAMPLES[self.resample](image[None], row, self.size, self.fill)
        return ops.convert_to_numpy(fitted), np.array([scale, left, top])

    def window(self, image: np.ndarray) -> np.ndarray:
        """What of the image lies in the input: not all, where it is taller for its width."""
        height, width = image.shape[:2]
        scale, left, top = self._fixed_fit(float(height), float(width))
        seen = (np.array([[0, 0], self.size[::-1]]) - [left, top]) / scale
        return np.clip(seen, 0, [width, height]).ravel()

    def _fixed_fit(self, height: float, width: float) -> tuple[float, float, float]:
        side = affine.window_side(height, width, self.fills, self.size)
        return affine.fixed_fit(height, width, self.size, side)


class LiteRunner(_Fitted):
    """A .tflite file with the decode in it, run by LiteRT.

    Args:
        path: The file.
        delegate: Use XNNPACK, as runtimes do by default, or the built-in kernels.
        threads: Of the interpreter.
    """

    kind = "TFLite"

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
    """Opens a model by what it is: .keras, .tflite, .onnx, or a folder with a SavedModel.

    Raises:
        UsageError: There is no such file, or it is none of these.
    """
    path = Path(path)
    kinds = {".keras": KerasRunner, ".tflite": LiteRunner, ".onnx": OnnxRunner}
    if path.is_dir():
        return SavedModelRunner(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such model. Give a .keras, .tflite or .onnx file, or a SavedModel's folder.")
    if path.suffix not in kinds:
        raise UsageError(f"{path}: unknown suffix. Known: {', '.join(kinds)}, or a SavedModel's folder.")
    return kinds[path.suffix](path)


def clipped(found: Detections, window: np.ndarray) -> Detections:
    """With boxes cut to a part [4] of the image, as exported graphs answer; but for those with patches over them."""
    low, high = (window[:2], window[2:]) if not have_patches(found.fields) else (-np.inf, np.inf)
    return dataclasses.replace(found, boxes=np.clip(found.boxes.reshape(-1, 2, 2), low, high).reshape(-1, 4))
