"""What a mirror image does to the maps of keypoints: left and right change places, and x points the other way."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class MirrorScores:
    """A `Head.mirror` of [B, h, w, J].

    Attributes:
        order: Where each keypoint of a mirrored object comes from.
    """

    order: tuple[int, ...]

    def __call__(self, values: Any) -> Any:
        return ops.take(values, np.array(self.order, np.int32), axis=-1)


@dataclasses.dataclass(frozen=True)
class MirrorOffsets:
    """A `Head.mirror` of [B, h, w, 2 J], x and y of each keypoint as seen from the centre.

    Attributes:
        order: Where each keypoint of a mirrored object comes from.
    """

    order: tuple[int, ...]

    def __call__(self, values: Any) -> Any:
        channels = np.array([2 * keypoint + axis for keypoint in self.order for axis in (0, 1)], np.int32)
        signs = np.tile(np.float32([-1, 1]), len(self.order))
        return ops.take(values, channels, axis=-1) * ops.cast(signs, values.dtype)
