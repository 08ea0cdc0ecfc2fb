"""Clips of a video, each frame through the trunk once: features of the last frames are kept, first in, first out.

What is found is what whole clips give. A frame costs one pass of the trunk; of the heads, those that are read at single
cells are made at these alone, and what others make of a map of their own frame is made once.
"""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector import extras as own
from centernet_tf.detector import flip
from centernet_tf.detector.compiled import on_device
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.found import as_detections, check_finite
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.model.clip_heads import ClipHeads
from centernet_tf.model.split import can_split
from centernet_tf.results import Detections

FIT, SIZES, CLIPS = "fit", "sizes", "clips"  # beside what a frame is remembered by
Join = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]  # maps of several networks as those of one


def suits(detector: Detector) -> bool:
    """Whether all that a detector's network sees are the frames of clips, in one pass.

    And whether it is one of `network.build_network`, which can be taken apart.
    """
    inputs, options = list(detector.tasks.inputs.values()), detector.options
    plain = len(inputs) == 1 and len(inputs[0].frames) > 1 and inputs[0].draw is None and _are_neighbours(inputs[0])
    return plain and can_split(detector.network) and not options.merges and not options.tile


def _are_neighbours(wanted: Any) -> bool:
    return wanted.frames == tuple(range(wanted.frames[0], wanted.frames[-1] + 1))


class FeatureGraph(keras.Model):
    """Frames in, what is remembered of each out.

    Args:
        graph: Of the detector.
        heads: Of its network.
    """

    def __init__(self, graph: DetectorGraph, heads: ClipHeads):
        super().__init__(name="features", dtype="float32")
        self.graph, self.heads = graph, heads
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """{"images" [B, H, W, 3 S] uint8, "sizes" [B, 2]} to {name: [B, ...]} of `ClipHeads`, `FIT` [B, 4], `SIZES`."""
        seen, fit = self.graph.fit_images(inputs["images"], inputs["sizes"])
        (wanted,) = self.graph.tasks.inputs.values()
        sides = 2 if self.graph.options.flip else 1
        seen = flip.both_sides(seen, wanted) if sides == 2 else seen
        seen = preprocess.normalize(seen, self.graph.card.normalization)
        return {**self.heads.remembered(seen, sides), FIT: fit, SIZES: inputs["sizes"]}


class ClipGraph(keras.Model):
    """What is remembered of the frames of a clip in, its objects out.

    Args:
        graphs: Of the detectors.
        heads: Of the network of each.
        join: Of several networks: their maps as those of one.
    """

    def __init__(self, graphs: Sequence[DetectorGraph], heads: Sequence[ClipHeads], join: Join | None):
        super().__init__(name="clips", dtype="float32")
        self.graphs, self.heads, self.join = list(graphs), list(heads), join
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What is remembered of one clip to {field: [1, K, ...]}.

        Args:
            inputs: `CLIPS`, what `ClipHeads.clip` gives of each network; `FIT` [1, 4], `SIZES` [1, 2], extras.
        """
        maps = []
        for graph, heads, clip in zip(self.graphs, self.heads, inputs[CLIPS]):
            made = heads.maps(clip)
            maps.append(flip.join_sides(made, graph.tasks.heads) if graph.options.flip else made)
        first = self.graphs[0]
        extras = {extra.name: inputs[extra.name] for extra in first.tasks.extras}
        joined = self.join(maps) if self.join else maps[0]
        return first.cut(first.find(joined, inputs[FIT], extras), inputs[SIZES])


class Remembered:
    """What is remembered of the frames of a video, in order, those that stand for others before and after it included.

    Args:
        detector: Which `suits`.

    Attributes:
        held: {name: tensor} of each frame that is not given away yet.
        heads: Of the detector's network.
    """

    def __init__(self, detector: Detector):
        (self._wanted,) = detector.tasks.inputs.values()
        self.heads = ClipHeads(detector.network, detector.tasks.heads, len(self._wanted.frames), detector.options.flip)
        self._graph = FeatureGraph(detector.graph, self.heads)
        self.held: collections.deque[dict[str, Any]] = collections.deque()
        self._pictures: collections.deque[np.ndarray] = collections.deque(maxlen=self._wanted.stacked)
        self._next = -self._wanted.stacked  # the frame that begins with the oldest of these pictures

    def push(self, pictures: Sequence[np.ndarray]) -> None:
        """Takes in the next pictures [H, W, 3] uint8, of which each frame sees its own and those that follow."""
        waiting: list[tuple[np.ndarray, int]] = []
        first = self._wanted.frames[0]
        for picture in pictures:
            if not self._pictures:  # It stands for those before it, so all frames that see nothing else are the same.
                self._pictures.extend([picture] * self._wanted.stacked)
                self._next = 1 - self._wanted.stacked
                count = self._next - first + 1
            else:
                self._pictures.append(picture)
                self._next += 1
                count = int(self._next >= first)
            if count > 0:
                waiting.append((self._stack(), count))
        self._run(waiting)

    def finish(self) -> None:
        """Remembers the frames that waited for pictures; the last one stands for those."""
        if not self._pictures:
            return
        for step in range(self._wanted.frames[-1] + self._wanted.stacked - 1):
            self._next += 1
            if step < self._wanted.stacked - 1:
                self._pictures.append(self._pictures[-1])
                self._run([(self._stack(), 1)] if self._next >= self._wanted.frames[0] else [])
            else:
                self.held.append(self.held[-1])

    def _stack(self) -> np.ndarray:
        return np.concatenate(self._pictures, axis=-1) if len(self._pictures) > 1 else self._pictures[0]

    def _run(self, waiting: Sequence[tuple[np.ndarray, int]]) -> None:
        """Remembers images, each of them so many times."""
        if not waiting:
            return
        sizes = np.array([image.shape[:2] for image, _ in waiting], np.int32)
        made = on_device(self._graph, {"images": np.stack([image for image, _ in waiting]), "sizes": sizes})
        for row, (_, count) in enumerate(waiting):
            self.held.extend([{name: values[row] for name, values in made.items()}] * count)


class Stream:
    """One video. A frame is answered once those are seen that follow it in its clip.

    Args:
        detector: Which `suits`.
        threshold: As of `Detector`.
        extras: {name: value} of all frames beside their pixels.
    """

    def __init__(self, detector: Detector, threshold: float, extras: Mapping[str, Any]):
        self._detector, self._threshold = detector, threshold
        self._extras = own.complete(dict(extras), detector.extras)
        (wanted,) = detector.tasks.inputs.values()
        detectors, join = self._networks()
        self._parts = [Remembered(one) for one in detectors]
        self._clips = ClipGraph([one.graph for one in detectors], [part.heads for part in self._parts], join)
        self._before, self._length = -wanted.frames[0], len(wanted.frames)
        self._waiting: collections.deque[np.ndarray] = collections.deque()

    def _networks(self) -> tuple[list[Detector], Join | None]:
        """The detectors whose networks see the video, and what makes their maps those of one."""
        return [self._detector], None

    def _shown(self, images: Sequence[np.ndarray], last: bool) -> Sequence[Sequence[np.ndarray]]:
        """The next pictures that each of the networks sees; after the last image there may be more."""
        del last
        return [images]

    def push(self, images: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, Detections]]:
        """Takes in the next frames [H, W, 3] uint8, all of one size.

        Yields:
            The frames that can be answered, in order, and what was found in them.
        """
        self._waiting.extend(images)
        for part, pictures in zip(self._parts, self._shown(images, last=False)):
            part.push(pictures)
        yield from self._answer()

    def finish(self) -> Iterator[tuple[np.ndarray, Detections]]:
        """The frames that waited for later ones; the last stands for those."""
        for part, pictures in zip(self._parts, self._shown([], last=True)):
            part.push(pictures)
            part.finish()
        yield from self._answer()

    def _answer(self) -> Iterator[tuple[np.ndarray, Detections]]:
        while min(len(part.held) for part in self._parts) >= self._length:
            present = self._parts[0].held[self._before]
            inputs = {CLIPS: [part.heads.clip(list(part.held)[: self._length]) for part in self._parts]}
            inputs |= {name: present[name][None] for name in (FIT, SIZES)}
            inputs |= {name: np.asarray(value)[None] for name, value in self._extras.items()}
            found = {name: ops.convert_to_numpy(one) for name, one in on_device(self._clips, inputs).items()}
            check_finite(found)
            for part in self._parts:
                part.held.popleft()
            image, fields = self._waiting.popleft(), {name: values[0] for name, values in found.items()}
            detector, size = self._detector, image.shape[1::-1]
            named = (detector.names, size, detector.properties, self._extras, self._threshold)
            yield image, as_detections(fields, *named)
