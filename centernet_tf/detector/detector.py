"""From images to detections: files and arrays of any size in batches, through the graph, and what it found."""

import dataclasses
import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from centernet_tf.detector import batches, frames, tiles
from centernet_tf.detector import extras as own
from centernet_tf.detector.entries import Entry, Image, Look, as_entries, as_image
from centernet_tf.detector.field import find_halo
from centernet_tf.detector.found import Threshold, as_detections, check_finite, chosen
from centernet_tf.detector.graph import HEATMAP, SEEN, DetectorGraph, FrameGraph, PointGraph, WindowGraph
from centernet_tf.detector.options import Options
from centernet_tf.detector.point import at_points
from centernet_tf.errors import UsageError, closest
from centernet_tf.model.card import ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.points.task import Extra
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

if TYPE_CHECKING:
    from centernet_tf.detector.follow import Tracker


class Detector:
    """A trained network that takes images.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: What it is.
        options: What it does beyond one pass over each image; see `with_options`.

    Attributes:
        network: Call it with normalised images [B, H, W, 3], sides multiples of the stride, for its raw maps without
            activation.
        card: Everything the model file says.
        options: What it does beyond one pass.
        tasks: The tasks of the network.
        halo: Margin of its tiles in pixels.
    """

    def __init__(self, network: keras.Model, card: ModelCard, options: Options | None = None):
        self.options = (options or Options()).checked()
        if self.options.tile:
            card = card.model_copy(update={"input": card.input.resized(None)})
        self.network = network
        self.card = card
        self.tasks = card.task_set()
        self._check_options()
        self.graph = self._build_graph()
        self.halo = 0
        if self.options.tile:
            self.halo = find_halo(network, card.backbone, card.input.stride, self.options.halo)

    def _build_graph(self, looks: bool = False) -> DetectorGraph:
        graph = WindowGraph if self.options.tile else DetectorGraph
        return graph(self.network, self.tasks, self.card.input, self.options, looks)

    @functools.cached_property
    def _looking(self) -> DetectorGraph:
        return self._build_graph(looks=True)

    @functools.cached_property
    def pointing(self) -> PointGraph:
        """`graph` for points that are given."""
        return PointGraph(self.network, self.tasks, self.card.input, self.options)

    @functools.cached_property
    def _fitting(self) -> FrameGraph:
        return FrameGraph(self.network, self.tasks, self.card.input, self.options)

    @property
    def limit(self) -> int:
        """Most objects of one image."""
        return self.card.max_objects

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in channel order."""
        return self.card.classes

    @property
    def properties(self) -> tuple[Property, ...]:
        """What it finds of objects besides box and class."""
        return self.tasks.properties

    @property
    def extras(self) -> tuple[Extra, ...]:
        """What it takes of each image beside its pixels."""
        return self.tasks.extras

    def __call__(
        self, images: Image | Sequence[Image], threshold: Threshold = None, batch_size: int = 8, **extras: Any
    ) -> Any:
        """Finds objects.

        Args:
            images: One image or several: a file, its bytes, or an array [H, W, 3] uint8 RGB; a batch may also be an
                array [B, H, W, 3].
            threshold: Scores up to this are left out, in 0..1, or up to one for each class; 0 keeps every peak, at most
                the model's max_objects. If left out, the model's own of each class where they were fitted, else 0.3.
            batch_size: Images that run at the same time.
            extras: What the model takes beside pixels, by name, see `extras`: one value for all images, or one for
                each. The model's usual one if None or left out.

        Returns:
            `Detections` in pixels of the image for one, a list of them in the same order for several.

        Raises:
            DataError: A file is missing or no image. It is named. Or the network answers NaN.
            UsageError: An extra is unknown, has more or fewer values than there are images, or is missing.
            ValueError: An array has another shape or type, or a threshold is outside 0..1 or not one for each class.
        """
        single = isinstance(images, (str, Path, bytes)) or (isinstance(images, np.ndarray) and images.ndim == 3)
        images = [images] if single else images
        found = list(self.stream(zip(images, own.spread(extras, self.extras, len(images))), threshold, batch_size))
        return found[0] if single else found

    def stream(
        self,
        images: Iterable[Image | tuple[Image, Mapping[str, Any]]],
        threshold: Threshold = None,
        batch_size: int = 8,
        look: Look | None = None,
    ) -> Iterator[Detections]:
        """`__call__` for any number of images: reads a batch, yields its detections in order, goes on.

        Each is an image, or an image and {name: value} of its extras. `look` as in `search`.
        """
        return (found for _, _, found in self.search(as_entries(images), threshold, batch_size, look))

    def search(
        self, entries: Iterable[Entry], threshold: Threshold = None, batch_size: int = 8, look: Look | None = None
    ) -> Iterator[tuple[Any, np.ndarray, Detections]]:
        """`stream` of images that belong to something.

        Args:
            entries: A key, which is given back, an image, and {name: value} of its extras; where the network sees other
                frames or draws an input, these too, see `frames.complete`.
            threshold: As in `__call__`.
            batch_size: As in `__call__`.
            look: Called for each image, in order, before it is yielded, with what the network saw and the heatmap that
                the objects were found in: with the mirror image's where both were searched, at scale 1 of several, of
                all tiles.

        Yields:
            The key, the image [H, W, 3] uint8 RGB, and what was found in it, in order.
        """
        threshold = chosen(threshold, self.card)
        waiting: list[tuple[Any, np.ndarray, dict[str, np.ndarray], dict[str, Any]]] = []
        for key, source, given in entries:
            seen, given = frames.split(given, self.tasks.inputs)
            image, extras = as_image(source), own.complete(given, self.extras)
            full = len(waiting) == batch_size
            if waiting and (full or not batches.share([one[1] for one in waiting], image, self._input_height)):
                yield from self._run(waiting, threshold, look)
                waiting = []
            waiting.append((key, image, extras, frames.complete(seen, self.tasks, image)))
        if waiting:
            yield from self._run(waiting, threshold, look)

    def at_points(self, image: Image, points: Any, **extras: Any) -> Detections:
        """Tells what is at points that somebody chose, such as by a click: `detector.point.at_points`.

        Args:
            image: As in `__call__`, one.
            points: [P, 2] (x, y) in pixels of the image.
            extras: As in `__call__`.

        Returns:
            One object for each point, in their order, each of its best class and however low its score; with
            `fields["class_scores"]` [P, C] in 0..1.

        Raises:
            UsageError: Points are none, or the model does not see one; options that search several times are on.
        """
        return at_points(self, image, points, extras)

    def look(self, image: Image) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees of one image and answers in one pass, for looking inside; `search` looks as it finds.

        Returns:
            Its input [h, w, 3] uint8 RGB, and the heatmap [h/4, w/4, C] float32 in 0..1.
        """
        image = as_image(image)
        inputs = self.pack([image], seen=[frames.complete({}, self.tasks, image)])
        fitted, _ = self.graph.fit_images(inputs["images"], inputs["sizes"])
        plain = DetectorGraph(self.network, self.tasks, self.card.input)
        heatmap = ops.convert_to_numpy(ops.sigmoid(plain.answer(plain.show(inputs)[0])["heatmap"][0]))
        return _pixels(ops.convert_to_numpy(fitted[0])), heatmap

    def fit_frame(self, frame: np.ndarray) -> dict[str, Any]:
        """A frame [H, W, 3] uint8 that the network sees more than once, fitted; see `frames.FITTED`."""
        return self._fitting.fit(batches.pack([frame], batches.padded_size([frame], self._input_height)))

    def with_input(self, size: tuple[int, int] | None) -> "Detector":
        """The same network behind another input.

        Args:
            size: Height and width in pixels, multiples of the stride; None keeps every image's resolution.

        Raises:
            UsageError: A side is no multiple of the stride; the message names the nearest size.
        """
        if size and self.options.tile:
            raise UsageError("Tiles keep the resolution of an image, so the input has no size. Leave out one.")
        if self.extras and (size is None or size[1] != self.card.input.width):
            warnings.warn(
                f"What this model tells by {self._extra_names} was learnt from inputs {self.card.input.width} pixels "
                "wide, into which images were fitted. Where they come larger or smaller, it is less exact.",
                stacklevel=2,
            )
        card = self.card.model_copy(update={"input": self.card.input.resized(size)})
        return Detector(self.network, card, self.options)

    def with_options(self, **options: Any) -> "Detector":
        """The same network with more work for each image.

        Args:
            options: Fields of `detector.options.Options` and their values, such as flip=True, scales=(0.5, 1, 1.5),
                nms=True, or tile=(1024, 1024), which also keeps the resolution. Those left out are off.

        Raises:
            UsageError: Unknown or impossible, or they exclude each other.
        """
        known = [field.name for field in dataclasses.fields(Options)]
        for name in options:
            if name not in known:
                raise UsageError(f"Unknown option {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
        return Detector(self.network, self.card, Options(**options))

    def tracker(self, extras: Mapping[str, Any] | None = None, **settings: Any) -> "Tracker":
        """Follows one video, frame by frame: `tracker.step(frame)` gives `Detections` with `fields["track_ids"]`.

        Args:
            extras: {name: value} that the model takes beside pixels, of all frames.
            settings: As of `follow.with_settings`, such as max_age=30; the model's own if left out.

        Raises:
            UsageError: As `follow.with_settings`, or the model needs frames that are yet to come.
        """
        from centernet_tf.detector.follow import Tracker, with_settings  # which build on this module

        return Tracker(with_settings(self, **settings), extras)

    @property
    def _input_height(self) -> int | None:
        return None if self.card.input.mode == "keep" else self.card.input.height

    @property
    def _extra_names(self) -> str:
        return " and ".join(extra.name for extra in self.extras)

    def _check_options(self) -> None:
        """Raises UsageError where the tasks do not go with the options."""
        resized = self.options.tile or self.options.scales != (1.0,)
        if self.extras and resized:
            raise UsageError(
                f"This model needs the {self._extra_names} of each image as it is: in tiles, or at other scales, the "
                "same object would look nearer or further. Leave tile and scales out."
            )
        if any(find.level == "pair" for find in self.tasks.finds) and (resized or self.options.nms):
            raise UsageError(
                "This model finds pairs of objects, which would be separated. Leave tile, scales and nms out."
            )
        if self.options.tile and (frames.shown(self.tasks.inputs) or frames.are_drawn(self.tasks.inputs)):
            raise UsageError("This model sees more than the image itself, which tiles do not show. Leave tile out.")

    def pack(
        self,
        images: Sequence[np.ndarray],
        extras: Sequence[Mapping[str, np.ndarray]] = (),
        seen: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """The graph's inputs: padded images, their sizes, extras by name, and what else the network sees."""
        size = batches.padded_size(images, self._input_height)
        further = frames.pack(seen, self.tasks, size, self.limit)
        pixels = {} if frames.FITTED in further else batches.pack(images, size)
        stacked = {extra.name: np.stack([one[extra.name] for one in extras]) for extra in self.extras if extras}
        return {**pixels, **stacked, **further}

    def _find(
        self,
        images: Sequence[np.ndarray],
        extras: Sequence[Mapping[str, np.ndarray]],
        seen: Sequence[Mapping[str, Any]],
        looks: bool,
    ) -> dict[str, np.ndarray]:
        """{field: [B, K, ...]} of a batch, with `SEEN` and `HEATMAP` [B, ...] where it looks."""
        graph = self._looking if looks else self.graph
        if not self.options.tile:
            return graph.predict_on_batch(self.pack(images, extras, seen))
        found = [self._find_in_tiles(image, graph) for image in images]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _find_in_tiles(self, image: np.ndarray, graph: DetectorGraph) -> dict[str, np.ndarray]:
        stride = self.card.input.stride
        mosaic = tiles.Mosaic(image, stride) if graph.looks else None

        def parts() -> Iterator[dict[str, np.ndarray]]:
            for window in tiles.cut_all(image, self.options.tile, self.halo, stride):
                part = graph.predict_on_batch(window)
                if mosaic:
                    mosaic.add(window, part.pop(HEATMAP))
                    del part[SEEN]
                yield part

        found = tiles.best_of(parts(), self.card.max_objects)
        return {**found, SEEN: mosaic.seen[None], HEATMAP: mosaic.heatmap[None]} if mosaic else found

    def _run(
        self,
        waiting: Sequence[tuple[Any, np.ndarray, dict[str, np.ndarray], dict[str, Any]]],
        threshold: float,
        look: Look | None,
    ) -> Iterator[tuple[Any, np.ndarray, Detections]]:
        keys, images, extras, seen = zip(*waiting)
        found = self._find(images, extras, seen, look is not None)
        check_finite(found)
        looks = [found.pop(name) for name in (SEEN, HEATMAP)] if look else []
        for row, (key, image) in enumerate(zip(keys, images)):
            if look:
                look(_pixels(looks[0][row]), looks[1][row])
            fields = {name: values[row] for name, values in found.items()}
            size = image.shape[1::-1]
            yield key, image, as_detections(fields, self.names, size, self.properties, extras[row], threshold)


def _pixels(seen: np.ndarray) -> np.ndarray:
    return np.rint(seen * 255).astype(np.uint8)


def load(model: str | Path) -> Detector:
    """Loads a model that `centernet train` wrote, or one that comes with the package.

    Args:
        model: A model file, or a name that `centernet models` shows; a file of that name goes first.

    Raises:
        UsageError: There is no such file or name, or the file is not ours; the message says what it is.
    """
    return Detector(*load_model(model))
