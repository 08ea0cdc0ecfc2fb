"""Clips of a video, each frame through the trunk once: features of the last frames are kept, first in, first out.

What is found is what whole clips give, at the cost of one pass of the trunk and of the heads for each frame.
"""

import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector import clips, flip, frames
from centernet_tf.detector import extras as own
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.found import as_detections, check_finite
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.model.split import can_split, split
from centernet_tf.results import Detections

FIT, SIZES = "fit", "sizes"  # beside what a frame is remembered by: how it was fitted, and its height and width


def suits(detector: Detector) -> bool:
    """Whether all that a detector's network sees are the frames of clips, one picture each, in one pass.

    And whether it is one of `network.build_network`, which `split` can take apart.
    """
    inputs, options = list(detector.tasks.inputs.values()), detector.options
    plain = len(inputs) == 1 and len(inputs[0].frames) > 1 and inputs[0].stacked == 1 and inputs[0].draw is None
    return plain and can_split(detector.network) and not options.merges and not options.tile


class FeatureGraph(keras.Model):
    """Frames in, what is remembered of each out.

    Args:
        graph: Of the detector.
        each: What sees one frame, see `split`.
    """

    def __init__(self, graph: DetectorGraph, each: keras.Model):
        super().__init__(name="features", dtype="float32")
        self.graph, self.each = graph, each
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """{"images" [B, H, W, 3] uint8, "sizes" [B, 2]} to {name: [B, S, h, w, C]}, `FIT` [B, 4] and `SIZES`.

        S is 2 of a flip test, the image and its mirror image, else 1.
        """
        seen, fit = self.graph.fit_images(inputs["images"], inputs["sizes"])
        (wanted,) = self.graph.tasks.inputs.values()
        sides = 2 if self.graph.options.flip else 1
        seen = flip.both_sides(seen, wanted) if sides == 2 else seen
        maps = self.each(preprocess.normalize(seen, self.graph.card.normalization), training=False)
        apart = {name: ops.stack(ops.split(values, sides), axis=1) for name, values in maps.items()}
        return {**apart, FIT: fit, SIZES: inputs["sizes"]}


class ClipGraph(keras.Model):
    """What is remembered of frames in, objects of each clip out.

    Args:
        graph: Of the detector.
        together: What sees the features of all frames, see `split`.
        length: Frames of a clip, T.
    """

    def __init__(self, graph: DetectorGraph, together: keras.Model, length: int):
        super().__init__(name="clips", dtype="float32")
        self.graph, self.together, self.length = graph, together, length
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """{name: [B + T - 1, S, h, w, C]} of `FeatureGraph`; `FIT`, `SIZES`, extras [B, ...]; {field: [B, K, ...]}."""
        count = ops.shape(inputs[FIT])[0]
        beside = {}
        for name, values in inputs.items():
            if len(values.shape) == 5:
                windows = ops.concatenate([values[start : start + count] for start in range(self.length)], axis=-1)
                _, _, height, width, channels = ops.shape(windows)
                # All images, then all mirror images, as the flip test has them.
                beside[name] = ops.reshape(ops.transpose(windows, (1, 0, 2, 3, 4)), (-1, height, width, channels))
        extras = {extra.name: inputs[extra.name] for extra in self.graph.tasks.extras}
        return clips.search(self.graph, self.together, beside, inputs[FIT], inputs[SIZES], extras)


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
        each, together = split(detector.network, detector.tasks.heads, len(wanted.frames))
        self._frames = FeatureGraph(detector.graph, each)
        self._clips = ClipGraph(detector.graph, together, len(wanted.frames))
        first, self._after = frames.reach(detector.tasks.inputs)
        self._before, self._length = -first, len(wanted.frames)
        self._held: collections.deque[dict[str, np.ndarray]] = collections.deque()
        self._waiting: collections.deque[np.ndarray] = collections.deque()

    def push(self, images: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, Detections]]:
        """Takes in the next frames [H, W, 3] uint8, all of one size.

        Yields:
            The frames that can be answered, in order, and what was found in them.
        """
        if not images:
            return
        sizes = np.array([image.shape[:2] for image in images], np.int32)
        made = self._frames.predict_on_batch({"images": np.stack(images), "sizes": sizes})
        for row, image in enumerate(images):
            one = {name: values[row] for name, values in made.items()}
            self._held.extend([one] * (1 if self._held else 1 + self._before))  # the first stands for those before it
            self._waiting.append(image)
        yield from self._answer()

    def finish(self) -> Iterator[tuple[np.ndarray, Detections]]:
        """The frames that waited for later ones; the last stands for those."""
        if self._held:
            self._held.extend([self._held[-1]] * self._after)
            yield from self._answer()

    def _answer(self) -> Iterator[tuple[np.ndarray, Detections]]:
        count = len(self._held) - self._length + 1
        if count < 1:
            return
        inputs = {name: np.stack([one[name] for one in self._held]) for name in self._held[0]}
        for name in (FIT, SIZES):
            inputs[name] = inputs[name][self._before : self._before + count]
        inputs |= {name: np.stack([value] * count) for name, value in self._extras.items()}
        found = self._clips.predict_on_batch(inputs)
        check_finite(found)
        for row in range(count):
            self._held.popleft()
            image, fields = self._waiting.popleft(), {name: values[row] for name, values in found.items()}
            detector, size = self._detector, image.shape[1::-1]
            named = (detector.names, size, detector.properties, self._extras, self._threshold)
            yield image, as_detections(fields, *named)
