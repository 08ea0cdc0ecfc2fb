"""One way to use a model in any format: a picture in, `Detections` in its pixels out."""

import dataclasses
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector import Detector, Picture, as_image, load
from centernet_tf.errors import UsageError
from centernet_tf.export.answers import ANSWERS, BOXES, CLASSES, SCORES
from centernet_tf.export.camera_files import CAMERA, cameras_of, read_camera
from centernet_tf.geometry import affine
from centernet_tf.geometry.camera import move_camera
from centernet_tf.results import Detections

LABELS = "labels.txt"


class Runner:
    """A model in some format; the steps between a picture and its objects are methods, so that each can be timed.

    Attributes:
        kind: The format, for people.
        path: The file or folder.
        names: Of the classes.
        limit: Detections per image.
        size: Height and width of its input where its caller fits images to it, else None.
        camera: [3, 4] of pictures whose own is not given, for models of boxes in space; None for others.
    """

    kind = ""
    size: tuple[int, int] | None = None
    camera: np.ndarray | None = None

    def __init__(self, path: Path, names: Sequence[str], limit: int):
        self.path, self.names, self.limit = path, tuple(names), limit

    def fit(self, image: np.ndarray) -> tuple[Any, np.ndarray]:
        """The model's input for an image [H, W, 3] uint8; [scale, left, top] with input = scale * image + (left, top).

        Here the model fits images itself.
        """
        return image[None], np.array([1.0, 0.0, 0.0])

    def window(self, image: np.ndarray) -> np.ndarray:
        """[4] left, top, right, bottom: the part of an image [H, W, 3] that it answers for, to which boxes are cut."""
        return np.array([0, 0, *image.shape[1::-1]], np.float64)

    def run(self, inputs: Any, camera: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """TFOD's outputs of one image, boxes as shares of the input; the camera [3, 4] is that of the input."""
        raise NotImplementedError

    @property
    def placed(self) -> bool:
        """Whether it finds objects in space, and so needs cameras."""
        return self.camera is not None

    def finish(
        self,
        answers: dict[str, np.ndarray],
        inputs: Any,
        fit: np.ndarray,
        image: np.ndarray,
        camera: np.ndarray | None = None,
    ) -> Detections:
        """TFOD's outputs to pixels of the image, clipped to it; the camera [3, 4] is that of the image."""
        scale, shift = fit[0], fit[1:]

        def in_image(shares: np.ndarray) -> np.ndarray:
            """Points [..., 2] (y, x) as shares of the input to (x, y) in pixels of the image."""
            return (shares[..., ::-1] * np.array(inputs.shape[2:0:-1]) - shift) / scale

        rows = {name: np.asarray(value)[0] for name, value in answers.items()}
        boxes = in_image(rows[BOXES].reshape(-1, 2, 2)).reshape(-1, 4)
        classes = rows[CLASSES].astype(int) - self.first_class
        fields = {
            answer.field: in_image(rows[answer.name]) if answer.kind == "points" else rows[answer.name]
            for answer in ANSWERS
            if answer.name in rows
        }
        size = image.shape[1::-1]
        found = Detections(boxes, rows[SCORES], classes, self.names, size, fields, camera=camera)
        return clipped(found, self.window(image))

    first_class = 0

    def __call__(self, picture: Picture, camera: np.ndarray | None = None) -> Detections:
        """Finds objects: every one of the model's K, however low its score. The camera [3, 4] is the picture's."""
        image = as_image(picture)
        inputs, fit = self.fit(image)
        camera = self.camera if camera is None else camera
        moved = None if camera is None else move_camera(camera, np.array([[fit[0], 0, fit[1]], [0, fit[0], fit[2]]]))
        return self.finish(self.run(inputs, moved), inputs, fit, image, camera)

    def stream(
        self,
        pictures: Iterable[Picture],
        threshold: float = 0.0,
        batch: int = 1,
        cameras: Iterable[np.ndarray | None] | None = None,
    ) -> Iterator[Detections]:
        """As `Detector.stream`, so that a runner is evaluated like a detector; one picture at a time."""
        del batch
        given = itertools.repeat(None) if cameras is None else iter(cameras)
        for picture in pictures:
            found = self(picture, next(given))
            yield found[found.scores > threshold]


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
        if window:
            self.window = window
        self.detector = detector or load(path)
        super().__init__(path, self.detector.names, self.detector.card.max_objects)
        cameras = cameras_of(self.detector.card)
        self.camera = None if cameras is None else cameras[0]

    def run(self, inputs: Any, camera: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The detector's own fields, boxes in pixels."""
        height, width = inputs.shape[1:3]
        if self.detector.card.input.mode == "fixed":
            # As `Detector` pads, so that few shapes need compiling.
            inputs = np.pad(inputs, ((0, 0), (0, -height % 64), (0, -width % 64), (0, 0)))
        more = {} if camera is None else {"cameras": camera[None]}
        sizes = np.array([[height, width]], np.int32)
        return self.detector.graph.predict_on_batch({"images": inputs, "sizes": sizes, **more})

    def finish(
        self,
        answers: dict[str, np.ndarray],
        inputs: Any,
        fit: np.ndarray,
        image: np.ndarray,
        camera: np.ndarray | None = None,
    ) -> Detections:
        """The fields as they are, boxes clipped."""
        fields = {name: value[0] for name, value in answers.items()}
        boxes, scores, classes = (fields.pop(name) for name in ("boxes", "scores", "classes"))
        skeleton = self.detector.card.skeleton
        found = Detections(boxes, scores, classes, self.names, image.shape[1::-1], fields, skeleton, camera)
        return clipped(found, self.window(image))


class SavedModelRunner(Runner):
    """A folder that `centernet export --format savedmodel` wrote."""

    kind = "SavedModel"
    first_class = 1

    def __init__(self, path: Path):
        versions = [folder for folder in path.iterdir() if folder.name.isdigit()]
        folder = max(versions, key=lambda one: int(one.name), default=path)
        if not (folder / "saved_model.pb").is_file():
            raise UsageError(f"{path}: no SavedModel in it. Give a folder that `centernet export` wrote.")
        self.loaded = tf.saved_model.load(folder)
        self.answer = self.loaded.signatures["serving_default"]
        names = (folder / "assets" / LABELS).read_text(encoding="utf-8").splitlines()
        camera = folder / "assets" / CAMERA  # Exports of before there were cameras have none.
        self.camera = read_camera(camera.read_text(encoding="utf-8")) if camera.is_file() else None
        super().__init__(path, names, self.answer.structured_outputs[SCORES].shape[1])

    def run(self, inputs: Any, camera: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """One call of the signature for pixels."""
        more = {} if camera is None else {"camera": tf.constant(camera[None])}
        return {name: value.numpy() for name, value in self.answer(input_tensor=tf.constant(inputs), **more).items()}


class _Fitted(Runner):
    """A model that leaves the fit to its caller."""

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = image.shape[:2]
        scale, left, top = affine.fixed_fit(float(height), float(width), self.size)
        row = np.float32([[scale, scale, left, top]])
        return ops.convert_to_numpy(preprocess.warp(image[None], row, self.size)), np.array([scale, left, top])

    def window(self, image: np.ndarray) -> np.ndarray:
        """What of the image lies in the input: not all, where it is taller for its width."""
        height, width = image.shape[:2]
        scale, left, top = affine.fixed_fit(float(height), float(width), self.size)
        seen = (np.array([[0, 0], self.size[::-1]]) - [left, top]) / scale
        return np.clip(seen, 0, [width, height]).ravel()


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
        outputs = self.signature.get_output_details()
        if SCORES not in outputs or not zipfile.is_zipfile(path):
            raise UsageError(f"{path}: without decode or labels. Export it with --decode graph.")
        with zipfile.ZipFile(path) as archive:
            names = archive.read(LABELS).decode().splitlines()
            self.camera = read_camera(archive.read(CAMERA).decode()) if CAMERA in archive.namelist() else None
        (self.input,) = (name for name in self.signature.get_input_details() if name != "camera")
        self.size = tuple(int(side) for side in self.signature.get_input_details()[self.input]["shape"][1:3])
        super().__init__(path, names, int(outputs[SCORES]["shape"][1]))

    def run(self, inputs: Any, camera: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """One call of the signature."""
        return self.signature(**{self.input: inputs}, **({} if camera is None else {"camera": camera[None]}))


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
        about = self.session.get_modelmeta().custom_metadata_map
        self.size = (int(about["height"]), int(about["width"]))
        self.camera = read_camera(about[CAMERA]) if CAMERA in about else None
        outputs = {output.name: output.shape for output in self.session.get_outputs()}
        super().__init__(path, about["classes"].split("\n"), outputs[SCORES][1])

    def run(self, inputs: Any, camera: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """One run of the session."""
        names = [output.name for output in self.session.get_outputs()]
        more = {} if camera is None else {"camera": camera[None]}
        return dict(zip(names, self.session.run(names, {"input": inputs, **more})))


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
        raise UsageError(f"{path}: not a model's ending. Known: {', '.join(kinds)}, or a SavedModel's folder.")
    return kinds[path.suffix](path)


def clipped(found: Detections, window: np.ndarray) -> Detections:
    """With boxes cut to a part [4] of the image, as exported graphs answer."""
    return dataclasses.replace(found, boxes=np.clip(found.boxes, np.tile(window[:2], 2), np.tile(window[2:], 2)))
