"""Clips: frames folded into the batch, so that one trunk sees each, and what it made of them side by side again."""

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="centernet_tf")
class FoldFrames(keras.layers.Layer):
    """[B, T, H, W, C] to [B T, H, W, C], the frames of a clip one behind the other."""

    def call(self, clips: Any) -> Any:
        _, _, height, width, channels = ops.shape(clips)
        return ops.reshape(clips, (-1, height, width, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[2:])


@keras.saving.register_keras_serializable(package="centernet_tf")
class UnfoldFrames(keras.layers.Layer):
    """[B T, h, w, C] to [B, h, w, T C]: the channels of a clip's first frame, then those of its second, and so on.

    Args:
        frames: How many a clip has, T.
    """

    def __init__(self, frames: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, maps: Any) -> Any:
        _, height, width, channels = ops.shape(maps)
        apart = ops.reshape(maps, (-1, self.frames, height, width, channels))
        return ops.reshape(ops.transpose(apart, (0, 2, 3, 1, 4)), (-1, height, width, self.frames * channels))

    def apart(self, maps: Any) -> list[Any]:
        """[B T, h, w, C] to the maps [B, h, w, C] of each frame, instead of side by side."""
        _, height, width, channels = ops.shape(maps)
        return ops.unstack(ops.reshape(maps, (-1, self.frames, height, width, channels)), self.frames, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[1:3], self.frames * input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frames": self.frames}
