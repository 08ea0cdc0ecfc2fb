"""From pictures to detections: files and arrays of any size in batches, through the graph, and what it found."""

import dataclasses
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector_graph import DetectorGraph, WindowGraph
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.geometry.camera import as_camera
from centernet_tf.images import read_image
from centernet_tf.model_file import ModelCard, load_model
from centernet_tf.results import Detections
from centernet_tf.test_time import tiles
from centernet_tf.test_time.field import receptive_field
from centernet_tf.test_time.options import Options

PADDING = 64  # Images of one batch are padded to multiples of this, so that few shapes need compiling.
Picture = str | Path | bytes | np.ndarray


class Detector:
    """A trained network that takes pictures.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: What it is.
        options: What it does beyond one pass over each picture; see `with_options`.

    Attributes:
        network: Call it with normalised images [B, H, W, 3], sides multiples of the stride, for its raw maps without
            activation.
        card: Everything the model file says.
        options: What it does beyond one pass.
        halo: Margin of its tiles in pixels.
    """

    def __init__(self, network: keras.Model, card: ModelCard, options: Options | None = None):
        self.options = (options or Options()).checked()
        if self.options.tile:
            card = card.model_copy(update={"input": card.input.resized(None)})
        self.network = network
        self.card = card
        self.tasks = card.task_set()
        if self.tasks.placed and (self.options.tile or self.options.scales != (1.0,)):
            raise UsageError(
                "Depth is learnt for pictures as they are: in tiles, or at other scales, the same object would look "
                "nearer or further. Leave tile and scales out."
            )
        graph = WindowGraph if self.options.tile else DetectorGraph
        self.graph = graph(network, self.tasks, card.input, self.options)
        self.halo = self._find_halo() if self.options.tile else 0

    @property
    def limit(self) -> int:
        """Most objects of one image."""
        return self.card.max_objects

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in channel order."""
        return self.card.classes

    @property
    def placed(self) -> bool:
        """Whether it finds objects in space, and so needs cameras."""
        return self.tasks.placed

    def __call__(
        self, pictures: Picture | Sequence[Picture], threshold: float = 0.3, batch: int = 8, cameras: Any = None
    ) -> Any:
        """Finds objects.

        Args:
            pictures: One image or several: a file, its bytes, or an array [H, W, 3] uint8 RGB; a batch may also be an
                array [B, H, W, 3].
            threshold: Scores up to this are left out, in 0..1; 0 keeps every peak, at most the model's max_objects.
            batch: Images that run at the same time.
            cameras: For boxes in space: [3, 4] of all pictures, or one for each, see `geometry.camera.as_camera`; the
                card's if left out.

        Returns:
            `Detections` in pixels of the image for one, a list of them in the same order for several.

        Raises:
            DataError: A file is missing or no image. It is named. Or the network answers NaN.
            UsageError: Cameras for a model that needs none, or none for one that does.
            ValueError: An array has another shape or type, or the threshold is outside 0..1.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}, expected a score from 0 to 1.")
        single = isinstance(pictures, (str, Path, bytes)) or (isinstance(pictures, np.ndarray) and pictures.ndim == 3)
        pictures = [pictures] if single else pictures
        if cameras is not None and len(cameras) and np.ndim(cameras[0]) == 1:
            cameras = itertools.repeat(cameras)
        elif cameras is not None and len(cameras) != len(pictures):
            raise UsageError(f"{len(cameras)} cameras for {len(pictures)} pictures. Give one for each, or one for all.")
        found = list(self.stream(pictures, threshold, batch, cameras))
        return found[0] if single else found

    def stream(
        self,
        pictures: Iterable[Picture],
        threshold: float = 0.3,
        batch: int = 8,
        cameras: Iterable[Any] | None = None,
    ) -> Iterable[Detections]:
        """`__call__` for any number of pictures: reads a batch, yields its detections in order, goes on.

        Cameras are read after the picture that each belongs to; one that is None is the card's.
        """
        waiting: list[np.ndarray] = []
        theirs: list[np.ndarray | None] = []
        for picture, camera in self._with_cameras(pictures, cameras):
            image = as_image(picture)
            # Where the resolution is kept, one batch has one size.
            if len(waiting) == batch or (waiting and self._keeps and waiting[0].shape != image.shape):
                yield from self._run(waiting, threshold, theirs)
                waiting, theirs = [], []
            waiting.append(image)
            theirs.append(camera)
        if waiting:
            yield from self._run(waiting, threshold, theirs)

    def _with_cameras(self, pictures: Iterable[Picture], cameras: Iterable[Any] | None) -> Iterator[tuple[Any, Any]]:
        """Each picture and its camera [3, 4], None where no task needs one."""
        if not self.tasks.placed:
            if cameras is not None:
                raise UsageError(f"A model of {', '.join(self.card.tasks)} needs no cameras. Leave them out.")
            yield from ((picture, None) for picture in pictures)
            return
        given = itertools.repeat(None) if cameras is None else iter(cameras)
        for picture in pictures:
            camera = next(given, self)
            if camera is self:
                raise UsageError("There are fewer cameras than pictures. Give one for each, or one for all.")
            if camera is None and self.card.camera is None:
                raise UsageError("The model file has no camera, and none is given for a picture. Give cameras.")
            yield picture, as_camera(self.card.camera if camera is None else camera)

    def look(self, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees and what it answers, for looking inside.

        Returns:
            Its input [h, w, 3] uint8 RGB, and the heatmap [h/4, w/4, C] float32 in 0..1.
        """
        inputs = self._pack([as_image(picture)])
        fitted, _ = self.graph.fit_images(inputs["images"], inputs["sizes"])
        outputs = self.network(preprocess.normalize(fitted, self.card.input.normalization), training=False)
        heatmap = ops.convert_to_numpy(ops.sigmoid(outputs["heatmap"][-1][0]))
        return np.rint(ops.convert_to_numpy(fitted[0]) * 255).astype(np.uint8), heatmap

    def with_input(self, size: tuple[int, int] | None) -> "Detector":
        """The same network behind another input.

        Args:
            size: Height and width in pixels, multiples of the stride; None keeps every image's resolution.

        Raises:
            UsageError: A side is no multiple of the stride; the message names the nearest size.
        """
        if size and self.options.tile:
            raise UsageError("Tiles keep the resolution of a picture, so the input has no other size. Leave out one.")
        if self.placed and (size is None or size[1] != self.card.input.width):
            warnings.warn(
                f"Depth was learnt from inputs {self.card.input.width} pixels wide, into which pictures were fitted. "
                "Where they come larger or smaller, the same objects look nearer or further.",
                stacklevel=2,
            )
        card = self.card.model_copy(update={"input": self.card.input.resized(size)})
        return Detector(self.network, card, self.options)

    def with_options(self, **options: Any) -> "Detector":
        """The same network with more work for each picture.

        Args:
            options: Fields of `test_time.options.Options` and their values, such as flip=True, scales=(0.5, 1, 1.5),
                nms=True, or tile=(1024, 1024), which also keeps the resolution. Those left out are off.

        Raises:
            UsageError: Unknown, senseless, or they exclude each other.
        """
        known = [field.name for field in dataclasses.fields(Options)]
        for name in options:
            if name not in known:
                raise UsageError(f"Unknown option {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
        return Detector(self.network, self.card, Options(**options))

    @property
    def _keeps(self) -> bool:
        return self.card.input.mode == "keep"

    def _pack(self, images: Sequence[np.ndarray], cameras: Sequence[np.ndarray] | None = None) -> dict[str, np.ndarray]:
        sizes = np.array([image.shape[:2] for image in images], np.int32)
        shape = sizes.max(axis=0)
        if not self._keeps:
            shape = -(-shape // PADDING) * PADDING
        packed = np.zeros((len(images), *shape, 3), np.uint8)
        for row, image in zip(packed, images):
            row[: image.shape[0], : image.shape[1]] = image
        return {"images": packed, "sizes": sizes, **({"cameras": np.stack(cameras)} if cameras else {})}

    def _find_halo(self) -> int:
        """Margin of the tiles in pixels, a multiple of the stride; warns where no margin makes them exact."""
        stride, wanted = self.card.input.stride, self.options.halo
        if wanted is not None:
            return -(-wanted // stride) * stride
        field = receptive_field(self.network)
        if field is None:
            raise UsageError("How far this network looks cannot be read off its layers. Give halo in pixels.")
        if field.beyond:
            kinds = ", ".join(f"{count} {kind}" for kind, count in field.beyond.items())
            warnings.warn(
                f"{self.card.backbone}: tiles only come near to one pass over the whole picture, for some layers look "
                f"further than any margin ({kinds}). Give a larger tile to come nearer.",
                stacklevel=4,
            )
        return field.halo(stride)

    def _search(self, images: Sequence[np.ndarray], cameras: Sequence[np.ndarray] | None) -> dict[str, np.ndarray]:
        """{field: [B, K, ...]} of a batch."""
        if not self.options.tile:
            return self.graph.predict_on_batch(self._pack(images, cameras))
        found = []
        for image in images:
            windows = tiles.cut_all(image, self.options.tile, self.halo, self.card.input.stride)
            found.append(tiles.best_of(map(self.graph.predict_on_batch, windows), self.card.max_objects))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _run(
        self, images: Sequence[np.ndarray], threshold: float, cameras: Sequence[np.ndarray | None]
    ) -> Iterable[Detections]:
        found = self._search(images, cameras if self.tasks.placed else None)
        if not all(np.isfinite(values).all() for values in found.values()):
            # A score that is NaN is above no threshold, so it would pass for an empty image.
            raise DataError("The network answers NaN or infinite numbers: its training diverged. Use another model.")
        for row, image in enumerate(images):
            kept = found["scores"][row] > threshold
            fields = {name: value[row][kept] for name, value in found.items()}
            boxes, scores, classes = (fields.pop(name) for name in ("boxes", "scores", "classes"))
            size, skeleton = image.shape[1::-1], self.card.skeleton
            yield Detections(boxes, scores, classes, self.names, size, fields, skeleton, cameras[row])


def as_image(picture: Picture) -> np.ndarray:
    """A file, its bytes or an array as [H, W, 3] uint8 RGB.

    Raises:
        DataError: The file is missing or no image.
        ValueError: The array has another shape or type.
    """
    if not isinstance(picture, np.ndarray):
        return read_image(picture)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(
            f"Got an array {picture.shape} of {picture.dtype}; an image is [H, W, 3] uint8 RGB with values 0 to 255."
        )
    return picture


def load(path: str | Path) -> Detector:
    """Loads a model file that `centernet train` wrote.

    Raises:
        UsageError: The file is missing or not ours; the message says what it is.
    """
    return Detector(*load_model(path))
